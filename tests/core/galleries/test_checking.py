"""A gallery damaged in any of its files is refused, and the file is named."""

import json
import os

import numpy as np
import pytest
from bdk.errors import DataError
from bdk.galleries import checking
from bdk.galleries.building import BuildOptions, build_gallery
from bdk.galleries.checking import SEAL, damaged
from bdk.galleries.gallery import Gallery
from bdk.galleries.manifest import MANIFEST

SHARD, CAPTIONS, PARQUET = "embeddings/image/00001.npy", "embeddings/text/00002.npy", "metadata/00000.parquet"


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", [SHARD, CAPTIONS, PARQUET])
@pytest.mark.parametrize("harm", [truncate, flip, os.unlink])
def test_a_damaged_file_is_refused_by_name(gallery_folder, name, harm):
    root = gallery_folder()
    harm(root / name)
    with pytest.raises(DataError) as caught:
        Gallery(root)
    assert caught.value.where == str(root / name)


@pytest.mark.parametrize("harm", [truncate, flip, os.unlink])
@pytest.mark.parametrize("name", ["index/image/populated.index", "index/image/merged.ivfdata"])
def test_a_damaged_index_is_refused_by_name(embeddings_folder, tmp_path, name, harm):
    pytest.importorskip("faiss")
    options = BuildOptions("toy", "toy/pooled", kind="ivf-sq8", on_disk=True)
    build_gallery(embeddings_folder(1, 200), tmp_path / "g", options)
    harm(tmp_path / "g" / name)
    with pytest.raises(DataError) as caught:
        Gallery(tmp_path / "g")
    assert caught.value.where == str(tmp_path / "g" / name)


def test_a_shard_of_another_width_is_refused_even_with_a_matching_manifest_entry(gallery_folder):
    root = gallery_folder()
    np.save(root / SHARD, np.zeros((100, 8), np.float16))
    plain = json.loads((root / MANIFEST).read_text())
    del plain["checksum"]
    plain["embeddings"]["image"][1] |= {"bytes": (root / SHARD).stat().st_size, "sha256": ""}
    (root / MANIFEST).write_text(json.dumps(plain))
    with pytest.raises(DataError, match="100 x 8") as caught:
        Gallery(root)
    assert caught.value.where == str(root / SHARD)


def test_a_manifest_with_the_wrong_dimension_is_refused(gallery_folder):
    root = gallery_folder()
    plain = json.loads((root / MANIFEST).read_text())
    del plain["checksum"]
    (root / MANIFEST).write_text(json.dumps({**plain, "dim": 17}))
    with pytest.raises(DataError, match="the manifest says 100 x 17"):
        Gallery(root)


def test_a_shard_stored_by_columns_is_refused(gallery_folder):
    root = gallery_folder()
    np.save(root / SHARD, np.asfortranarray(np.load(root / SHARD)))
    with pytest.raises(DataError, match="column by column"):
        Gallery(root, "sizes")


def test_a_flipped_byte_with_the_old_time_is_found_by_a_full_check(gallery_folder):
    root = gallery_folder()
    Gallery(root)
    path = root / SHARD
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    Gallery(root)
    with pytest.raises(DataError, match="checksum"):
        Gallery(root, "full")
    assert damaged(root, Gallery(root, "sizes").manifest) == [
        (SHARD, "A gallery file is damaged: its checksum is not the manifest's.")
    ]


def test_a_whole_gallery_is_hashed_once_and_then_trusted(gallery_folder):
    root = gallery_folder()
    (root / SEAL).unlink()
    assert Gallery(root).check.hashed == 9
    assert Gallery(root).check.hashed == 0
    (root / SHARD).touch()
    assert Gallery(root).check.hashed == 1


def test_a_gallery_too_large_to_hash_at_opening_says_so(gallery_folder, monkeypatch):
    root = gallery_folder()
    (root / SEAL).unlink()
    monkeypatch.setattr(checking, "HASH_AT_OPENING", 10)
    assert (Gallery(root).check.hashed, Gallery(root).check.unverified) == (0, 9)
    assert Gallery(root, "full").check.unverified == 0


def test_a_broken_seal_only_means_hashing_again(gallery_folder):
    root = gallery_folder()
    (root / SEAL).write_text("{nonsense")
    assert Gallery(root).check.hashed == 9
