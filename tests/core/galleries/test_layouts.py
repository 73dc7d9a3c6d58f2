import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bdk.errors import DataError
from bdk.galleries.layouts import read_layout


def test_clip_retrievals_folders_are_read_as_they_are(embeddings_folder):
    layout = read_layout(embeddings_folder())
    assert (layout.n, layout.dim, layout.modalities, layout.columns) == (2000, 16, ("image", "text"), ("TEXT", "URL"))
    assert [shard.embeddings["image"].name for shard in layout.shards] == [f"img_emb_{i:02d}.npy" for i in range(4)]
    assert layout.pictures == "url"


def test_a_plain_folder_of_arrays_is_read(tmp_path, rows):
    np.save(tmp_path / "a.npy", rows(10, 4))
    layout = read_layout(tmp_path)
    assert (layout.n, layout.modalities, layout.pictures) == (10, ("image",), "none")


def test_shards_are_sorted_by_name_as_an_existing_index_numbers_them(tmp_path, rows):
    for part in ("img_emb", "metadata"):
        (tmp_path / part).mkdir()
    for shard in range(11):
        np.save(tmp_path / f"img_emb/img_emb_{shard}.npy", rows(shard + 1, 4))
        pq.write_table(pa.table({"caption": ["x"] * (shard + 1)}), tmp_path / f"metadata/metadata_{shard}.parquet")
    assert [shard.rows for shard in read_layout(tmp_path).shards] == [1, 2, 11, 3, 4, 5, 6, 7, 8, 9, 10]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="No embeddings"):
        read_layout(tmp_path)


def test_a_missing_metadata_file_is_noticed(embeddings_folder):
    root = embeddings_folder()
    (root / "metadata/metadata_01.parquet").unlink()
    with pytest.raises(DataError, match="4 of image embeddings, 4 of text embeddings, 3 of metadata"):
        read_layout(root)


def test_files_that_do_not_belong_together_are_noticed(embeddings_folder):
    root = embeddings_folder()
    (root / "metadata/metadata_01.parquet").rename(root / "metadata/metadata_09.parquet")
    with pytest.raises(DataError, match="different numbers"):
        read_layout(root)


def test_a_shard_with_too_few_rows_is_noticed(embeddings_folder, rows):
    root = embeddings_folder()
    np.save(root / "text_emb/text_emb_03.npy", rows(499, 16).astype(np.float16))
    with pytest.raises(DataError, match=r"text_emb_03.npy has 499"):
        read_layout(root)


@pytest.mark.parametrize("harm", ["dim", "type", "double", "cut"])
def test_arrays_of_other_size_or_type_are_refused(embeddings_folder, rows, harm):
    root = embeddings_folder()
    path = root / "img_emb/img_emb_02.npy"
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:20])
    else:
        np.save(
            path,
            rows(500, 8 if harm == "dim" else 16).astype(
                {"dim": np.float16, "type": np.float32, "double": np.float64}[harm]
            ),
        )
    with pytest.raises(DataError):
        read_layout(root)


def test_an_unreadable_parquet_file_is_named(embeddings_folder):
    path = embeddings_folder() / "metadata/metadata_02.parquet"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError) as caught:
        read_layout(path.parent.parent)
    assert caught.value.where == str(path)
