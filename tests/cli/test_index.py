"""``bdk index`` as a person uses it: on small folders, through the command itself."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bdk.errors import BdkError, DataError, SpecError
from bdk_cli.index import index
from bdk_cli.index_tables import parse_bytes
from typer.testing import CliRunner

KEY = "toy/pooled"


def unit(n, dim, seed):
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def source(tmp_path):
    for part in ("img_emb", "metadata"):
        (tmp_path / "emb" / part).mkdir(parents=True)
    for shard in range(3):
        np.save(tmp_path / f"emb/img_emb/img_emb_{shard}.npy", unit(400, 16, shard))
        captions = [f"caption {400 * shard + row}" for row in range(400)]
        pq.write_table(pa.table({"caption": captions}), tmp_path / f"emb/metadata/metadata_{shard}.parquet")
    return tmp_path / "emb"


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(index, [str(argument) for argument in arguments])
    if isinstance(result.exception, BdkError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result.stdout


def built(source, tmp_path, *more):
    out = tmp_path / "gallery"
    told = run("build", source, "--out", out, "--name", "toy", "--key-model", KEY, "--json", *more)
    return out, json.loads(told)


def test_build_info_verify_and_query_work_together(source, tmp_path):
    pytest.importorskip("faiss")
    out, facts = built(source, tmp_path, "--type", "ivf-sq8", "--licence", "CC0", "--language", "en")
    assert (facts["n"], facts["dim"], facts["languages"], facts["licence"]) == (1200, 16, ["en"], "CC0")
    assert facts["indexes"]["image"]["type"] == "ivf-sq8" and facts["indexes"]["image"]["why"]
    assert json.loads(run("info", out, "--json"))["fingerprint"] == facts["fingerprint"]
    assert json.loads(run("verify", out, "--json")) == {"files": 7, "damaged": {}, "without_checksum": []}
    for retriever in ("exact", "faiss"):
        rows = json.loads(run("query", out, "--row", 407, "-k", 3, "--retriever", retriever, "--json"))
        assert (rows[0]["id"], rows[0]["caption"], rows[0]["score"]) == (407, "caption 407", 1.0)
        assert [row["rank"] for row in rows] == [1, 2, 3]


def test_keys_from_a_file_are_searched(source, tmp_path):
    out, _ = built(source, tmp_path)
    np.save(tmp_path / "keys.npy", unit(400, 16, 2)[:2])
    rows = json.loads(run("query", out, "--keys", tmp_path / "keys.npy", "-k", 1, "--json"))
    assert [row["id"] for row in rows] == [800, 801]


def test_exactly_one_query_is_wanted(source, tmp_path):
    out, _ = built(source, tmp_path)
    for wrong in ((), ("--row", 1, "--text", "x")):
        with pytest.raises(SpecError, match="exactly one"):
            run("query", out, *wrong)
    with pytest.raises(SpecError, match="no row 5000"):
        run("query", out, "--row", 5000)


def test_verify_names_every_damaged_file_and_exits_with_1(source, tmp_path):
    out, _ = built(source, tmp_path, "--copy")
    (out / "embeddings/image/00001.npy").unlink()
    (out / "metadata/00002.parquet").write_bytes(b"x")
    told = json.loads(run("verify", out, "--json", exit_code=1))
    assert set(told["damaged"]) == {"embeddings/image/00001.npy", "metadata/00002.parquet"}


def test_plan_needs_no_data_and_no_heavy_import():
    told = json.loads(run("plan", "2.3e9", "768", "--memory", "64GB", "--json"))
    assert {row["type"]: row["index"] for row in told["types"]} == {
        "flat": "0 B",
        "ivf-flat": "7.08 TB",
        "ivf-sq8": "1.79 TB",
        "opq-ivf-pq": "240 GB",
    }
    assert told["chosen"]["type"] == "opq-ivf-pq" and told["chosen"]["on_disk"]
    code = (
        "import sys; from bdk_cli.index import index; from typer.testing import CliRunner;"
        "r = CliRunner().invoke(index, ['plan', '1e6', '768']); assert r.exit_code == 0;"
        "print([m for m in ('torch', 'faiss', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_gallery_can_be_named_instead_of_its_folder(source, tmp_path, monkeypatch):
    out, _ = built(source, tmp_path)
    (tmp_path / "galleries.toml").write_text(f'mine = "{out}"\n')
    monkeypatch.setenv("BDK_GALLERIES", str(tmp_path / "galleries.toml"))
    assert json.loads(run("info", "mine", "--json"))["name"] == "toy"


def test_the_models_name_is_inferred_only_where_one_fits(source, tmp_path):
    with pytest.raises(SpecError, match="must be said"):
        run("build", source, "--out", tmp_path / "g", "--name", "toy")
    with pytest.raises(SpecError, match="768"):
        run("build", source, "--out", tmp_path / "g", "--name", "toy", "--key-model", "clip-vit-l14/pooled")


def test_pictures_are_embedded_and_indexed_in_one_go(tmp_path):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for number in range(6):
        Image.new("RGB", (64, 64), (40 * number, 0, 90)).save(tmp_path / f"pictures/{number}.png")
    out = tmp_path / "gallery"
    arguments = [
        "build",
        tmp_path / "pictures",
        "--embed",
        "--out",
        out,
        "--name",
        "mine",
        "--key-model",
        "demo-clip/pooled",
        "--json",
    ]
    facts = json.loads(run(*arguments))
    assert (facts["n"], facts["dim"], facts["pictures"], facts["key_model"]) == (6, 128, "file", "demo-clip/pooled")
    rows = json.loads(run("query", out, "--picture", tmp_path / "pictures/3.png", "-k", 1, "--json"))
    assert rows[0]["path"].endswith("3.png")
    assert json.loads(run("query", out, "--text", "a red car", "-k", 2, "--json"))
    facts = json.loads(run("tokens", out, "--space", "demo-clip/image", "--json"))
    assert facts["tokens"]["image"]["space"] == "demo-clip/image" and facts["tokens"]["image"]["bytes"] > 6 * 65 * 256
    assert json.loads(run("verify", out, "--json"))["damaged"] == {}


def test_wrong_words_are_refused(source, tmp_path):
    for option, word in (("--type", "hnsw"), ("--index", "audio"), ("--memory", "much")):
        with pytest.raises(SpecError, match=word):
            run("build", source, "--out", tmp_path / "g", "--name", "toy", "--key-model", KEY, option, word)


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4e9), ("500 MB", 5e8), ("1.5gib", 1.5 * 2**30), ("64", 64), ("2k", 2000), ("1t", 1e12)]
)
def test_sizes_are_understood(text, size):
    assert parse_bytes(text) == size


def test_import_adopts_an_index_folder(source, tmp_path):
    faiss = pytest.importorskip("faiss")
    rows = np.concatenate([np.load(path) for path in sorted((source / "img_emb").glob("*.npy"))]).astype(np.float32)
    flat = faiss.IndexFlatIP(16)
    flat.add(rows)
    (tmp_path / "served").mkdir()
    faiss.write_index(flat, str(tmp_path / "served/image.index"))
    (source / "metadata").rename(tmp_path / "served/metadata")
    told = run("import", tmp_path / "served", "--out", tmp_path / "g", "--name", "old", "--key-model", KEY, "--json")
    assert json.loads(told)["indexes"]["image"]["type"] == "foreign"
    rows = json.loads(
        run(
            "query",
            tmp_path / "g",
            "--keys",
            source / "img_emb/img_emb_1.npy",
            "-k",
            1,
            "--retriever",
            "faiss",
            "--json",
        )
    )
    assert rows[0]["id"] == 400


def test_an_audit_finds_a_clean_stand_in_clean_and_writes_its_list(tmp_path, registry):
    from bdk.galleries.stand_ins import stand_in

    root = stand_in("laion400m", 20, {"name": "demo", "seed": 0}, tmp_path)
    told = CliRunner().invoke(
        index,
        [
            "audit",
            str(root),
            "--data-option",
            "train=8",
            "--data-option",
            "test=4",
            "--min-cosine",
            "0.999",
            "--max-bits",
            "2",
            "--leave-out",
            str(tmp_path / "out.json"),
            "--json",
        ],
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["matches"] == [] and json.loads((tmp_path / "out.json").read_text())["ids"] == []


def test_a_damaged_gallery_is_refused_by_every_command_that_reads_it(source, tmp_path):
    out, _ = built(source, tmp_path, "--copy")
    (out / "manifest.json").write_text("{}")
    for command in (("info", out), ("verify", out), ("query", out, "--row", "1")):
        with pytest.raises(DataError):
            run(*command)


@pytest.mark.slow
def test_two_workers_build_the_same_index(source, tmp_path):
    pytest.importorskip("faiss")
    pytest.importorskip("distributed")
    _, alone = built(source, tmp_path, "--type", "ivf-sq8")
    out = tmp_path / "spread"
    told = run(
        "build",
        source,
        "--out",
        out,
        "--name",
        "toy",
        "--key-model",
        KEY,
        "--json",
        "--type",
        "ivf-sq8",
        "--cluster",
        "local:2",
    )
    assert json.loads(told)["fingerprint"] == alone["fingerprint"]
