"""No combination of flags and no damaged file may crash the process. Searches run in processes of their own."""

import itertools
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from bdk.errors import DataError, MissingExtraError
from bdk.galleries import faiss_files
from bdk.galleries.building import BuildOptions, build_gallery
from bdk.galleries.faiss_files import lists_file, open_index, probe, require_faiss

faiss = pytest.importorskip("faiss")
FLAGS = ("mmap", "read-only", "ondisk-same-dir")
COMBINATIONS = [combination for n in range(4) for combination in itertools.combinations(FLAGS, n)]
MANY = """
import sys, numpy as np
from pathlib import Path
from bdk.galleries.faiss_files import open_index
for line in sys.argv[2:]:
    index = open_index(Path(sys.argv[1]), [flag for flag in line.split("+") if flag]).index
    print(line, index.search(np.ones((4, index.d), np.float32), 3)[1].tolist(), flush=True)
"""


@pytest.fixture
def built(embeddings_folder, tmp_path):
    def build(on_disk):
        out = tmp_path / f"gallery-{on_disk}"
        manifest = build_gallery(
            embeddings_folder(name=f"emb-{on_disk}"),
            out,
            BuildOptions("toy", "toy/pooled", kind="ivf-sq8", on_disk=on_disk),
        )
        return out / manifest.indexes["image"].files[0].path

    return build


def search_apart(path):
    lines = ["+".join(combination) for combination in COMBINATIONS]
    return subprocess.run([sys.executable, "-c", MANY, str(path), *lines], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("on_disk", [True, False])
def test_no_flags_crash_a_search(built, on_disk):
    done = search_apart(built(on_disk))
    assert done.returncode == 0, done.stderr
    answers = {line.split(" ", 1)[1] for line in done.stdout.splitlines()}
    assert len(done.stdout.splitlines()) == 8 and len(answers) == 1


def test_mmap_is_dropped_and_recorded_for_lists_on_disk(built):
    opened = open_index(built(True), ["mmap", "read-only"])
    assert (opened.on_disk, opened.flags, opened.dropped) == (True, ("ondisk-same-dir", "read-only"), ("mmap",))
    plain = open_index(built(False), ["mmap"])
    assert (plain.on_disk, plain.flags, plain.dropped) == (False, ("mmap",), ())


def test_a_moved_index_finds_its_lists_beside_it(built, tmp_path):
    path = built(True)
    shutil.move(path.parent, tmp_path / "moved")
    assert open_index(tmp_path / "moved").index.ntotal == 2000
    assert probe(tmp_path / "moved")["on_disk"]


@pytest.mark.parametrize("harm", ["missing", "short", "long"])
def test_a_lists_file_that_is_not_whole_is_refused(built, harm):
    path = built(True)
    lists = path.parent / "merged.ivfdata"
    if harm == "missing":
        lists.unlink()
    else:
        os.truncate(lists, lists.stat().st_size + (1 if harm == "long" else -4096))
    with pytest.raises(DataError) as caught:
        open_index(path)
    assert caught.value.where == str(lists)


@pytest.mark.parametrize("harm", ["offset", "size"])
def test_a_list_that_would_lie_outside_its_file_is_refused(built, harm):
    path = built(True)
    data = bytearray(path.read_bytes())
    table = data.index(b"ilod") + 4 + 24
    (capacity,) = struct.unpack_from("<Q", data, table + 8)
    struct.pack_into("<Q", data, table + (16 if harm == "offset" else 0), 1 << 40 if harm == "offset" else capacity + 1)
    path.write_bytes(data)
    with pytest.raises(DataError, match="outside merged") as caught:
        open_index(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("kept", [0, 3, 100, 5000])
def test_a_truncated_index_is_refused_by_name(built, kept):
    path = built(False)
    os.truncate(path, kept)
    with pytest.raises(DataError) as caught:
        open_index(path)
    assert caught.value.where == str(path)


def test_the_tag_alone_does_not_make_an_index_on_disk(tmp_path):
    path = tmp_path / "chance"
    path.write_bytes(b"IwFl" + b"ilod" + np.random.default_rng(0).bytes(4000) + b"ilod")
    assert lists_file(path) is None


def test_the_lists_file_is_read_from_the_index(built):
    path = built(True)
    found = lists_file(path)
    assert found is not None and found.bytes == (path.parent / "merged.ivfdata").stat().st_size


def test_a_reference_at_the_end_of_a_large_file_is_found(built, monkeypatch):
    path = built(True)
    monkeypatch.setattr(faiss_files, "SCANNED", path.stat().st_size // 3)
    assert lists_file(path) is not None


def test_a_crash_in_the_probe_is_an_error_here(built, monkeypatch):
    path = built(True)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DataError, match="cannot be opened and searched"):
        probe(path)


def test_a_hollow_faiss_is_told_from_a_missing_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", type(sys)("faiss"))
    with pytest.raises(MissingExtraError, match="hollow"):
        require_faiss()
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match="not installed") as caught:
        require_faiss()
    assert "brain-decoding-kit[cpu]" in caught.value.mend
