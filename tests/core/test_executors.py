from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from bdk.errors import SpecError
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec

pytest.importorskip("distributed")

TEXT = '[grid]\nfusion = ["average", "ram"]\n'


def run(tmp_path, out, **options):
    return execute(
        [spec(tmp_path, TEXT)], out=tmp_path / out, store=tmp_path / f"{out}-store", overrides=UNPAINTED, **options
    )


def tables(tmp_path, out):
    return {name: (tmp_path / out / name).read_bytes() for name in ("table.md", "table.csv", "table.tex")}


@pytest.mark.slow
def test_dask_makes_the_same_table_as_one_process(tmp_path):
    serial, dask = run(tmp_path, "serial"), run(tmp_path, "dask", executor="dask", cluster="local:2")
    assert dask.made == serial.made and dask.failures == {}
    assert tables(tmp_path, "dask") == tables(tmp_path, "serial")


@pytest.mark.slow
def test_a_worker_killed_in_a_step_costs_that_step_only(tmp_path):
    started: list[int] = []

    def kill_a_worker():
        store = tmp_path / "killed-store"
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if list(store.glob(".partial/*/work/fit")):
                for pid in _workers():
                    os.kill(pid, signal.SIGKILL)
                    started.append(pid)
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=kill_a_worker)
    thread.start()
    killed = run(tmp_path, "killed", executor="dask", cluster="local:2")
    thread.join()
    assert started, "no worker was killed"
    assert killed.failures == {}
    run(tmp_path, "whole")
    assert tables(tmp_path, "killed") == tables(tmp_path, "whole")


def _workers() -> list[int]:
    """Process ids of dask's workers below this process."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if any("spawn_main" in word for word in child.cmdline())]


def test_an_unknown_cluster_is_refused_with_the_file_to_write(tmp_path):
    with pytest.raises(SpecError, match=r"clusters\.toml"):
        run(tmp_path, "run", executor="dask", cluster="slurm")
