"""Charts as data for the page: coordinates of lines, dots and ticks. The page's template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bdk.report.cells import Cell, Column
from bdk.report.curves import Curve
from bdk.report.table import Row, Table

WIDTH = 360.0
LEFT, RIGHT = 52.0, 10.0
TOP, BOTTOM = 10.0, 26.0
HEIGHT = 170.0
NAMES = 146.0
"""Room for row labels in a chart of intervals."""
LETTERS = 22
"""As many of a row's label as fit that room."""
PITCH = 22.0


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class LossChart:
    """A loss curve in SVG coordinates."""

    points: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Dot:
    """One row of a chart of intervals."""

    label: str
    y: float
    at: float
    low: float | None
    high: float | None
    is_baseline: bool
    is_oracle: bool


@dataclass(frozen=True)
class IntervalChart:
    """One metric: each row's value and interval on a common axis, with chance."""

    column: Column
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    chance: float | None
    words: str
    height: float
    width: float = WIDTH
    left: float = NAMES


def loss_chart(curve: Curve) -> LossChart:
    """Coordinates of a loss curve."""
    scale = math.log10 if curve.is_log else float
    values = [scale(loss) for loss in curve.losses]
    low, high = _padded(min(values), max(values))
    last = max(curve.total - 1, 1)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    points = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(curve.steps, values, strict=True))
    levels = _log_levels(low, high) if curve.is_log else nice_levels(low, high)
    y_ticks = tuple(Tick(round(y(scale(level)), 1), f"{level:.4g}") for level in levels)
    x_ticks = tuple(Tick(round(x(step), 1), f"{step:g}") for step in nice_levels(0, last, 4) if step == int(step))
    return LossChart(points, x_ticks, y_ticks)


def nice_levels(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two ends, about ``count`` of them."""
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_levels(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten between two exponents; powers alone where those are many."""
    digits = (1,) if high - low > 3 else (1, 2, 5)
    levels = [d * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for d in digits]
    return [level for level in levels if low <= math.log10(level) <= high]


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def interval_charts(table: Table) -> list[IntervalChart]:
    """A chart for every column in which one of our rows has a number."""
    charts = [_interval_chart(position, column, table) for position, column in enumerate(table.columns)]
    return [chart for chart in charts if chart is not None]


def _interval_chart(position: int, column: Column, table: Table) -> IntervalChart | None:
    rows = [(row, row.cells[position]) for row in table.rows if row.cells[position].value is not None]
    shown = [(row, cell) for row, cell in rows if row.name != "chance"]
    if not any(row.kind == "run" for row, _ in shown):
        return None
    chance = next((cell.value for row, cell in rows if row.name == "chance"), None)
    numbers = [x for _, cell in shown for x in (cell.value, cell.low, cell.high) if x is not None]
    low, high = _padded(*_ends([*numbers, *([chance] if chance is not None else [])], column))

    def x(value: float) -> float:
        return round(NAMES + 8 + (WIDTH - NAMES - 8 - RIGHT) * (value * column.scale - low) / (high - low), 1)

    dots = tuple(_dot(row, cell, place, x) for place, (row, cell) in enumerate(shown))
    ticks = tuple(Tick(x(level / column.scale), f"{level:g}") for level in nice_levels(low, high, 4))
    words = _words(column, shown, chance)
    height = TOP + PITCH * len(shown) + BOTTOM
    return IntervalChart(column, dots, ticks, x(chance) if chance is not None else None, words, height)


def _ends(numbers: Sequence[float], column: Column) -> tuple[float, float]:
    scaled = [number * column.scale for number in numbers]
    return min(scaled), max(scaled)


def _dot(row: Row, cell: Cell, place: int, x) -> Dot:
    assert cell.value is not None
    ends = [None if end is None else x(end) for end in (cell.low, cell.high)]
    label = row.label if len(row.label) <= LETTERS else row.label[: LETTERS - 1] + "…"
    y = TOP + PITCH * (place + 0.5)
    return Dot(label, y, x(cell.value), ends[0], ends[1], row.kind != "run", row.is_oracle)


def _words(column: Column, shown: Sequence[tuple[Row, Cell]], chance: float | None) -> str:
    direction = "lower" if column.direction == "down" else "higher"
    parts = [f"{row.label} {column.printed(cell.value)} {cell.interval(column)}".strip() for row, cell in shown]
    base = f" Chance: {column.printed(chance)}." if chance is not None else ""
    return f"{column.label}, {direction} is better. {'; '.join(parts)}.{base}"
