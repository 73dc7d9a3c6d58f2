"""A folder of pictures and captions becomes embeddings in clip-retrieval's layout."""

import csv

import numpy as np
import pytest
from bdk.errors import DataError, PlanError
from bdk.galleries import embedding
from bdk.galleries.embedding import embed_folder, read_pairs, towers
from bdk.galleries.layouts import read_layout
from bdk.registry import load
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    (root / "sub").mkdir(parents=True)
    for number in range(5):
        Image.new("RGB", (70, 64), (40 * number, 80, 0)).save(root / ("sub" if number % 2 else ".") / f"{number}.png")
        (root / ("sub" if number % 2 else ".") / f"{number}.txt").write_text(f"a red car {number}\n")
    (root / "broken.jpg").write_bytes(b"not a picture")
    return root


def test_captions_lie_beside_the_pictures(folder):
    pairs = read_pairs(folder)
    assert [pair.path.name for pair in pairs] == ["0.png", "2.png", "4.png", "broken.jpg", "1.png", "3.png"]
    assert [pair.caption for pair in pairs] == [
        "a red car 0",
        "a red car 2",
        "a red car 4",
        "",
        "a red car 1",
        "a red car 3",
    ]


def test_captions_may_come_from_a_table(folder):
    with (folder / "captions.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["path", "caption"], ["sub/3.png", "a boat"], ["0.png", ""]])
    assert [(pair.path.name, pair.caption) for pair in read_pairs(folder)] == [("3.png", "a boat"), ("0.png", "")]
    (folder / "captions.csv").write_text("file,words\n0.png,x\n")
    with pytest.raises(DataError, match="path and caption"):
        read_pairs(folder)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="no pictures"):
        read_pairs(tmp_path)


def test_pictures_and_captions_are_embedded_and_unreadable_ones_counted(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "SHARD", 4)
    spaces = towers(load(), "demo-clip/pooled")
    lost = embed_folder(folder, tmp_path / "out", spaces)
    layout = read_layout(tmp_path / "out")
    assert lost == {"not-an-image": 1} and layout.n == 5 and layout.modalities == ("image", "text")
    assert [shard.rows for shard in layout.shards] == [3, 2] and layout.pictures == "file"
    rows = np.load(tmp_path / "out/img_emb/img_emb_00000.npy").astype(np.float32)
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 2e-3


def test_finished_shards_are_not_embedded_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "SHARD", 4)
    spaces = towers(load(), "demo-clip/pooled")
    embed_folder(folder, tmp_path / "out", spaces)
    (tmp_path / "out/metadata/metadata_00001.parquet").unlink()
    worked = []
    real = embedding._embed_shard
    monkeypatch.setattr(embedding, "_embed_shard", lambda *given: (worked.append(given[2]), real(*given)))
    assert embed_folder(folder, tmp_path / "out", spaces) == {"not-an-image": 1}
    assert worked == [1]


@pytest.mark.parametrize("change", ["picture", "caption", "more"])
def test_embeddings_of_other_pictures_or_captions_are_not_taken_for_these(folder, tmp_path, change):
    spaces = towers(load(), "demo-clip/pooled")
    embed_folder(folder, tmp_path / "out", spaces)
    if change == "caption":
        (folder / "0.txt").write_text("a green boat")
    else:
        Image.new("RGB", (66, 64)).save(folder / {"picture": "0.png", "more": "9.png"}[change])
    with pytest.raises(DataError, match="other pictures or captions") as caught:
        embed_folder(folder, tmp_path / "out", spaces)
    assert caught.value.where == str(tmp_path / "out")


def test_a_model_that_nothing_embeds_with_is_refused():
    with pytest.raises(PlanError, match="Nothing installed embeds pictures") as caught:
        towers(load(), "clip-of-mars/pooled")
    assert "demo-clip/pooled" in caught.value.mend
