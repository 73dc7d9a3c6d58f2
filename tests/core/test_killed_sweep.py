"""A sweep that is killed again and again ends with the table of an undisturbed one, and with its artifacts, byte by
byte; two commands on one store make every step once."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec

KILLS = 10
TEXT = '[grid]\nfusion = ["average", "ram", "cross-attention"]\n'
LONGER = [*UNPAINTED, ("stage1.steps", "12"), ("stage2.steps", "9")]
FORKS = multiprocessing.get_context("forkserver")
"""Starts each command from a process that has imported torch already: ten starts cost what one costs."""
FORKS.set_forkserver_preload(["tests.core.test_killed_sweep", "bdk.measure", "bdk.estimate", "bdk.retrieve"])


def command(path: str, folder: Path, store: Path, planned: Event) -> None:
    """What ``bdk run`` does, in a process of its own; tells when it has planned, and leaves how many steps it made."""
    done = execute([path], out=folder, store=store, overrides=LONGER, tell=lambda event: planned.set())
    (folder / "made.json").write_text(json.dumps([done.made, len(done.plan.steps), len(done.failures)]))


def start(path: str, folder: Path, store: Path) -> BaseProcess:
    """Start the command, and come back when it has planned."""
    planned = FORKS.Event()
    process = FORKS.Process(target=command, args=(path, folder, store, planned))
    process.start()
    while not planned.wait(0.02):
        assert process.is_alive() or planned.is_set(), "the command ended before it had planned"
    return process


def run(path: str, folder: Path, store: Path) -> float:
    """Run undisturbed; seconds it took after planning."""
    process, began = start(path, folder, store), time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


def files_of(store: Path) -> dict[str, dict[str, str]]:
    """Checksum of every file of every artifact, by its key."""
    recipes = {path.parent.name: json.loads(path.read_text()) for path in store.glob("*/recipe.json")}
    return {key: {name: file["sha256"] for name, file in recipe["files"].items()} for key, recipe in recipes.items()}


def traces(store: Path) -> set[Path]:
    """What a command leaves as it goes: steps begun, checkpoints, finished artifacts."""
    return {*store.glob(".partial/*"), *store.glob(".partial/*/work/*/*"), *store.glob("*/recipe.json")}


def kill_at_random(path: str, folder: Path, store: Path, length: float) -> None:
    """Kill the command ten times, each time at a random moment after it left a new trace; once it leaves none, since all
    is made, after it has planned."""
    chance, killed, seen, is_made = random.Random(7), 0, traces(store), False
    while killed < KILLS:
        process = start(path, folder, store)
        while process.is_alive() and not is_made and traces(store) <= seen:
            time.sleep(0.01)
        process.join(chance.uniform(0, length / 30))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        else:
            is_made = True
        process.join()
        seen |= traces(store)


@pytest.mark.slow
def test_ten_kills_change_nothing_in_the_table_or_in_the_artifacts(tmp_path):
    path, folder, store = spec(tmp_path, TEXT), tmp_path / "killed", tmp_path / "killed-store"
    length = run(path, tmp_path / "whole", tmp_path / "whole-store")
    kill_at_random(path, folder, store, length)
    assert len(files_of(store)) > 3, "it was killed before it had made anything"
    run(path, folder, store)
    made, steps, failures = json.loads((folder / "made.json").read_text())
    assert made < steps and failures == 0
    for name in ("table.md", "table.csv", "table.tex"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert files_of(store) == files_of(tmp_path / "whole-store")


@pytest.mark.slow
def test_two_commands_on_one_store_make_every_step_once(tmp_path):
    path, store = spec(tmp_path, TEXT), tmp_path / "store"
    running = [start(path, tmp_path / name, store) for name in ("one", "two")]
    for process in running:
        process.join()
    (one, steps, _), (two, _, _) = (json.loads((tmp_path / name / "made.json").read_text()) for name in ("one", "two"))
    assert one + two == steps == len(files_of(store))
    assert (tmp_path / "one" / "table.md").read_bytes() == (tmp_path / "two" / "table.md").read_bytes()
