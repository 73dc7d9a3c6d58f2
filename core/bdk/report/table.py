"""The table of a run or a sweep, as plain data; `markdown`, `sheet`, `latex` and `page` write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bdk.registry import Registry
from bdk.report.cells import Cell, Column, average
from bdk.report.claims import Judgement, judge
from bdk.report.comparisons import Comparison, comparable, compare, marks
from bdk.report.notes import Notes, how_to_read, measured_remarks
from bdk.report.published import Slip, slips
from bdk.report.records import Condition, Line
from bdk.report.stamps import sweep_stamps
from bdk.spec import Sweep

Kind = Literal["run", "cited", "failed", "baseline", "ceiling"]
BASELINES = ("chance", "mean image", "nearest training image")
"""Baseline rows in the order they are printed; others follow."""
IDENTITY = ("preset", "network", "stand_in_for", "weights_sha256")


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        name: as in the spec; for baselines what they are.
        label: for people.
        kind: what stands in it.
        cells: one a column.
        ours: whether the paper has no such row.
        is_oracle: whether its pictures were chosen with the stimulus itself.
        seeds: how many seeds were averaged.
        data: letter of its condition, where the table has several.
        columns: the spec's own columns.
        notes: marks of footnotes.
    """

    name: str
    label: str
    kind: Kind
    cells: tuple[Cell, ...]
    ours: bool = False
    is_oracle: bool = False
    seeds: int = 0
    data: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """Everything that the written forms of a table say."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    stamps: tuple[str, ...]
    conditions: Mapping[str, Condition]
    footnotes: Mapping[int, str]
    remarks: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    claims: tuple[Judgement, ...] = ()
    caption_notes: tuple[int, ...] = ()

    @property
    def spec_columns(self) -> list[str]:
        """Names of the spec's own columns, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row.columns))

    @property
    def has_seeds(self) -> bool:
        """Whether any row averages several seeds."""
        return any(row.seeds > 1 for row in self.rows)

    @property
    def has_paper(self) -> bool:
        """Whether any number of the paper stands in it."""
        return any(cell.paper is not None for row in self.rows for cell in row.cells)

    def label(self, name: str) -> str:
        """A row's label by its name."""
        return next(row.label for row in self.rows if row.name == name)

    def column(self, metric: str) -> Column:
        """The first column of a metric."""
        return next(column for column in self.columns if column.metric == metric)


def build_table(lines: Sequence[Line], sweep: Sweep, registry: Registry) -> Table:
    """The table of some rows."""
    columns = _columns(lines, sweep, registry)
    comparisons = compare(lines, columns)
    builder = _Builder(lines, columns, sweep, marks(comparisons, columns, lines))
    rows = builder.rows()
    remarks = how_to_read(rows, columns, builder.conditions, bool(comparable(lines)))
    remarks += measured_remarks(lines, columns)
    return Table(
        sweep.name,
        sweep.caption or lines[0].label,
        tuple(columns),
        tuple(rows),
        tuple(sweep_stamps(lines)),
        builder.conditions,
        builder.notes.texts,
        tuple(remarks),
        tuple(comparisons),
        tuple(judge(lines, columns, sweep.claims)),
        builder.caption_notes,
    )


def _columns(lines: Sequence[Line], sweep: Sweep, registry: Registry) -> list[Column]:
    """Columns in the order of the spec, or of the registry; one more for each further recipe or network."""
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        for record in line.records:
            for name, entry in record.scores["metrics"].items():
                entries.setdefault(name, []).append(entry)
        for name in line.reported:
            entries.setdefault(name, [])
    order = sweep.metrics or [
        *(n for n in registry.metrics if n in entries),
        *(n for n in entries if n not in registry.metrics),
    ]
    return [column for name in order for column in _columns_of(name, entries.get(name, []), registry)]


