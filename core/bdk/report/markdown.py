"""The table in Markdown."""

from __future__ import annotations

from bdk.report.cells import Cell, Column, said
from bdk.report.claims import HOW_JUDGED, Test, claimed_columns
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
    lines += ["", *_claims(table)] if table.claims else []
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


def _claims(table: Table) -> list[str]:
    """What became of each claim: a line a claim, and a row of tests a rival."""
    columns = claimed_columns(table)
    lines = ["## Claims", "", f"{HOW_JUDGED}", ""]
    for judged in table.claims:
        whose = "ours" if judged.claim.ours else judged.claim.source
        lines.append(f"- {_plain(judged.claim.text)} ({_plain(whose)}): **{judged.verdict}**; {_plain(judged.words)}.")
    tested = [(judged, than) for judged in table.claims for than in judged.rivals]
    if not tested:
        return lines
    lines += ["", _line(["claimed better", "than", *(c.heading for c in columns)])]
    lines += [_line(["---", "---", *["---:"] * len(columns)])]
    for judged, than in tested:
        cells = [_tested(judged.test(than, column.metric), column) for column in columns]
        lines.append(_line([_plain(table.label(judged.claim.better)), _plain(table.label(than)), *cells]))
    return lines


def _tested(test: Test | None, column: Column) -> str:
    if test is None:
        return ""
    value = column.printed(test.difference, signed=True)
    value = {"supported": f"**{value}**", "reversed": f"{value} (reversed)"}.get(test.finding, value)
    words = [value, test.interval(column), f"p {test.p_adjusted:.3f}", test.seeds_text]
    paper = f"<sub>paper {test.paper_text(column)}</sub>" if test.paper is not None else ""
    return "<br>".join(filter(None, [" ".join(filter(None, words)), paper]))


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
