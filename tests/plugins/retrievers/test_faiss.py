"""The faiss backend beside the exact one, for every index that a gallery can have."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bdk.errors import DataError, MissingExtraError, SpecError
from bdk.galleries.building import BuildOptions, build_gallery
from bdk.galleries.importing import import_folder
from numpy.lib import format as npy

faiss = pytest.importorskip("faiss")


@pytest.fixture
def embeddings(tmp_path):
    """4,000 rows of 16 numbers around 40 centres."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "emb/img_emb"
    folder.mkdir(parents=True)
    centres = rng.standard_normal((40, 16))
    for shard in range(2):
        rows = centres[rng.integers(0, 40, 2000)] + 0.7 * rng.standard_normal((2000, 16))
        np.save(
            folder / f"img_emb_{shard}.npy", (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
        )
    return folder.parent


@pytest.fixture
def built(embeddings, tmp_path):
    def make(kind, on_disk=False):
        out = tmp_path / f"{kind}-{on_disk}"
        build_gallery(embeddings, out, BuildOptions("toy", "toy/pooled", kind=kind, on_disk=on_disk))
        return out

    return make


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("kind", ["flat", "ivf-flat", "ivf-sq8", "opq-ivf-pq"])
def test_an_index_that_visits_every_list_agrees_with_the_exact_scan(build, built, keys, kind, on_disk):
    root = built(kind, on_disk)
    exact = build("exact", root=root).search(keys(), 10)
    options = {} if kind == "flat" else {"nprobe": 512, "oversample": 400 if kind == "opq-ivf-pq" else 8}
    found = build("faiss", root=root, **options).search(keys(), 10)
    assert torch.equal(found.ids, exact.ids) and torch.equal(found.scores, exact.scores)


def test_more_lists_visited_never_find_less(build, built, keys):
    root = built("ivf-sq8")
    exact = build("exact", root=root).search(keys(), 10).ids
    recalls = []
    for nprobe in (1, 4, 16, 512):
        found = build("faiss", root=root, nprobe=nprobe).search(keys(), 10).ids
        recalls.append(float((found[:, :, None] == exact[:, None]).any(2).float().mean()))
    assert recalls == sorted(recalls) and recalls[-1] == 1.0 and recalls[0] < 1.0


def test_few_visited_lists_pad_what_they_cannot_fill(build, built, keys):
    found = build("faiss", root=built("ivf-flat"), nprobe=1).search(keys(), 500)
    assert found.ids.shape == (12, 500)
    assert (found.ids < 0).any() and torch.equal(found.ids < 0, torch.isinf(found.scores))


def test_exclusion_reaches_beyond_the_first_candidates(build, built, keys):
    root = built("ivf-flat")
    retriever = build("faiss", root=root, nprobe=512)
    first = retriever.search(keys(), 200).ids
    assert torch.equal(retriever.search(keys(), 4, first[:, :150]).ids, first[:, 150:154])


def test_mmap_on_lists_on_disk_is_dropped_and_stamped(build, built, keys):
    root = built("ivf-sq8", on_disk=True)
    retriever = build("faiss", root=root, io_flags=["mmap", "read-only"], nprobe=512)
    assert retriever.stamps()["io_flags_dropped"] == ["mmap"]
    assert torch.equal(retriever.search(keys(), 4).ids, build("exact", root=root).search(keys(), 4).ids)


def test_an_option_that_the_index_does_not_have_is_refused(build, built):
    with pytest.raises(SpecError, match="efSearch"):
        build("faiss", root=built("ivf-sq8"), ef_search=50)
    with pytest.raises(SpecError, match="nprobe"):
        build("faiss", root=built("flat"), nprobe=50)


def test_an_index_of_another_gallery_is_refused(build, built):
    root = built("ivf-sq8")
    index = faiss.index_factory(16, "IVF4,SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(np.random.default_rng(0).standard_normal((100, 16)).astype(np.float32))
    path = root / "index/image/index.faiss"
    faiss.write_index(index, str(path))
    plain = json.loads((root / "manifest.json").read_text())
    del plain["checksum"]
    plain["indexes"]["image"]["files"][0] |= {"bytes": path.stat().st_size, "sha256": ""}
    (root / "manifest.json").write_text(json.dumps(plain))
    with pytest.raises(DataError, match="The index holds 0 x 16, the gallery 4000 x 16"):
        build("faiss", root=root)


@pytest.mark.parametrize("metric", ["inner-product", "l2"])
@pytest.mark.parametrize("known", [True, False])
def test_an_adopted_index_agrees_with_the_exact_scan(build, embeddings, keys, tmp_path, metric, known):
    rows = np.concatenate([np.load(path) for path in sorted((embeddings / "img_emb").glob("*.npy"))]).astype(np.float32)
    index = faiss.IndexFlat(16, faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
    index.add(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    (tmp_path / "served").mkdir()
    faiss.write_index(index, str(tmp_path / "served/image.index"))
    import_folder(tmp_path / "served", tmp_path / "g", "old", "toy/pooled", embeddings if known else None)
    found = build("faiss", root=tmp_path / "g").search(keys(), 6)
    import_folder(tmp_path / "served", tmp_path / "h", "old", "toy/pooled", embeddings)
    exact = build("exact", root=tmp_path / "h").search(keys(), 6)
    assert torch.equal(found.ids, exact.ids) and torch.allclose(found.scores, exact.scores, atol=1e-5)


def test_without_stored_embeddings_a_lossy_index_says_that_its_scores_are_approximate(build, embeddings, tmp_path):
    rows = np.concatenate([np.load(path) for path in sorted((embeddings / "img_emb").glob("*.npy"))]).astype(np.float32)
    index = faiss.index_factory(16, "SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows)
    (tmp_path / "served").mkdir()
    faiss.write_index(index, str(tmp_path / "served/image.index"))
    import_folder(tmp_path / "served", tmp_path / "g", "old", "toy/pooled")
    assert build("faiss", root=tmp_path / "g").stamps()["scores"] == "approximate (index only)"
    with pytest.raises(DataError, match="no image embeddings"):
        build("exact", root=tmp_path / "g")


def test_a_gpu_that_is_not_there_is_told(build, built):
    if faiss.get_num_gpus():
        pytest.skip("there is a GPU")
    with pytest.raises(MissingExtraError, match="no GPU"):
        build("faiss", root=built("ivf-sq8"), device="cuda:0")


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_exact_scan(build, built, keys):
    if not faiss.get_num_gpus():
        pytest.skip("needs a GPU that faiss sees")
    root = built("ivf-sq8")
    found = build("faiss", root=root, device="cuda:0", nprobe=512).search(keys(), 10)
    assert torch.equal(found.ids, build("exact", root=root).search(keys(), 10).ids)


def test_half_precision_shards_are_what_the_flat_index_holds(built):
    path = built("flat") / "manifest.json"
    (first, *_) = json.loads(path.read_text())["embeddings"]["image"]
    with Path(first["path"]).open("rb") as stream:
        npy.read_magic(stream)
        assert npy.read_array_header_1_0(stream)[2] == np.float16