def _columns_of(name: str, entries: Sequence[Mapping[str, Any]], registry: Registry) -> list[Column]:
    info = registry.metrics.get(name)
    label, direction, unit = (info.label, info.direction, info.unit) if info else (name, "up", "")
    measured = [entry for entry in entries if entry.get("value") is not None] or list(entries[:1]) or [{}]
    level = info.level if info else ""
    found = dict.fromkeys(_identity(entry, level) for entry in measured)
    first = measured[0]
    way, scale = str(first.get("direction", direction)), str(first.get("unit", unit))
    return [Column(name, label, way, scale, *identity, level, len(found) > 1) for identity in found]


def _identity(entry: Mapping[str, Any], level: str) -> tuple[str, str, str, str]:
    """What two numbers must share to stand in one column.

    Retrieval is a matter of recipe and pool; which embedding was scored is what the rows are compared for, and is
    said beside the number.
    """
    if level == "retrieval":
        pool = entry.get("pool")
        return str(entry.get("preset", "")), f"among {pool}" if pool else "", "", ""
    preset, network, published, weights = (str(entry.get(key, "")) for key in IDENTITY)
    return preset, network, published, weights


@dataclass
class _Builder:
    lines: Sequence[Line]
    columns: Sequence[Column]
    sweep: Sweep
    marks: Mapping[tuple[str, str], Any]
    notes: Notes = field(default_factory=Notes)
    caption_notes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        found = dict.fromkeys(record.condition for line in self.lines for record in line.records)
        self.conditions = dict(zip("abcdefghijklmnopqrstuvwxyz", found, strict=False))
        self.slips: list[Slip] = slips(self.sweep.footnotes)

    def rows(self) -> list[Row]:
        rows = [self._row(line) for line in self.lines]
        rows += [*self._extra("baseline"), *self._extra("ceiling")]
        # a slip without a cell of its own in this table stands at the caption
        names = {line.name for line in self.lines}
        metrics = {column.metric for column in self.columns} | {""}
        for slip in self.slips:
            if not any(t == self.sweep.name and r in names and m in metrics for t, r, m in slip.at):
                self.caption_notes += (self.notes.mark(_said(slip)),)
        return rows

    def _row(self, line: Line) -> Row:
        kind: Kind = "cited" if line.is_cited else "run" if line.records else "failed"
        notes = [self.notes.mark(f"{line.label}: {line.note}")] if line.note else []
        notes += [self.notes.mark(_said(slip)) for slip in self.slips if slip.stands_at(self.sweep.name, line.name, "")]
        for seed, why in line.failures.items():
            which = f", seed {seed}" if len(line.records) + len(line.failures) > 1 else ""
            notes.append(self.notes.mark(f"{line.label}{which} failed: {_first_line(why)}"))
        return Row(
            line.name,
            line.label,
            kind,
            tuple(self._cell(line, column) for column in self.columns),
            line.ours,
            line.is_oracle,
            len(line.records),
            self._letter(line),
            line.columns,
            tuple(notes),
        )

    def _cell(self, line: Line, column: Column) -> Cell:
        cell = average([_entry(record.scores["metrics"], column) for record in line.records])
        notes = []
        if cell.missing and line.records:
            notes.append(self.notes.mark(f"Missing: {_first_line(cell.missing)}"))
        if len(self.embeddings(self.lines, column)) > 1 and (scored := self.embeddings([line], column)):
            notes.append(self.notes.mark(f"Retrieval scored by: {', '.join(scored)}"))
        first = next(other for other in self.columns if other.metric == column.metric)
        paper = line.reported.get(column.metric) if column is first else None
        at = (self.sweep.name, line.name, column.metric)
        slips_here = [slip for slip in self.slips if slip.stands_at(*at)] if paper is not None else []
        return replace(
            cell,
            chance=cell.chance if self._is_own_chance(cell, column) else None,
            paper=paper,
            mark=self.marks.get((line.name, column.metric), ""),
            notes=tuple(notes),
            paper_notes=tuple(self.notes.mark(_said(slip)) for slip in slips_here),
        )

    def _is_own_chance(self, cell: Cell, column: Column) -> bool:
        """Whether what a row would score by chance, printed, differs from what the chance row says."""
        rows = [record.scores.get("baselines", {}).get("chance", {}) for line in self.lines for record in line.records]
        common = {column.printed(_entry(row, column).get("value")) for row in rows}
        return cell.chance is not None and common != {column.printed(cell.chance)}

    @staticmethod
    def embeddings(lines: Sequence[Line], column: Column) -> list[str]:
        """What retrieval was scored by, in some rows; nothing for other metrics."""
        if column.level != "retrieval":
            return []
        entries = [r.scores["metrics"].get(column.metric, {}) for line in lines for r in line.records]
        return list(dict.fromkeys(str(entry["network"]) for entry in entries if entry.get("network")))

    def _letter(self, line: Line) -> str:
        held = {record.condition for record in line.records}
        return ", ".join(letter for letter, condition in self.conditions.items() if condition in held)

    def _extra(self, kind: Kind) -> list[Row]:
        """Baseline or ceiling rows; rows of the sweep that agree on one share it."""
        shared: dict[tuple[str, tuple[Cell, ...], str], list[str]] = {}
        for line in self.lines:
            for name, cells in self._extra_cells(line, kind).items():
                shared.setdefault((name, cells, self._letter(line)), []).append(line.label)
        names = [name for name, _, _ in shared]
        widest = {name: max(len(who) for (n, _, _), who in shared.items() if n == name) for name in names}
        found = []
        for (name, cells, letter), who in shared.items():
            only = "" if names.count(name) == 1 else f" ({' · '.join(who)})"
            if only and len(who) == widest[name] > 1:
                only, widest[name] = " (all other rows)", 0
            found.append(Row(name, f"{name}{only}", kind, cells, data=letter))
        return sorted(found, key=lambda row: BASELINES.index(row.name) if row.name in BASELINES else len(BASELINES))

    def _extra_cells(self, line: Line, kind: Kind) -> dict[str, tuple[Cell, ...]]:
        measured = [record.scores["metrics"] for record in line.records]
        if kind == "ceiling":
            tables = [{"noise ceiling": found} for entries in measured if (found := _each(entries, "ceiling"))]
        else:
            tables = [
                {"chance": _each(entries, "chance"), **record.scores.get("baselines", {})}
                for entries, record in zip(measured, line.records, strict=True)
            ]
        names = dict.fromkeys(name for table in tables for name in table)
        return {
            name: tuple(_shared([_entry(table.get(name, {}), column) for table in tables]) for column in self.columns)
            for name in names
        }


def _each(metrics: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Any]:
    """One fact of every metric that has it, as entries of a row of its own."""
    return {name: {"value": entry[key]} for name, entry in metrics.items() if entry.get(key) is not None}


def _shared(entries: Sequence[Mapping[str, Any]]) -> Cell:
    """A baseline's cell; one that is the same for every seed does not tell how many there were."""
    cell = average(entries)
    return replace(cell, spread=cell.spread or None, seeds=0)


def _entry(metrics: Mapping[str, Any], column: Column) -> Mapping[str, Any]:
    """A metric's entry if it was measured as the column says."""
    entry = metrics.get(column.metric)
    if entry is None:
        return {"missing": "not measured"}
    if isinstance(entry, (int, float)):
        return {"value": float(entry)}
    own = (column.preset, column.network, column.stand_in_for, column.weights)
    return (
        entry
        if not column.is_split or _identity(entry, column.level) == own
        else {"missing": "measured by another recipe"}
    )


def _said(slip: Slip) -> str:
    return f"The paper, {slip.where} ({slip.kind}, {slip.id}): {slip.text}"


def _first_line(text: str, limit: int = 240) -> str:
    line = " ".join(text.strip().splitlines()[:1])
    return line if len(line) <= limit else line[: limit - 1] + "…"
