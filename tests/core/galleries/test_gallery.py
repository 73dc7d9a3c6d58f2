import numpy as np
import pytest
from bdk.errors import DataError
from bdk.galleries import metadata
from bdk.galleries.gallery import Gallery
from bdk.galleries.metadata import canonical_names, copy_parquet, open_parquet
from bdk.galleries.writing import GalleryWriter


def whole(root):
    return np.concatenate([np.load(path) for path in sorted((root / "embeddings/image").glob("*.npy"))])


def test_rows_come_in_the_order_asked_for_across_shards(gallery_folder):
    root = gallery_folder()
    ids = np.array([299, 0, 100, 99, 0, 250])
    assert np.array_equal(Gallery(root).embeddings().take(ids), whole(root)[ids])


def test_blocks_cover_every_row_once(gallery_folder):
    root = gallery_folder()
    blocks = list(Gallery(root).embeddings().blocks(64))
    assert [start for start, _ in blocks] == [0, 64, 100, 164, 200, 264]
    assert np.array_equal(np.concatenate([rows for _, rows in blocks]), whole(root))


def test_no_rows_are_an_empty_table(gallery_folder):
    assert Gallery(gallery_folder()).embeddings().take(np.array([], dtype=np.int64)).shape == (0, 16)


def test_metadata_is_found_by_id(gallery_folder, monkeypatch):
    monkeypatch.setattr(metadata, "ROW_GROUP", 32)
    gallery = Gallery(gallery_folder())
    assert [row["caption"] for row in gallery.rows([250, 3, 250, 131])] == [
        "caption 250",
        "caption 3",
        "caption 250",
        "caption 131",
    ]


def test_an_id_outside_the_gallery_has_an_empty_row(gallery_folder):
    assert Gallery(gallery_folder()).rows([-1, 300]) == [{}, {}]


def test_only_a_few_row_groups_stay_in_memory(gallery_folder, monkeypatch):
    monkeypatch.setattr(metadata, "ROW_GROUP", 10)
    gallery = Gallery(gallery_folder())
    gallery.rows(list(range(300)))
    assert len(gallery.metadata._groups) == metadata._GROUPS_KEPT


def test_laions_column_names_become_ours():
    assert canonical_names(["URL", "TEXT", "WIDTH"]) == {"URL": "url", "TEXT": "caption"}
    assert canonical_names(["image_path", "caption", "url"]) == {
        "image_path": "path",
        "caption": "caption",
        "url": "url",
    }


def test_copied_metadata_has_small_row_groups_and_the_same_rows(embeddings_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "ROW_GROUP", 64)
    source = embeddings_folder(1) / "metadata/metadata_00.parquet"
    copy_parquet(source, tmp_path / "copy.parquet")
    assert open_parquet(tmp_path / "copy.parquet").num_row_groups == 8
    assert open_parquet(tmp_path / "copy.parquet").read().equals(open_parquet(source).read())


def test_embeddings_that_are_not_there_are_named(gallery_folder, rows, tmp_path):
    writer = GalleryWriter(tmp_path / "images")
    writer.add({"image": rows(5, 4)}, {"caption": list("abcde")})
    writer.close(name="images", key_model="toy/pooled", dim=4)
    with pytest.raises(DataError, match="no text embeddings"):
        Gallery(tmp_path / "images").embeddings("text")


def test_rows_that_are_not_of_unit_length_are_refused(rows, tmp_path):
    bad = rows(5, 4)
    bad[3] *= 1.5
    with pytest.raises(DataError, match=r"1 of 5 .*row 3"):
        GalleryWriter(tmp_path / "g").add({"image": bad}, {"caption": list("abcde")})
    bad[3] = np.nan
    with pytest.raises(DataError, match="row 3"):
        GalleryWriter(tmp_path / "g").add({"image": bad}, {"caption": list("abcde")})


def test_an_unclosed_gallery_does_not_read_as_one(rows, tmp_path):
    GalleryWriter(tmp_path / "g").add({"image": rows(5, 4)}, {"caption": list("abcde")})
    with pytest.raises(DataError, match=r"no manifest\.json"):
        Gallery(tmp_path / "g")


def test_parts_of_a_shard_must_have_equal_rows(rows, tmp_path):
    with pytest.raises(DataError, match="differ in rows"):
        GalleryWriter(tmp_path / "g").add({"image": rows(5, 4)}, {"caption": list("abcd")})


def test_a_gallery_of_thousands_of_shards_holds_few_files_open(gallery_folder, monkeypatch):
    monkeypatch.setattr("bdk.galleries.gallery._MAPS", 2)
    monkeypatch.setattr(metadata, "_FILES_OPEN", 2)
    gallery = Gallery(gallery_folder(shards=7, per_shard=20))
    ids = np.random.default_rng(0).permutation(140)
    assert np.array_equal(gallery.embeddings().take(ids), whole(gallery.root)[ids])
    assert [row["caption"] for row in gallery.rows(ids.tolist())] == [f"caption {id}" for id in ids]
    assert len(gallery.embeddings()._maps) == 2 and len(gallery.metadata._files) == 2
