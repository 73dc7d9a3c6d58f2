from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from bdk.artifacts import Store
from bdk.errors import ArtifactError

KEY = "a" * 64
RECIPE = {"kind": "test", "label": "test"}


def write(out, work):
    np.save(out / "numbers.npy", np.arange(5))


def test_an_artifact_is_made_once(tmp_path):
    store = Store(tmp_path)
    assert store.make(KEY, RECIPE, write)[1] is True
    assert Store(tmp_path).make(KEY, RECIPE, write)[1] is False


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "recipe", "recipe-gone"])
def test_a_damaged_artifact_is_moved_aside_and_made_again(tmp_path, damage):
    path = Store(tmp_path).make(KEY, RECIPE, write)[0].path
    target = path / "numbers.npy"
    if damage == "flip":
        content = bytearray(target.read_bytes())
        content[-1] ^= 1
        target.write_bytes(content)
    elif damage == "truncate":
        target.write_bytes(target.read_bytes()[:-3])
    elif damage == "remove":
        target.unlink()
    elif damage == "recipe":
        (path / "recipe.json").write_text("{")
    else:
        (path / "recipe.json").unlink()
    artifact, made = Store(tmp_path).make(KEY, RECIPE, write)
    assert made and artifact.array("numbers.npy").tolist() == [0, 1, 2, 3, 4]
    if damage != "recipe-gone":
        assert len(list((tmp_path / ".damaged").iterdir())) == 1


def test_a_failing_maker_leaves_no_artifact_but_its_checkpoints(tmp_path):
    def fail(out, work):
        (work / "checkpoint").write_text("half")
        (out / "numbers.npy").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        Store(tmp_path).make(KEY, RECIPE, fail)
    assert KEY not in Store(tmp_path)

    def resume(out, work):
        assert (work / "checkpoint").read_text() == "half"
        assert not any(out.iterdir())
        write(out, work)

    assert Store(tmp_path).make(KEY, RECIPE, resume)[1]


def test_two_processes_make_a_key_once(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from bdk.artifacts import Store\n"
        "def slow(out, work):\n"
        "    time.sleep(1); (out / 'a.txt').write_text('x')\n"
        f"print(Store({str(tmp_path)!r}).make({KEY!r}, {RECIPE!r}, slow)[1])"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate()[0].strip() for process in running) == ["False", "True"]


def test_a_killed_maker_frees_its_lock(tmp_path):
    code = (
        "import time; from bdk.artifacts import Store\n"
        f"Store({str(tmp_path)!r}).make({KEY!r}, {RECIPE!r}, lambda out, work: time.sleep(60))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / ".partial" / KEY / "out").exists():
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert Store(tmp_path).make(KEY, RECIPE, write)[1]


def test_a_full_disk_is_told_as_such(tmp_path):
    def full(out, work):
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtifactError, match="disk is full"):
        Store(tmp_path).make(KEY, RECIPE, full)


def test_a_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        Store(tmp_path / "file" / "store").make(KEY, RECIPE, write)


def test_the_recipe_records_every_checksum(tmp_path):
    artifact, _ = Store(tmp_path).make(KEY, RECIPE, write)
    recipe = json.loads((artifact.path / "recipe.json").read_text())
    assert set(recipe["files"]) == {"numbers.npy"} and len(recipe["files"]["numbers.npy"]["sha256"]) == 64
    assert not any((tmp_path / ".partial").iterdir())
