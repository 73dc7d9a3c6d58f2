"""The same plan on a cluster: the same table, and a worker that dies costs the step it was at."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from bdk.artifacts import Store
from bdk.errors import PlanError, SpecError
from bdk.executors import _asked
from bdk.runs import execute, planned, silent

from tests.tiny import UNPAINTED, spec

pytest.importorskip("distributed")

TEXT = '[grid]\nfusion = ["average", "ram"]\n'


def run(folder: Path, out: str, **options):
    return execute(
        [spec(folder, TEXT)], out=folder / out, store=folder / f"{out}-store", overrides=UNPAINTED, **options
    )


def tables(folder: Path, out: str) -> dict[str, bytes]:
    return {name: (folder / out / name).read_bytes() for name in ("table.md", "table.csv", "table.tex")}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The folder of one undisturbed run in one process, and how it ended."""
    folder = tmp_path_factory.mktemp("serial")
    return folder, run(folder, "serial")


@pytest.mark.slow
def test_dask_makes_the_same_table_as_one_process_and_tells_of_every_step(serial, tmp_path):
    folder, whole = serial
    events: list[dict] = []
    dask = run(tmp_path, "dask", executor="dask", cluster="local:2", tell=events.append)
    assert dask.made == whole.made and dask.failures == {}
    assert tables(tmp_path, "dask") == tables(folder, "serial")
    told = {kind: {event["key"] for event in events if event["event"] == kind} for kind in ("start", "done", "row")}
    assert told["start"] == told["done"] == set(whole.plan.steps)
    assert told["row"], "no worker told of a loss"


@pytest.mark.slow
def test_a_worker_killed_in_a_step_costs_that_step_only(serial, tmp_path):
    folder, whole = serial
    store = tmp_path / "killed-store"
    killed: list[int] = []
    finished: dict[Path, int] = {}

    def kill_a_worker():
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not killed:
            if list(store.glob(".partial/*/work/fit")):
                finished.update({path: path.stat().st_ino for path in store.glob("*/recipe.json")})
                killed.append(_workers()[0])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.02)

    thread = threading.Thread(target=kill_a_worker)
    thread.start()
    ended = run(tmp_path, "killed", executor="dask", cluster="local:2")
    thread.join()
    assert killed and finished, "no worker was killed in a step"
    assert ended.failures == {} and ended.made == whole.made
    assert {path: path.stat().st_ino for path in finished} == finished, "a finished step was made again"
    assert tables(tmp_path, "killed") == tables(folder, "serial")


def _workers() -> list[int]:
    """Process ids of dask's workers below this process, the busiest first."""
    import psutil

    children = psutil.Process().children(recursive=True)
    found = [child for child in children if any("spawn_main" in word for word in child.cmdline())]
    return [child.pid for child in sorted(found, key=lambda child: sum(child.cpu_times()[:2]), reverse=True)]


def test_an_unknown_cluster_is_refused_with_the_file_to_write(tmp_path):
    with pytest.raises(SpecError, match=r"clusters\.toml"):
        run(tmp_path, "run", executor="dask", cluster="slurm")


def test_steps_ask_for_what_the_cluster_speaks_of(tmp_path):
    plan, registry = planned([spec(tmp_path)], overrides=UNPAINTED)
    asked = _asked(plan, registry, Store(tmp_path / "store"), {"GPU": 1, "MEMORY": 1e12})
    needs = {plan.steps[key].label: needs for key, needs in asked.items()}
    assert needs["estimate image (mamba + diffusion)"] == {"GPU": 1, "MEMORY": pytest.approx(1e7, rel=0.9)}
    assert needs["measure"] is None
    assert set(_asked(plan, registry, Store(tmp_path / "store"), {}).values()) == {None}


def test_a_step_too_large_for_every_worker_is_refused_before_any_work(tmp_path):
    plan, registry = planned(["brainram"], overrides=[("data", "nsd")])
    with pytest.raises(PlanError, match=r"estimate image .* needs about 1\d\.\d GB, and no worker offers more than 8"):
        _asked(plan, registry, Store(tmp_path / "store"), {"MEMORY": 8e9})


def test_a_step_that_is_there_asks_for_nothing(tmp_path):
    overrides = [*UNPAINTED, ("guides", "text"), ("fusion", "none"), ("retriever", "none")]
    finished = execute([spec(tmp_path)], out=tmp_path / "run", store=tmp_path / "store", overrides=overrides)
    registry = planned([spec(tmp_path)], overrides=overrides)[1]
    asked = _asked(finished.plan, registry, finished.store, {"GPU": 1, "MEMORY": 1.0})
    assert set(asked.values()) == {None} and silent({}) is None
