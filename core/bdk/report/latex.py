"""The table in LaTeX, with booktabs."""

from __future__ import annotations

from bdk.report.cells import Cell, Column, said
from bdk.report.table import Row, Table

ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "[": "{[}",
    "]": "{]}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "°": r"\textdegree{}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}",
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "–": "--",
    "…": r"\ldots{}",
}
"""A bracket at the start of a line would be read as the option of the line break before it."""


def latex(table: Table) -> str:
    """A ``table`` environment; under every number its interval, and the paper's number where there is one."""
    header = _header(table)
    lines = [r"% needs: \usepackage{booktabs} and \usepackage{graphicx}"]
    lines += [f"% STAMP: {' '.join(stamp.split())}" for stamp in table.stamps]
    lines += [r"\begin{table}[t]", r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}"]
    lines += [rf"  \caption{{{escape(table.caption)}{_marks(table.caption_notes)}}}"]
    # wider than the page, it shrinks to the page; else it stays as it is
    lines += [r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [rf"  \begin{{tabular}}{{@{{}}l{'c' * (len(header) - 1)}@{{}}}}", r"    \toprule"]
    lines += [f"    {' & '.join(header)} \\\\", *_body(table), r"    \bottomrule"]
    lines += [r"  \end{tabular}}", *_below(table), r"\end{table}"]
    return "\n".join(lines) + "\n"


def _body(table: Table) -> list[str]:
    lines, previous = [r"    \midrule"], None
    for row in table.rows:
        is_extra = row.kind in ("baseline", "ceiling")
        if previous is not None:
            was_extra = previous.kind in ("baseline", "ceiling")
            lines += (
                [r"    \midrule"] if is_extra and not was_extra else [] if is_extra else [r"    \addlinespace[2pt]"]
            )
        lines += [f"    {' & '.join(words)} \\\\" for words in _lines(row, table)]
        previous = row
    return lines


def escape(text: str) -> str:
    """Text that LaTeX takes as text."""
    return "".join(ESCAPES.get(sign, sign) for sign in " ".join(text.split()))


def _header(table: Table) -> list[str]:
    words = ["", *(["Data"] if len(table.conditions) > 1 else []), *table.spec_columns]
    words += ["Seeds"] if table.has_seeds else []
    words += [column.heading + (" (%)" if column.unit == "fraction" else "") for column in table.columns]
    return [escape(word) for word in words]


def _lines(row: Row, table: Table) -> list[list[str]]:
    """A row's printed lines: numbers, intervals, the paper's numbers."""
    pairs = list(zip(row.cells, table.columns, strict=True))
    lead = _lead(row, table)
    blank = [""] * (len(lead) - 1)
    paper = [_paper(cell, column) for cell, column in pairs]
    if row.kind == "cited":
        return [[*lead, *paper]]
    found = [[*lead, *(_value(cell, column, row) for cell, column in pairs)]]
    for small in (
        [cell.spread_text(column) for cell, column in pairs],
        [cell.interval(column) for cell, column in pairs],
    ):
        if any(small):
            found.append(["", *blank, *(f"{{\\tiny {escape(text)}}}" if text else "" for text in small)])
    if any(paper):
        found.append([r"\quad{\scriptsize\itshape paper}", *blank, *paper])
    return found


def _lead(row: Row, table: Table) -> list[str]:
    tags = [
        ("cited", row.kind == "cited"),
        ("failed", row.kind == "failed"),
        ("ours", row.ours),
        ("ORACLE", row.is_oracle),
    ]
    label = escape(row.label + "".join(f" ({tag})" for tag, holds in tags if holds))
    label = rf"\textit{{{label}}}" if row.kind in ("baseline", "ceiling") else label
    words = [label + _marks(row.notes)]
    words += [escape(row.data)] if len(table.conditions) > 1 else []
    words += [escape(said(row.columns.get(name, ""))) for name in table.spec_columns]
    return words + ([str(row.seeds or "")] if table.has_seeds else [])


def _value(cell: Cell, column: Column, row: Row) -> str:
    if cell.value is None:
        return ("failed" if row.kind == "failed" else "--") + _marks(cell.notes)
    text = escape(column.printed(cell.value))
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.mark, text)
    return text + (r"\textdegree{}" if cell.at_chance and row.kind == "run" else "") + _marks(cell.notes)


def _paper(cell: Cell, column: Column) -> str:
    if cell.paper is None:
        return ""
    return rf"{{\scriptsize\itshape {escape(column.cited(cell.paper))}{_marks(cell.paper_notes)}}}"


def _marks(notes: tuple[int, ...]) -> str:
    return rf"\textsuperscript{{{','.join(map(str, notes))}}}" if notes else ""


def _below(table: Table) -> list[str]:
    texts = [rf"\textbf{{Stamp: {escape(stamp)}.}}" for stamp in table.stamps]
    texts += [rf"\textsuperscript{{{number}}} {escape(text)}" for number, text in table.footnotes.items()]
    texts += [escape(remark) for remark in table.remarks]
    if not texts:
        return []
    body = [f"    {text}\\\\" for text in texts[:-1]] + [f"    {texts[-1]}"]
    return [r"  \par\smallskip", r"  \begin{minipage}{\linewidth}\footnotesize\raggedright", *body, r"  \end{minipage}"]
