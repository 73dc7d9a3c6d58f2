import json
import shutil

import pytest
from bdk.errors import DataError, RetrieverUnavailableError, SpaceMismatchError
from bdk.galleries.manifest import MANIFEST, read_manifest
from bdk.galleries.resolving import find_gallery


def test_a_manifest_survives_writing_and_reading(gallery_folder):
    root = gallery_folder(licence="CC0", languages=("en",))
    manifest = read_manifest(root)
    assert (manifest.n, manifest.dim, manifest.licence, manifest.languages) == (300, 16, "CC0", ("en",))
    assert [shard.rows for shard in manifest.embeddings["image"]] == [100, 100, 100]
    assert all(len(file.sha256) == 64 for file in manifest.files())


def test_the_fingerprint_does_not_depend_on_the_folder(gallery_folder, tmp_path):
    root = gallery_folder()
    shutil.copytree(root, tmp_path / "elsewhere")
    assert read_manifest(root).fingerprint() == read_manifest(tmp_path / "elsewhere").fingerprint()


def test_the_fingerprint_changes_with_the_content(gallery_folder):
    assert (
        read_manifest(gallery_folder("a")).fingerprint() != read_manifest(gallery_folder("b", shards=2)).fingerprint()
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n": 299}, "n = 299"),
        ({"format": "bdk-gallery/9"}, "format"),
        ({"dim": "wide"}, "dim"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_manifest_is_refused_with_file_and_field_named(gallery_folder, change, word):
    root = gallery_folder()
    plain = json.loads((root / MANIFEST).read_text())
    (root / MANIFEST).write_text(json.dumps({**plain, **change}))
    with pytest.raises(DataError, match=word) as caught:
        read_manifest(root)
    assert caught.value.where == str(root / MANIFEST)


def test_a_manifest_that_is_not_json_is_refused(gallery_folder):
    root = gallery_folder()
    (root / MANIFEST).write_bytes(b"\xff\xfe nonsense")
    with pytest.raises(DataError, match="not readable JSON"):
        read_manifest(root)


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(gallery_folder):
    path = gallery_folder() / MANIFEST
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError) as caught:
            read_manifest(path.parent)
        assert caught.value.where == str(path)


def test_a_manifest_changed_on_purpose_is_read_without_its_checksum(gallery_folder):
    root = gallery_folder()
    plain = json.loads((root / MANIFEST).read_text())
    (root / MANIFEST).write_text(json.dumps({**plain, "licence": "CC0"}))
    with pytest.raises(DataError, match="checksum") as caught:
        read_manifest(root)
    assert "on purpose" in caught.value.mend
    del plain["checksum"]
    (root / MANIFEST).write_text(json.dumps({**plain, "licence": "CC0"}))
    assert read_manifest(root).licence == "CC0"


def test_queries_of_another_model_or_size_are_refused(gallery_folder):
    manifest = read_manifest(gallery_folder())
    manifest.require_query("toy/pooled", 16)
    for model, dim in (("other/pooled", 16), ("toy/pooled", 32)):
        with pytest.raises(SpaceMismatchError, match="but the queries are"):
            manifest.require_query(model, dim)


def test_a_gallery_is_found_through_the_users_file(gallery_folder, tmp_path, monkeypatch):
    root = gallery_folder("mine")
    monkeypatch.setenv("BDK_GALLERIES", str(tmp_path / "galleries.toml"))
    with pytest.raises(RetrieverUnavailableError, match="laion2b") as caught:
        find_gallery("laion2b", None)
    assert "bdk index build" in caught.value.mend and str(tmp_path / "galleries.toml") in caught.value.mend
    (tmp_path / "galleries.toml").write_text('laion2b = "mine"\n')
    assert find_gallery("laion2b", None) == root


def test_an_explicit_root_wins_and_must_hold_a_gallery(gallery_folder, tmp_path):
    assert find_gallery("laion2b", str(gallery_folder())).name == "small"
    with pytest.raises(RetrieverUnavailableError, match="no gallery"):
        find_gallery("laion2b", str(tmp_path))


def test_a_users_file_that_is_no_table_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_GALLERIES", str(tmp_path / "g.toml"))
    (tmp_path / "g.toml").write_text("laion2b = 3\n")
    with pytest.raises(DataError) as caught:
        find_gallery("laion2b", None)
    assert caught.value.where == str(tmp_path / "g.toml")
