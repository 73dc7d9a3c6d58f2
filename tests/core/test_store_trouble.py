"""Disks that are full or may not be written, and files that rot: a clear error or a remade step, never another number."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bdk.arrays import new_array
from bdk.artifacts import Store
from bdk.errors import ArtifactError
from bdk.report.files import write_whole
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec

KEY = "b" * 64
RECIPE = {"kind": "test", "label": "test"}
FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
IN_A_NAMESPACE = ["unshare", "--map-root-user", "--mount"]
"""Runs a command that may mount file systems of its own, seen by nobody else."""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    trial = [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="file systems cannot be mounted here")


@needs_full_device
def test_a_disk_that_fills_up_while_a_step_writes_is_told_as_such(tmp_path):
    def builder(out, work):
        FULL.write_bytes(b"x")

    with pytest.raises(ArtifactError, match="disk is full"):
        Store(tmp_path).make(KEY, RECIPE, builder)
    assert KEY not in Store(tmp_path)


def test_a_library_that_says_in_words_that_the_disk_is_full_is_understood(tmp_path):
    def builder(out, work):
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    with pytest.raises(ArtifactError, match="disk is full"):
        Store(tmp_path).make(KEY, RECIPE, builder)


def test_a_file_that_may_not_be_read_is_no_fault_of_the_store(tmp_path):
    def builder(out, work):
        raise PermissionError(13, "Permission denied", "/data/betas.npy")

    with pytest.raises(PermissionError, match=r"betas\.npy"):
        Store(tmp_path).make(KEY, RECIPE, builder)


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_whole(tmp_path / "run" / "table.md", "text")


def damage(path: Path, how: int) -> None:
    """Flip one bit, or cut the last byte off."""
    content = bytearray(path.read_bytes())
    if how % 2:
        content[len(content) // 2] ^= 1
    else:
        del content[-1]
    path.write_bytes(content)


def test_every_artifact_that_rots_is_made_again_and_no_number_changes(tmp_path):
    overrides = [("decoder", "nearest"), ("measure.metrics", '["pixcorr", "clip", "image_retrieval"]')]

    def run(out):
        return execute([spec(tmp_path)], out=tmp_path / out, store=tmp_path / "store", overrides=overrides)

    finished = run("first")
    for number, key in enumerate(finished.plan.steps):
        largest = max((tmp_path / "store" / key).glob("*[!n]"), key=lambda path: path.stat().st_size)
        damage(largest, number)
    cached = sorted((tmp_path / "store" / ".cache" / "features").glob("*.npy"))
    for number, path in enumerate(cached):
        damage(path, number)
    assert cached, "no feature was cached"
    again = run("again")
    assert again.made == len(finished.plan.steps)
    assert len(list((tmp_path / "store" / ".damaged").iterdir())) == again.made
    first, second = ((tmp_path / out / "metrics.json").read_bytes() for out in ("first", "again"))
    assert first == second
    assert run("third").made == 0


SMALL_DISK = """
import json, pathlib, subprocess, sys
from bdk.arrays import new_array
from bdk.errors import BdkError
from bdk.runs import execute

spec, store, read_only, out, overrides = *sys.argv[1:5], json.loads(sys.argv[5])
said = []

def mount(*words):
    subprocess.run(["mount", *words], check=True)

def run(store):
    try:
        said.append(["made", execute([spec], out=out, store=store, overrides=overrides).made])
    except BdkError as error:
        said.append([type(error).__name__, error.what])

mount("-t", "tmpfs", "-o", "size=200k", "none", store)
large = pathlib.Path(store) / "large.npy"
try:
    new_array(large, "float32", (1000, 1000))
except OSError as error:
    said.append(["OSError", error.errno])
large.unlink()
for size in ("200k", "1500k", "3m", "6m"):
    mount("-o", f"remount,size={size}", store)
    run(store)
mount("--bind", store, read_only)
mount("-o", "remount,bind,ro", read_only)
run(read_only)
mount("-o", "remount,size=400m", store)
run(store)
print(json.dumps(said))
"""


@needs_mount
@pytest.mark.slow
def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path):
    path, folders = spec(tmp_path), [tmp_path / name for name in ("small", "read-only")]
    for folder in folders:
        folder.mkdir()
    more = [path, *map(str, folders), str(tmp_path / "run"), json.dumps(UNPAINTED)]
    command = [sys.executable, "-c", SMALL_DISK, *more]
    ended = subprocess.run([*IN_A_NAMESPACE, *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr  # a bus error would show here
    array, *full, read_only, (word, made) = json.loads(ended.stdout)
    assert array == ["OSError", 28]
    assert {name for name, _ in full} == {"ArtifactError"} and all("disk is full" in what for _, what in full)
    assert read_only[0] == "SpecError" and "cannot be written (EROFS)" in read_only[1]
    whole = execute([path], out=tmp_path / "whole", store=tmp_path / "whole-store", overrides=UNPAINTED)
    assert word == "made" and 0 < made < whole.made, "what was made before the disk filled up was made again"
    first, second = ((tmp_path / out / "metrics.json").read_bytes() for out in ("run", "whole"))
    assert first == second


def test_a_new_array_is_all_zeros_and_reads_back(tmp_path):
    array = new_array(tmp_path / "a.npy", "float32", (3, 2))
    assert array.sum() == 0 and (tmp_path / "a.npy").stat().st_size == 128 + 24
