"""The page: everything a reader wants, in one file that needs nothing else."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from bdk.registry import Registry
from bdk.report.card import spec_text
from bdk.report.cells import Column, said
from bdk.report.charts import interval_charts, loss_chart
from bdk.report.claims import HOW_JUDGED, claimed_columns
from bdk.report.comparisons import ALPHA, Comparison
from bdk.report.curves import build_curves
from bdk.report.grid import Grid, build_grids
from bdk.report.neighbours import build_retrievals
from bdk.report.records import Line
from bdk.report.references import references
from bdk.report.table import Table
from bdk.spec import RunSpec

FIRST_METRIC = "clip"
"""By which pictures are scored when the page opens, if it was measured."""


def page(table: Table, lines: Sequence[Line], registry: Registry) -> str:
    """The report as one HTML document: no address in it is fetched, no clock stands in it."""
    specs = [record.spec for line in lines for record in line.records]
    return _environment().get_template("report.html.j2").render(
        table=table,
        lines=lines,
        charts=interval_charts(table),
        comparisons=_comparisons(table),
        claimed=claimed_columns(table),
        how_judged=HOW_JUDGED,
        grids=[_GridView.of(number, grid) for number, grid in enumerate(build_grids(lines, table.columns))],
        retrievals=build_retrievals(lines),
        curves=[(curve, loss_chart(curve)) for curve in build_curves(lines)],
        specs=_spec_texts(lines),
        references=references(specs, registry),
        alpha=ALPHA,
        style=_asset("report.css"),
        script=_asset("report.js"),
    )  # fmt: skip


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bdk.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["said"] = said
    return environment


@cache
def _asset(name: str) -> Markup:
    """A style sheet or script of ours, taken as it is."""
    return Markup(importlib.resources.files("bdk.report").joinpath("templates", name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Pairs:
    """The comparisons of one metric, and how many of them the test supports."""

    column: Column
    pairs: tuple[Comparison, ...]

    @property
    def supported(self) -> int:
        return sum(pair.p_adjusted < ALPHA for pair in self.pairs)


def _comparisons(table: Table) -> list[_Pairs]:
    found = [
        _Pairs(column, tuple(pair for pair in table.comparisons if pair.metric == column.metric))
        for column in table.columns
        if not column.is_split
    ]
    return [pairs for pairs in found if pairs.pairs]


@dataclass(frozen=True)
class _GridView:
    """A grid with what the page's script needs of it."""

    number: int
    grid: Grid
    first: int

    @classmethod
    def of(cls, number: int, grid: Grid) -> _GridView:
        keys = [column.metric for column in grid.metrics]
        return cls(number, grid, keys.index(FIRST_METRIC) if FIRST_METRIC in keys else 0)

    @property
    def data(self) -> dict[str, Any]:
        """Metrics and scores, for the script."""
        metrics = [
            {"key": c.metric, "label": c.label, "digits": c.digits, "up": c.direction == "up"}
            for c in self.grid.metrics
        ]
        return {"metrics": metrics, "scores": self.grid.scores, "first": self.first}

    def score(self, row: int, panel: int) -> str:
        """The score first shown under a picture."""
        if not self.grid.metrics:
            return ""
        column = self.grid.metrics[self.first]
        value = self.grid.scores[column.metric][row][panel]
        return "–" if value is None else column.cited(value)


def _spec_texts(lines: Sequence[Line]) -> list[tuple[str, RunSpec, str, dict[str, str]]]:
    """Label, spec, its TOML and the keys of each row's first seed."""
    firsts = [(line.label, line.records[0]) for line in lines if line.records]
    return [(label, r.spec, spec_text(r.spec, []), dict(r.planned.keys)) for label, r in firsts]
