"""Two-way identification and a whole metric table, against what published evaluation scripts do.

    python benchmarks/metrics.py [--quick] [--part two-way|table]

Both sides run in turns in one process on one thread; CPU time, median and minimum of the turns. Counts of pictures
that go through networks are exact. Memory is the peak of what numpy allocates beyond the features themselves.
"""

from __future__ import annotations

import argparse
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from bdk.metrics import NetworkSet, score_images
from bdk.metrics.identification import two_way
from bdk.metrics.presets import MINDEYE
from interleaved import race, table, verdict
from threadpoolctl import threadpool_limits


def published(stimuli: np.ndarray, reconstructions: np.ndarray) -> float:
    """Two-way identification as Brain-Diffuser and MindEye compute it."""
    n = len(stimuli)
    r = np.corrcoef(stimuli, reconstructions)[:n, n:]
    return float(np.mean(np.sum(r < np.diag(r), 0)) / (n - 1))


def ours(stimuli: np.ndarray, reconstructions: np.ndarray) -> float:
    """Two-way identification of this package, with everything its intervals and tests need."""
    return two_way(stimuli, reconstructions).value


def features(n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rectified features of stimuli and reconstructions, float32."""
    generator = np.random.default_rng(0)
    stimuli = generator.standard_normal((n, width), dtype=np.float32)
    reconstructions = generator.standard_normal((n, width), dtype=np.float32) * 150
    reconstructions += stimuli
    return np.maximum(stimuli, 0, out=stimuli), np.maximum(reconstructions, 0, out=reconstructions)


def peak_bytes(work: Callable[[], object]) -> int:
    """Peak of numpy's allocations during one call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def compare_two_way(n: int, width: int, turns: int) -> None:
    """The published formula and ours on the same features."""
    stimuli, reconstructions = features(n, width)
    half = features(n, width // 2)
    works = {
        "numpy.corrcoef, 2N x 2N": lambda: published(stimuli, reconstructions),
        "bdk": lambda: ours(stimuli, reconstructions),
        "bdk, half the features": lambda: ours(*half),
    }
    times = race(works, turns)
    peaks = {name: peak_bytes(work) for name, work in works.items()}
    theirs, own, short = works
    print(f"two-way identification, {n} stimuli x {width} features ({stimuli.nbytes / 1e6:.0f} MB a side)\n")
    table(
        ("", "median s", "least s", "peak MB", "value"),
        [
            (x, f"{t.median / 1e3:.2f}", f"{t.least / 1e3:.2f}", f"{peaks[x] / 1e6:.0f}", f"{works[x]():.6f}")
            for x, t in times.items()
        ],
    )
    ratio, memory = times[theirs].median / times[own].median, peaks[own] / peaks[theirs]
    difference = abs(works[theirs]() - works[own]())
    table(
        ("goal", "measured", ""),
        [
            (
                "at least 3 times faster",
                f"{ratio:.1f} (least: {times[theirs].least / times[own].least:.1f})",
                verdict(ratio >= 3),
            ),
            ("at most half the memory", f"{memory:.2f}", verdict(memory <= 0.5)),
            ("difference at most 1e-5", f"{difference:.1e}", verdict(difference <= 1e-5)),
            ("twice the features, about twice the time", f"{times[own].least / times[short].least:.2f}", ""),
        ],
    )


def compare_table(rows: int, n: int, turns: int) -> None:
    """A table of several rows: each column embeds both sides anew, or every network sees each picture once."""
    generator = torch.Generator().manual_seed(0)
    stimuli = torch.rand(n, 3, 64, 64, generator=generator)
    made = [torch.rand(n, 3, 64, 64, generator=generator) for _ in range(rows)]
    columns = ["alex2", "alex5", "eff"]
    print(f"a table of {rows} rows, {n} stimuli, columns {', '.join(columns)} (random weights)\n")

    def each_column_anew(networks: NetworkSet) -> None:
        for reconstructions in made:
            for column in columns:
                tap = networks.tap(column, MINDEYE)
                sides = []
                for images in (stimuli, reconstructions):
                    batches = [tap.network.prepare(part, MINDEYE) for part in images.split(16)]
                    sides.append(torch.cat([tap.network.features(part)[tap.layer] for part in batches]).numpy())
                ours(*sides)

    def once(networks: NetworkSet) -> None:
        with tempfile.TemporaryDirectory() as cache:
            for reconstructions in made:
                score_images(
                    stimuli,
                    reconstructions,
                    networks=networks,
                    metrics=columns,
                    feature_cache=Path(cache),
                    permutations=100,
                )

    sets = {"every row and column anew": NetworkSet.random(), "bdk, with intervals and tests": NetworkSet.random()}
    anew, shared = sets
    each_column_anew(sets[anew])
    once(sets[shared])
    seen = {name: sum(network.pictures_seen for network in networks.all_networks()) for name, networks in sets.items()}
    times = race({anew: lambda: each_column_anew(sets[anew]), shared: lambda: once(sets[shared])}, turns)
    table(
        ("", "median s", "least s", "pictures through networks"),
        [(x, f"{t.median / 1e3:.2f}", f"{t.least / 1e3:.2f}", seen[x]) for x, t in times.items()],
    )
    fewer, once_each = seen[anew] / seen[shared], seen[shared] == 2 * n * (rows + 1)
    print(f"{times[anew].median / times[shared].median:.1f} times faster, {fewer:.1f} times fewer pictures;")
    print(f"each of the 2 networks sees each of the {n * (rows + 1)} pictures once: {verdict(once_each)}")


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer turns")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--part", choices=["two-way", "table"], help="one comparison alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if options.part != "table":
            compare_two_way(*((300, 20_000, 3) if options.quick else (982, 57_600, options.turns)))
        if options.part != "two-way":
            compare_table(*((3, 8, 2) if options.quick else (6, 12, 3)))


if __name__ == "__main__":
    main()
