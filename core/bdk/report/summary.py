"""The last lines of ``bdk run``: scores beside chance and the baselines, and where the report is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bdk import registry as registries
from bdk.artifacts import Store
from bdk.plan import Plan
from bdk.registry import Registry
from bdk.report.cells import Cell, Column
from bdk.report.records import read_lines
from bdk.report.table import BASELINES, Row, Table, build_table
from bdk.report.writing import runs_of
from bdk.spec import Sweep


def summary_lines(
    plan: Plan,
    sweep: Sweep,
    store: Store,
    out: Path,
    failures: Mapping[str, str] | None = None,
    *,
    registry: Registry | None = None,
) -> list[str]:
    """What to print when a run or a sweep is done.

    One run: a line a metric, with its interval, chance, mean image and nearest training image. Several rows: a line
    a row, the baselines below.

    Args:
        plan: the plan that was run.
        sweep: the spec.
        store: where the artifacts are.
        out: the run folder.
        failures: why runs failed, by their name.
        registry: names and labels; by default what is installed.
    """
    lines = read_lines(runs_of(plan, sweep), sweep, store, failures)
    table = build_table(lines, sweep, registry or registries.load())
    runs = [row for row in table.rows if row.kind == "run"]
    body = _of_one(table, runs[0]) if len(table.rows) and len(runs) == 1 and not sweep.is_sweep else _of_many(table)
    stamps = [f"stamp: {stamp}" for stamp in table.stamps]
    data = [str(condition) for condition in table.conditions.values()]
    marks = ["°: cannot be told from chance"] if any(cell.at_chance for row in runs for cell in row.cells) else []
    if any(cell.mark for row in runs for cell in row.cells):
        marks.append("*: best, +: second, where the paired test supports it")
    claims = [f"claim: {judged.claim.text}: {judged.verdict} ({judged.words})" for judged in table.claims]
    return [*body, *marks, *claims, *data, *stamps, f"report: {out / 'report.html'}"]


def claim_facts(
    plan: Plan,
    sweep: Sweep,
    store: Store,
    failures: Mapping[str, str] | None = None,
    *,
    registry: Registry | None = None,
) -> list[dict[str, Any]]:
    """The sweep's claims with their verdicts and tests, as plain data."""
    lines = read_lines(runs_of(plan, sweep), sweep, store, failures)
    return [judged.facts() for judged in build_table(lines, sweep, registry or registries.load()).claims]


def _of_one(table: Table, row: Row) -> list[str]:
    baselines = [other for other in table.rows if other.kind in ("baseline", "ceiling")]
    known = {other.name for other in baselines}
    names = [*BASELINES, *(other.name for other in baselines if other.name not in BASELINES)]
    grid = [["", table.rows[0].label, *names]]
    by_name = {other.name: other for other in baselines}
    for position, column in enumerate(table.columns):
        cell = row.cells[position]
        if cell.value is None:
            grid.append([_heading(column), f"missing: {cell.missing}"])
            continue
        beside = [by_name[name].cells[position] if name in known else Cell() for name in names]
        if cell.chance is not None:
            beside[0] = Cell(value=cell.chance)
        grid.append([_heading(column), _score(cell, column), *(column.printed(other.value) for other in beside)])
    return _aligned(grid)


def _of_many(table: Table) -> list[str]:
    grid = [["", *(_heading(column) for column in table.columns)]]
    for row in table.rows:
        if row.kind == "cited":
            continue
        if row.kind == "failed":
            grid.append([row.label, "failed"])
            continue
        oracle = " (ORACLE)" if row.is_oracle else ""
        cells = zip(row.cells, table.columns, strict=True)
        grid.append([row.label + oracle, *(_short(cell, column, row) for cell, column in cells)])
    return _aligned(grid)


def _heading(column: Column) -> str:
    return column.heading + (" %" if column.unit == "fraction" else "")


def _score(cell: Cell, column: Column) -> str:
    value = column.printed(cell.value) + ("°" if cell.at_chance else "")
    return " ".join(filter(None, [value, cell.spread_text(column), cell.interval(column)]))


def _short(cell: Cell, column: Column, row: Row) -> str:
    value = column.printed(cell.value) + ("°" if cell.at_chance and row.kind == "run" else "")
    return {"best": f"{value}*", "second": f"{value}+"}.get(cell.mark, value)


def _aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    """Columns padded to equal width; the first is flush left. A line shorter than the others runs on freely."""
    width = max(len(line) for line in grid)
    full = [line for line in grid if len(line) == width]
    room = [max(len(line[place]) for line in full) for place in range(width)]
    room[0] = max(len(line[0]) for line in grid)
    return ["  ".join([line[0].ljust(room[0]), *_padded(line[1:], room[1:])]).rstrip() for line in grid]


def _padded(words: Sequence[str], room: Sequence[int]) -> list[str]:
    is_full = len(words) == len(room)
    return [word.rjust(wide) if is_full else word for word, wide in zip(words, room, strict=False)]
