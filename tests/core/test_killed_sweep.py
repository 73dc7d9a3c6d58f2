"""A sweep that is killed again and again ends with the table of an undisturbed one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec

KILLS = 10
TEXT = '[grid]\nfusion = ["average", "ram", "cross-attention"]\n'


def start(path, folder):
    script = (
        "from bdk.runs import execute\n"
        f"execute([{path!r}], out={str(folder / 'run')!r}, store={str(folder / 'store')!r}, overrides={UNPAINTED!r})"
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_progress(process, store, seen) -> bool:
    """Until the store holds something new, or the process ends; whether it still runs."""
    while process.poll() is None:
        now = {path.name for path in store.glob("*") if len(path.name) == 64} | {
            str(path) for path in store.glob(".partial/*/work/*")
        }
        if now - seen:
            seen |= now
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_ten_kills_change_nothing_in_the_table(tmp_path):
    path, chance = spec(tmp_path, TEXT), random.Random(7)
    execute([path], out=tmp_path / "whole" / "run", store=tmp_path / "whole" / "store", overrides=UNPAINTED)
    killed, seen = 0, set()
    while killed < KILLS:
        process = start(path, tmp_path / "killed")
        if not wait_for_progress(process, tmp_path / "killed" / "store", seen):
            break
        time.sleep(chance.uniform(0, 0.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= KILLS or process.returncode == 0
    assert start(path, tmp_path / "killed").wait() == 0
    for name in ("table.md", "table.csv", "table.tex"):
        whole, after = (tmp_path / side / "run" / name for side in ("whole", "killed"))
        assert whole.read_bytes() == after.read_bytes()
    assert killed >= 5, "the sweep ended before it was killed often enough"


@pytest.mark.slow
def test_two_commands_on_one_store_make_every_step_once(tmp_path):
    path = spec(tmp_path, TEXT)
    script = (
        "from bdk.runs import execute\nimport sys\n"
        f"done = execute([{path!r}], out=sys.argv[1], store={str(tmp_path / 'store')!r}, overrides={UNPAINTED!r})\n"
        "print(done.made, len(done.plan.steps))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / name)], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    counts = [tuple(map(int, process.communicate()[0].split())) for process in running]
    assert sum(made for made, _ in counts) == counts[0][1]
    assert (tmp_path / "one" / "table.md").read_bytes() == (tmp_path / "two" / "table.md").read_bytes()
