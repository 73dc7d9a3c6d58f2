"""An index build killed three times, and one spread over dask workers, beside one left alone: equal bytes, how much memory?

    python benchmarks/index_builds.py                          1,000,000 x 768 within 4 GB (about 6 GB of disk)
    python benchmarks/index_builds.py --rows 100000 --lists 256

Every build runs in processes of its own and their peak resident memory is read from the kernel, memory-mapped files
included. The kills are SIGKILL from outside: while the index is trained, while rows are added, while the result is
written. Equal means: every file of the finished galleries, the manifest included, byte by byte. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bdk.canonical import file_digest
from bdk.galleries.building import WORK, in_turn
from bdk.galleries.checking import SEAL
from bdk.galleries.index_plans import size
from interleaved import table, verdict
from search import build, embeddings


class Ended(NamedTuple):
    """How a process ended: status (negative: by that signal), CPU seconds, peak resident bytes."""

    status: int
    seconds: float
    peak: int


def peak_memory(process: str = "self") -> int:
    """Peak resident bytes of a running process; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def watched(command: list[str], should_die: Callable[[], bool]) -> Ended:
    """Run a command, kill it at the moment that ``should_die`` names, and say how it ended."""
    process = subprocess.Popen(command)
    peak = 0
    while True:
        peak = max(peak, peak_memory(str(process.pid)))
        gone, status, used = os.wait4(process.pid, os.WNOHANG)
        if gone:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Ended(process.returncode, used.ru_utime + used.ru_stime, peak)
        if should_die():
            process.send_signal(signal.SIGKILL)
        time.sleep(0.02)


def moments(out: Path) -> dict[str, Callable[[], bool]]:
    """When the build in ``out`` is killed: each while something is half done."""
    image = out / WORK / "image"
    return {
        "training": lambda: image.is_dir() and not (image / "trained.faiss").is_file(),
        "adding rows": lambda: (image / "block-000001.faiss").is_file(),
        "writing the result": lambda: any((out / "index").rglob("*.*")),
    }


def bytes_of(out: Path) -> dict[str, str]:
    """Checksum of every file of a gallery; the seal is left out, it holds times."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != SEAL)
    return {path.relative_to(out).as_posix(): file_digest(path) for path in files}


def spread(source: Path, out: Path, given: argparse.Namespace) -> dict[str, Ended]:
    """Build on dask workers; how each of them and the process that trains and merges has fared."""
    import distributed
    from bdk.galleries.cluster import dask_map

    options = {"n_workers": given.workers, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 40}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        build(source, out, given.kind, given.memory, given.lists, dask_map(client))
        told = client.run(lambda: (sum(os.times()[:2]), peak_memory()))
    workers = {f"dask worker {number}": Ended(0, *one) for number, one in enumerate(told.values(), start=1)}
    return workers | {"dask, trains and merges": Ended(0, sum(os.times()[:2]), peak_memory())}


def compare(given: argparse.Namespace) -> bool:
    """Build three times, print the table; whether all are equal and within the budget."""
    source = embeddings(given.folder, given.rows)
    outs = {name: given.folder / f"build-{name}-{given.rows}" for name in ("alone", "killed", "dask")}
    for out in outs.values():
        shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, *sys.argv[1:], "--only"]
    ended = {"left alone": watched([*command, str(outs["alone"])], lambda: False)}
    for name, moment in moments(outs["killed"]).items():
        ended[f"killed while {name}"] = watched([*command, str(outs["killed"])], moment)
    ended["resumed"] = watched([*command, str(outs["killed"])], lambda: False)
    ended |= spread(source, outs["dask"], given)
    print(f"\n{given.kind} of {given.rows:,} x 768, memory budget {size(given.memory)}\n")
    lines = [(label, one.status, f"{one.seconds:.0f}", size(one.peak)) for label, one in ended.items()]
    table(("build", "exit status", "CPU s", "peak memory"), lines)
    found = [bytes_of(out) for out in outs.values()]
    equal = all(one == found[0] for one in found) and len(found[0]) > 1
    within = max(one.peak for one in ended.values()) <= given.memory
    killed = all(one.status == -signal.SIGKILL for label, one in ended.items() if label.startswith("killed"))
    print(f"all {len(found[0])} files of the three galleries equal: {verdict(equal)}")
    print(f"every process within {size(given.memory)}: {verdict(within)}")
    print(f"each kill found the build at work: {verdict(killed)}")
    return equal and within and killed


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", default="ivf-sq8")
    parser.add_argument("--memory", type=float, default=4e9)
    parser.add_argument("--lists", type=int, default=1024, help="inverted lists; fewer train faster")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-search"), help="scratch folder")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        build(embeddings(given.folder, given.rows), given.only, given.kind, given.memory, given.lists, in_turn)
        return
    raise SystemExit(0 if compare(given) else 1)


if __name__ == "__main__":
    main()
