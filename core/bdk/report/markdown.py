"""The table in Markdown."""

from __future__ import annotations

from bdk.report.cells import Cell, Column, said
from bdk.report.table import Row, Table


def markdown(table: Table) -> str:
    """The table with its stamps above and its notes below."""
    lines = [f"# {_plain(table.name)}", "", f"{_plain(table.caption)}{_marks(table.caption_notes)}", ""]
    lines += [line for stamp in table.stamps for line in (f"> **Stamp:** {_plain(stamp)}", ">")][:-1]
    lines += [""] if table.stamps else []
    lines += [_line(_header(table)), _line(["---", *["---:"] * (len(_header(table)) - 1)])]
    lines += [_line(_row(row, table)) for row in table.rows]
    lines += ["", *(f"{number}. {_plain(text)}" for number, text in table.footnotes.items())]
    lines += [""] if table.footnotes else []
    lines += [f"- {_plain(remark)}" for remark in table.remarks]
    return "\n".join(lines).rstrip() + "\n"


def _header(table: Table) -> list[str]:
    data = ["Data"] if len(table.conditions) > 1 else []
    seeds = ["Seeds"] if table.has_seeds else []
    percent = {column.metric: " (%)" if column.unit == "fraction" else "" for column in table.columns}
    return ["", *data, *table.spec_columns, *seeds, *(f"{c.heading}{percent[c.metric]}" for c in table.columns)]


def _row(row: Row, table: Table) -> list[str]:
    label = _plain(row.label)
    label = f"*{label}*" if row.kind in ("baseline", "ceiling") else label
    tags = [tag for tag, holds in _tags(row) if holds]
    words = [label + "".join(f" ({tag})" for tag in tags) + _marks(row.notes)]
    words += [row.data] if len(table.conditions) > 1 else []
    words += [_plain(said(row.columns.get(name, ""))) for name in table.spec_columns]
    words += [str(row.seeds) if row.seeds else ""] if table.has_seeds else []
    return [*words, *(_cell(cell, column, row) for cell, column in zip(row.cells, table.columns, strict=True))]


def _tags(row: Row) -> list[tuple[str, bool]]:
    return [
        ("cited", row.kind == "cited"),
        ("failed", row.kind == "failed"),
        ("ours", row.ours),
        ("ORACLE", row.is_oracle),
    ]


def _cell(cell: Cell, column: Column, row: Row) -> str:
    paper = f"<sub>paper {column.cited(cell.paper)}{_marks(cell.paper_notes)}</sub>" if cell.paper is not None else ""
    if cell.value is None:
        own = "" if row.kind == "cited" else "failed" if row.kind == "failed" else "–"
        own += _marks(cell.notes)
        return "<br>".join(filter(None, [own, paper]))
    value = column.printed(cell.value)
    value = f"**{value}**" if cell.mark == "best" else f"<u>{value}</u>" if cell.mark == "second" else value
    value += "°" if cell.at_chance and row.kind == "run" else ""
    value += _marks(cell.notes)
    words = [value, cell.spread_text(column), cell.interval(column)]
    return "<br>".join(filter(None, [" ".join(filter(None, words)), paper]))


def _marks(notes: tuple[int, ...]) -> str:
    return f"<sup>{', '.join(map(str, notes))}</sup>" if notes else ""


def _line(words: list[str]) -> str:
    return f"| {' | '.join(words)} |"


def _plain(text: str) -> str:
    """Text that Markdown takes as text."""
    for sign in "\\`*_<>|[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
