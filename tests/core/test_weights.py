"""The manifest of weights: nothing is used unchecked, nothing is fetched unasked."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from bdk import weights
from bdk.errors import ArtifactError, DataError, UnknownNameError, WeightsMissingError
from bdk.weights import KNOWN, Known, Manifest, weights_digest


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"some weights")
    return path


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    return Manifest.load(tmp_path / "weights")


def test_added_weights_are_found_again_by_another_process(manifest, file):
    manifest.add("mine", file)
    entry = Manifest.load(manifest.folder).entry("mine")
    assert entry.path == file.resolve() and entry.sha256 == weights_digest(file) and entry.bytes == 12


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path / "elsewhere"))
    assert Manifest.load().folder == tmp_path / "elsewhere"


def test_missing_weights_name_the_line_that_gets_them(manifest):
    with pytest.raises(WeightsMissingError, match="bdk weights fetch alexnet"):
        manifest.entry("alexnet")
    with pytest.raises(WeightsMissingError, match="bdk weights add my-net PATH"):
        manifest.entry("my-net")


def test_a_file_that_went_away_or_changed_its_size_is_missing(manifest, file):
    manifest.add("mine", file)
    file.write_bytes(b"other")
    with pytest.raises(WeightsMissingError, match="gone, or changed"):
        manifest.entry("mine")
    file.unlink()
    with pytest.raises(WeightsMissingError, match="gone, or changed"):
        manifest.entry("mine")


def test_verify_finds_a_change_that_keeps_the_size(manifest, file):
    manifest.add("mine", file)
    assert manifest.verify("mine").name == "mine"
    file.write_bytes(b"SOME weights")
    with pytest.raises(DataError, match="changed"):
        manifest.verify("mine")


def test_a_file_that_is_not_what_was_published_is_refused(manifest, file):
    with pytest.raises(DataError, match="not the published alexnet"):
        manifest.add("alexnet", file)
    assert "alexnet" not in Manifest.load(manifest.folder).entries


def test_a_folder_of_weights_has_one_checksum(manifest, tmp_path):
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "a.safetensors").write_bytes(b"a")
    first = manifest.add("model", folder).sha256
    (folder / "config.json").write_text("{}")
    assert manifest.add("model", folder).sha256 != first


def test_removed_weights_leave_their_file(manifest, file):
    manifest.add("mine", file)
    manifest.remove("mine")
    assert file.exists() and "mine" not in Manifest.load(manifest.folder).entries
    with pytest.raises(UnknownNameError):
        manifest.remove("mine")


def test_a_missing_file_cannot_be_added(manifest, tmp_path):
    with pytest.raises(DataError, match="no file"):
        manifest.add("mine", tmp_path / "nothing")


def test_a_damaged_manifest_is_an_error_and_not_an_empty_one(manifest, file):
    manifest.add("mine", file)
    (manifest.folder / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Manifest.load(manifest.folder)


def test_the_manifest_is_plain_json(manifest, file):
    manifest.add("mine", file)
    assert json.loads((manifest.folder / "manifest.json").read_text())["weights"][0]["name"] == "mine"


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "net.pth").write_bytes(b"published weights")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def test_fetch_downloads_checks_and_notes(manifest, server, monkeypatch):
    sha = weights_digest(manifest.folder.parent / "served" / "net.pth")
    monkeypatch.setitem(KNOWN, "net", Known("net", "", f"{server}/net.pth", sha[:8]))
    entry = manifest.fetch("net")
    assert entry.path.read_bytes() == b"published weights" and entry.source == f"{server}/net.pth"
    assert manifest.verify("net").sha256 == sha


def test_a_download_that_is_not_what_was_published_is_not_noted(manifest, server, monkeypatch):
    monkeypatch.setitem(KNOWN, "net", Known("net", "", f"{server}/net.pth", "00000000"))
    with pytest.raises(DataError, match="not the published"):
        manifest.fetch("net")
    assert "net" not in manifest.entries
    assert not list(manifest.folder.glob("net-*"))


def test_a_failed_download_leaves_nothing_behind(manifest, server, monkeypatch):
    monkeypatch.setitem(KNOWN, "net", Known("net", "", f"{server}/absent.pth"))
    with pytest.raises(WeightsMissingError, match="download failed"):
        manifest.fetch("net")
    assert not [path for path in manifest.folder.iterdir() if path.is_file()]


def test_weights_without_a_known_address_cannot_be_fetched(manifest):
    with pytest.raises(UnknownNameError, match="No address"):
        manifest.fetch("my-net")


def test_only_fetch_opens_an_address(manifest, file, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("opened an address")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)
    manifest.add("mine", file)
    manifest.verify("mine")
    with pytest.raises(WeightsMissingError):
        manifest.entry("alexnet")
