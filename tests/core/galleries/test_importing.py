"""Index folders as clip-retrieval serves from them, adopted where they lie."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bdk.errors import DataError
from bdk.galleries.blocks import merge_blocks
from bdk.galleries.gallery import Gallery
from bdk.galleries.importing import import_folder

faiss = pytest.importorskip("faiss")


def hnsw(embeddings, path):
    index = faiss.index_factory(embeddings.shape[1], "HNSW16", faiss.METRIC_INNER_PRODUCT)
    index.add(embeddings)
    faiss.write_index(index, str(path))


def on_disk(embeddings, folder, tmp):
    """A folder with populated.index and its lists, as clip-retrieval keeps memory-mapped ones."""
    index = faiss.index_factory(embeddings.shape[1], "IVF8,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(embeddings)
    faiss.write_index(index, str(tmp / "trained"))
    index.add(embeddings)
    faiss.write_index(index, str(tmp / "block"))
    merge_blocks(tmp / "trained", [tmp / "block"], folder, on_disk=True)


@pytest.fixture
def served(tmp_path, rows):
    """(folder, embeddings) with a plain image.index and parquet metadata in two files."""
    folder = tmp_path / "served"
    (folder / "metadata").mkdir(parents=True)
    embeddings = rows(300, 16)
    hnsw(embeddings, folder / "image.index")
    for number in range(2):
        ids = range(number * 150, (number + 1) * 150)
        table = {"caption": [f"caption {id}" for id in ids], "url": [f"http://nowhere.test/{id}" for id in ids]}
        pq.write_table(pa.table(table), folder / f"metadata/metadata_{number}.parquet")
    return folder, embeddings


def test_a_plain_index_and_parquet_are_used_in_place(served, tmp_path):
    folder, _ = served
    manifest = import_folder(folder, tmp_path / "g", "old", "toy/pooled")
    entry = manifest.indexes["image"]
    assert (manifest.n, manifest.dim, manifest.pictures, entry.kind, entry.lossy) == (300, 16, "url", "foreign", False)
    assert entry.files[0].path == str(folder / "image.index")
    assert Gallery(tmp_path / "g").rows([149, 150])[1] == {"caption": "caption 150", "url": "http://nowhere.test/150"}
    assert {path.name for path in (tmp_path / "g").iterdir()} == {"manifest.json", "verified.json"}


def test_a_folder_with_lists_on_disk_is_recognised(served, tmp_path):
    folder, embeddings = served
    (folder / "image.index").unlink()
    on_disk(embeddings, folder / "image.index", tmp_path)
    manifest = import_folder(folder, tmp_path / "g", "old", "toy/pooled")
    entry = manifest.indexes["image"]
    assert entry.on_disk and [file.path.split("/")[-1] for file in entry.files] == ["populated.index", "merged.ivfdata"]
    assert (entry.nlist, entry.nprobe) == (8, 8)


def test_embeddings_can_be_named_for_exact_ranking(served, tmp_path):
    folder, embeddings = served
    (tmp_path / "e/img_emb").mkdir(parents=True)
    np.save(tmp_path / "e/img_emb/img_emb_0.npy", embeddings)
    manifest = import_folder(folder, tmp_path / "g", "old", "toy/pooled", tmp_path / "e")
    assert manifest.embeddings["image"][0].rows == 300
    np.save(tmp_path / "e/img_emb/img_emb_0.npy", embeddings[:299])
    with pytest.raises(DataError, match="the embeddings are 299 x 16"):
        import_folder(folder, tmp_path / "h", "old", "toy/pooled", tmp_path / "e")


def hdf5(path, order):
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group["caption"] = np.array([f"caption {id}".encode() for id in order], dtype=h5py.special_dtype(vlen=bytes))
        group["width"] = np.asarray(order)


def test_hdf5_metadata_becomes_parquet(served, tmp_path):
    folder, _ = served
    for path in (folder / "metadata").iterdir():
        path.unlink()
    hdf5(folder / "metadata.hdf5", range(300))
    import_folder(folder, tmp_path / "g", "old", "toy/pooled")
    assert Gallery(tmp_path / "g").rows([7]) == [{"caption": "caption 7", "width": 7}]


def test_reordered_hdf5_metadata_comes_back_in_the_order_of_the_ids(served, tmp_path):
    folder, _ = served
    for path in (folder / "metadata").iterdir():
        path.unlink()
    mapping = np.random.default_rng(0).permutation(300)  # row of the file for each id
    inverse = np.argsort(mapping)
    hdf5(folder / "metadata_reordered.hdf5", inverse)
    np.save(folder / "ivf_old_to_new_mapping.npy", mapping)
    import_folder(folder, tmp_path / "g", "old", "toy/pooled")
    rows = Gallery(tmp_path / "g").rows([0, 123, 299])
    assert [row["caption"] for row in rows] == ["caption 0", "caption 123", "caption 299"]


def test_arrow_metadata_becomes_parquet(served, tmp_path):
    folder, _ = served
    for path in (folder / "metadata").iterdir():
        path.unlink()
    table = pa.table({"caption": [f"caption {id}" for id in range(300)]})
    with pa.OSFile(str(folder / "metadata/0.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    import_folder(folder, tmp_path / "g", "old", "toy/pooled")
    assert Gallery(tmp_path / "g").rows([299])[0]["caption"] == "caption 299"


def test_metadata_of_another_length_is_refused(served, tmp_path):
    folder, _ = served
    (folder / "metadata/metadata_1.parquet").unlink()
    with pytest.raises(DataError, match="300 rows, its metadata 150"):
        import_folder(folder, tmp_path / "g", "old", "toy/pooled")


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"neither image\.index nor text\.index"):
        import_folder(tmp_path, tmp_path / "g", "old", "toy/pooled")


def test_a_broken_index_is_an_error_and_not_a_crash(served, tmp_path):
    folder, _ = served
    data = (folder / "image.index").read_bytes()
    (folder / "image.index").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError) as caught:
        import_folder(folder, tmp_path / "g", "old", "toy/pooled")
    assert caught.value.where == str(folder / "image.index")
