"""How a run shows its progress: one live view on a terminal, plain lines elsewhere, JSON lines on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Tell = Callable[[Mapping[str, Any]], None]
ROW_EVERY = 10.0
"""Seconds between two printed rows of losses where there is no terminal."""


@contextmanager
def watcher(*, log_json: bool = False, quiet: bool = False) -> Iterator[Tell]:
    """A taker of progress events for the length of a run."""
    if quiet:
        yield lambda event: None
    elif log_json:
        yield lambda event: print(json.dumps(dict(event), default=str), flush=True)
    elif sys.stderr.isatty():
        with _live() as tell:
            yield tell
    else:
        yield _Plain()


class _Plain:
    """One line per step, and a row of losses now and then."""

    def __init__(self) -> None:
        self.total, self.done, self.label, self.last = 0, 0, "", 0.0

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "plan":
            self.total = event["total"]
        elif kind == "start":
            self.label, self.last = event["label"], time.monotonic()
        elif kind in ("done", "failed", "skipped"):
            self.done += 1
            word = {"failed": "FAILED", "skipped": "skipped"}.get(kind) or ("made" if event["made"] else "had")
            spent = f" in {event['seconds']:.1f} s" if event.get("made") else ""
            self._say(f"[{self.done}/{self.total}] {event['label']}: {word}{spent}")
        elif time.monotonic() - self.last > ROW_EVERY:
            self.last = time.monotonic()
            self._say(f"        {self.label}: {describe(event)}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def describe(event: Mapping[str, Any]) -> str:
    """A row of losses or a share done, in words."""
    if event["event"] == "row":
        row = event["row"]
        parts = [f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "lr")]
        return f"step {int(row['step']) + 1}: {', '.join(parts)}"
    return f"{event['note'] or 'done'} {event['done']}/{event['total']}"


@contextmanager
def _live() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        whole = progress.add_task("steps", total=None)
        current = progress.add_task("", total=None, visible=False)

        def tell(event: Mapping[str, Any]) -> None:
            kind = event["event"]
            if kind == "plan":
                progress.update(whole, total=event["total"])
            elif kind == "start":
                progress.reset(current, description=event["label"], total=None, visible=True)
            elif kind in ("done", "failed", "skipped"):
                progress.advance(whole)
                word = {"failed": "[red]failed", "skipped": "[yellow]skipped"}.get(kind)
                word = word or (f"made in {event['seconds']:.1f} s" if event["made"] else "already there")
                progress.print(f"  {event['label']}: {word}")
            elif kind == "row":
                progress.update(current, description=describe(event), completed=int(event["row"]["step"]) + 1)
            else:
                progress.update(current, description=describe(event), completed=event["done"], total=event["total"])

        yield tell
