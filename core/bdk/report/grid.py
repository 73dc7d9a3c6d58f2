"""The grid of the page: each stimulus beside what every row made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bdk.report.cells import Column
from bdk.report.pictures import data_uri
from bdk.report.records import Line, Record

STIMULI = 60
"""Most stimuli shown."""
PICTURES = 480
"""Most pictures shown in all; with many rows fewer stimuli are shown."""


@dataclass(frozen=True)
class Panel:
    """One stimulus: its picture and every row's reconstruction (None where a row has none)."""

    id: str
    caption: str
    picture: str
    reconstructions: tuple[str | None, ...]


@dataclass(frozen=True)
class Grid:
    """Part of the test stimuli, evenly spread over the test set.

    Args:
        lines: rows of the sweep, one column each.
        panels: stimuli shown.
        total: test stimuli there are.
        metrics: columns of the table that have per-stimulus scores.
        scores: printed-scale scores by metric: rows x stimuli, None where there is none.
    """

    lines: tuple[Line, ...]
    panels: tuple[Panel, ...]
    total: int
    metrics: tuple[Column, ...]
    scores: dict[str, list[list[float | None]]]

    @property
    def has_seeds(self) -> bool:
        """Whether the pictures are those of one seed of several."""
        return any(len(line.records) > 1 for line in self.lines)


def build_grids(lines: Sequence[Line], columns: Sequence[Column]) -> list[Grid]:
    """One grid for each set of test stimuli among the rows that decoded pictures."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        if line.records and line.records[0].reconstruction(0) is not None:
            groups.setdefault(line.records[0].test_ids, []).append(line)
    return [_grid(members, columns) for members in groups.values()]


def spread(total: int, shown: int) -> list[int]:
    """Positions of ``shown`` stimuli, evenly over ``total``: nobody picked them."""
    shown = min(total, shown)
    return [position * total // shown for position in range(shown)]


def _grid(lines: Sequence[Line], columns: Sequence[Column]) -> Grid:
    records = [line.records[0] for line in lines]
    total = len(records[0].test_ids)
    positions = spread(total, min(STIMULI, max(1, PICTURES // (1 + len(lines)))))
    metrics = [
        c for c in columns if not c.is_split and any(record.measured(c.metric) is not None for record in records)
    ]
    scores = {
        column.metric: [[_score(record, column, position) for position in positions] for record in records]
        for column in metrics
    }
    panels = tuple(_panel(records, position) for position in positions)
    return Grid(tuple(lines), panels, total, tuple(metrics), scores)


def _panel(records: Sequence[Record], position: int) -> Panel:
    first = records[0]
    stimulus = first.stimulus(position)
    pictures = [record.reconstruction(position) for record in records]
    return Panel(
        first.test_ids[position],
        first.caption(position),
        data_uri(stimulus) if stimulus is not None else "",
        tuple(data_uri(picture) if picture is not None else None for picture in pictures),
    )


def _score(record: Record, column: Column, position: int) -> float | None:
    numbers = record.measured(column.metric)
    # a stimulus that no retrieval draw took has no score
    if numbers is None or math.isnan(numbers[position]):
        return None
    return round(float(numbers[position]) * column.scale, column.digits + 1)
