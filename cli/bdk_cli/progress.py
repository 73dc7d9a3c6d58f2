"""How a run shows its progress: one live view on a terminal, plain lines elsewhere, JSON lines on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Tell = Callable[[Mapping[str, Any]], None]
ENDS = ("done", "failed", "skipped")
ROW_EVERY = 10.0
"""Seconds between two printed rows of losses where there is no terminal."""


@contextmanager
def watcher(*, log_json: bool = False, quiet: bool = False) -> Iterator[Tell]:
    """A taker of progress events for the length of a run."""
    if quiet:
        yield lambda event: None
    elif log_json:
        out = sys.stdout  # as it is now: later it may be kept for facts alone
        yield lambda event: print(json.dumps(dict(event), default=str), file=out, flush=True)
    elif sys.stderr.isatty():
        with _live() as tell:
            yield tell
    else:
        yield _Plain()


class _Plain:
    """One line per step, and a row of losses now and then."""

    def __init__(self) -> None:
        self.total, self.done, self.last = 0, 0, time.monotonic()
        self.labels: dict[str, str] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "plan":
            self.total = event["total"]
        elif kind == "start":
            self.labels[event["key"]] = event["label"]
        elif kind in ENDS:
            self.done += 1
            self._say(f"[{self.done}/{self.total}] {event['label']}: {ended(event)}")
        elif time.monotonic() - self.last > ROW_EVERY:
            self.last = time.monotonic()
            self._say(f"        {self.labels.get(event['key'], 'a step')}: {describe(event)}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def ended(event: Mapping[str, Any]) -> str:
    """How a step ended, in words."""
    if event["event"] == "done":
        return f"made in {event['seconds']:.1f} s" if event["made"] else "already there"
    return "FAILED" if event["event"] == "failed" else "skipped, as one of its inputs failed"


def describe(event: Mapping[str, Any]) -> str:
    """A row of losses or a share done, in words."""
    if event["event"] == "row":
        row = event["row"]
        parts = [f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "lr")]
        return f"step {int(row['step']) + 1}: {', '.join(parts)}"
    return f"{event['note'] or 'done'} {event['done']}/{event['total']}"


@contextmanager
def _live() -> Iterator[Tell]:
    """A bar for the whole plan, and one for each step at work, with its losses."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        whole = progress.add_task("steps", total=None)
        at_work: dict[str, tuple[TaskID, str]] = {}

        def tell(event: Mapping[str, Any]) -> None:
            kind = event["event"]
            if kind == "plan":
                progress.update(whole, total=event["total"])
            elif kind == "start":
                at_work[event["key"]] = progress.add_task(event["label"], total=None), event["label"]
            elif kind in ENDS:
                progress.advance(whole)
                if event["key"] in at_work:
                    progress.remove_task(at_work.pop(event["key"])[0])
                progress.console.print(f"  {event['label']}: {ended(event)}", markup=False, highlight=False)
            elif event["key"] in at_work:
                task, label = at_work[event["key"]]
                done, total = (event["row"]["step"] + 1, None) if kind == "row" else (event["done"], event["total"])
                progress.update(task, description=f"{label}: {describe(event)}", completed=int(done), total=total)

        yield tell
