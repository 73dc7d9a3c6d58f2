"""Timing that a busy machine cannot fool easily: competitors take turns, in CPU time, on one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Time(NamedTuple):
    """CPU milliseconds of several turns."""

    median: float
    least: float


def race(competitors: Mapping[str, Callable[[], object]], turns: int = 7) -> dict[str, Time]:
    """Let each run once to warm up, then all in turn (A B C A B C ...)."""
    for run in competitors.values():
        run()
    spent: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(turns):
        for name, run in competitors.items():
            start = time.process_time()
            run()
            spent[name].append(1e3 * (time.process_time() - start))
    return {name: Time(statistics.median(times), min(times)) for name, times in spent.items()}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a Markdown table."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    print()


def verdict(met: bool) -> str:
    """How a goal's row ends."""
    return "met" if met else "NOT MET"
