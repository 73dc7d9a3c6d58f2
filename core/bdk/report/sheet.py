"""The table and the comparisons as CSV: plain numbers, one line a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from bdk.report.cells import Cell, Column, said
from bdk.report.table import Row, Table

PER_METRIC = ("", "_low", "_high", "_spread", "_own_chance", "_of_ceiling", "_mark", "_paper", "_missing")


def sheet(table: Table) -> str:
    """The table, unrounded; percentages are percent. Stamps and remarks stand in every line."""
    names = ["row", "label", "kind", "ours", "oracle", "data", "split_sha256", "seeds", *table.spec_columns]
    keys = [_key(column) for column in table.columns]
    header = [*names, *(key + part for key in keys for part in PER_METRIC), "notes", "stamps"]
    return _csv([header, *(_row(row, table) for row in table.rows)])


def comparison_sheet(table: Table) -> str:
    """Every paired comparison: difference, interval, p-values."""
    header = ["metric", "first", "second", "difference", "low", "high", "p", "p_holm", "better", "n", "stamps"]
    columns = {column.metric: column for column in table.columns}
    lines = []
    for c in table.comparisons:
        column = columns[c.metric]
        numbers = [_number(x, column.scale) for x in (c.difference, c.low, c.high)]
        better = c.better(column.direction)
        lines.append(
            [
                c.metric,
                c.first,
                c.second,
                *numbers,
                f"{c.p_value:.6g}",
                f"{c.p_adjusted:.6g}",
                better,
                c.n,
                _stamps(table),
            ]
        )
    return _csv([header, *lines])


def claim_sheet(table: Table) -> str:
    """Every test of every claim: difference in its favour, interval, p-values, what the seeds and the paper say."""
    header = ["claim", "source", "ours", "verdict", "better", "than", "metric", "difference_in_favour", "low", "high",
              "p", "p_holm", "finding", "seeds", "seeds_for", "paper_difference", "n", "stamps"]  # fmt: skip
    lines = []
    for judged in table.claims:
        claim = judged.claim
        about = [claim.text, claim.source, "yes" if claim.ours else "", judged.verdict, claim.better]
        for test in judged.tests:
            scale = table.column(test.metric).scale
            numbers = [_number(x, scale) for x in (test.difference, test.low, test.high)]
            p_values = [f"{test.p_value:.6g}", f"{test.p_adjusted:.6g}"]
            paper = _number(test.paper, 1.0)
            lines.append([*about, test.than, test.metric, *numbers, *p_values, test.finding, test.seeds,
                          test.seeds_for, paper, test.n, _stamps(table)])  # fmt: skip
        if not judged.tests:
            lines.append([*about, " ".join(claim.than), *[""] * 11, _stamps(table)])
    return _csv([header, *lines])


def _key(column: Column) -> str:
    recipe = [part for part in (column.preset, column.network) if part] if column.is_split else []
    return "@".join([column.metric, *recipe])


def _row(row: Row, table: Table) -> list[object]:
    splits = [
        condition.split_sha256 for letter, condition in table.conditions.items() if letter in row.data.split(", ")
    ]
    notes = " ".join(f"[{number}] {table.footnotes[number]}" for number in _noted(row))
    return [
        row.name,
        row.label,
        row.kind,
        said(row.ours),
        said(row.is_oracle),
        row.data if len(table.conditions) > 1 else "",
        " ".join(splits),
        row.seeds or "",
        *(said(row.columns.get(name, "")) for name in table.spec_columns),
        *(part for cell, column in zip(row.cells, table.columns, strict=True) for part in _parts(cell, column)),
        notes,
        _stamps(table),
    ]


def _parts(cell: Cell, column: Column) -> list[str]:
    numbers = [_number(x, column.scale) for x in (cell.value, cell.low, cell.high, cell.spread, cell.chance)]
    paper = "" if cell.paper is None else repr(float(cell.paper))
    numbers.append(_number(cell.attainable, 1.0))
    return [*numbers, cell.mark, paper, "" if cell.value is not None else cell.missing]


def _noted(row: Row) -> list[int]:
    return sorted({*row.notes, *(number for cell in row.cells for number in cell.notes + cell.paper_notes)})


def _number(value: float | None, scale: float) -> str:
    return "" if value is None else f"{value * scale:.10g}"


def _stamps(table: Table) -> str:
    return "; ".join(table.stamps)


def _csv(lines: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()
