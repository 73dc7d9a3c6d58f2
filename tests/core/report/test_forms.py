"""The written forms of the table: Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
import re

import pandas as pd
import pytest
from bdk.report.latex import escape, latex
from bdk.report.markdown import markdown
from bdk.report.records import read_lines
from bdk.report.sheet import comparison_sheet, sheet
from bdk.report.table import build_table
from bdk.report.writing import runs_of


@pytest.fixture
def table(bench, scores):
    bench.cite("mindeye", {"clip": 90.0, "eff": 0.719}, "MindEye")
    bench.row("average", [scores(12, 0.6, 1, 0.01), scores(12, 0.61, 2, 0.01)], label="Average | 50% & more_")
    bench.row("ram", [scores(12, 0.9, 3, 0.01), scores(12, 0.91, 4, 0.01)], label="RAM", reported={"clip": 94.1})
    bench.row("oracle", scores(12, 0.99), oracle=True, ours=True)
    bench.row("gone", scores(12, 0.6), finished=False)
    plan, sweep = bench.plan(footnotes=("I14",))
    return build_table(read_lines(runs_of(plan, sweep), sweep, bench.store, {"gone": "no [x]"}), sweep, bench.registry)


def test_every_written_form_carries_every_stamp(table):
    assert len(table.stamps) == 4
    for text in (markdown(table), sheet(table), latex(table)):
        assert all(stamp in text for stamp in table.stamps)


def test_every_written_form_names_split_and_failure(table):
    split = next(iter(table.conditions.values())).split_sha256[:12]
    assert split in markdown(table) and split in sheet(table) and split in latex(table)
    for text in (markdown(table).replace("\\", ""), sheet(table), latex(table).replace("{[}x{]}", "[x]")):
        assert "no [x]" in text


def test_all_lines_of_the_markdown_table_have_the_same_columns(table):
    lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.rows)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.columns) + 3}


def test_markdown_marks_the_best_and_labels_the_papers_number(table):
    line = next(line for line in markdown(table).splitlines() if line.startswith("| RAM"))
    assert re.search(r"\*\*(89|90)\.\d\*\* ± \d\.\d \[[\d., ]+\]<br><sub>paper 94\.1</sub>", line)


def test_csv_reads_as_numbers_with_the_paper_beside(table):
    frame = pd.read_csv(io.StringIO(sheet(table))).set_index("row")
    assert frame.loc["ram", "clip"] == pytest.approx(90.5, abs=1)
    assert frame.loc["ram", "clip_paper"] == 94.1 and frame.loc["ram", "clip_mark"] == "best"
    assert frame.loc["ram", "clip_low"] < frame.loc["ram", "clip"] < frame.loc["ram", "clip_high"]
    assert list(frame["kind"][:5]) == ["cited", "run", "run", "run", "failed"]
    assert frame["stamps"].str.contains("synthetic demo world").all()


def test_comparisons_name_the_better_row(table):
    lines = list(csv.DictReader(io.StringIO(comparison_sheet(table))))
    assert {line["metric"] for line in lines} == {"pixcorr", "clip", "eff"}
    assert {(line["first"], line["second"], line["better"]) for line in lines} == {("average", "ram", "ram")}
    eff = next(line for line in lines if line["metric"] == "eff")
    assert float(eff["difference"]) > 0 and float(eff["p_holm"]) < 0.05


def test_all_lines_of_the_latex_table_have_the_same_columns_and_braces_close(table):
    text = latex(table)
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.rstrip().endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {len(table.columns) + 1}
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{") == 3


def test_latex_escapes_what_it_would_read_as_commands():
    assert escape("50% & a_b #1 ~^\\ {x} $") == (
        r"50\% \& a\_b \#1 \textasciitilde{}\textasciicircum{}\textbackslash{} \{x\} \$"
    )


def test_latex_marks_the_best_and_puts_the_paper_on_its_own_line(table):
    lines = latex(table).splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip().startswith("RAM"))
    assert lines[place].count(r"\textbf{") == 3
    assert lines[place + 3].strip().startswith(r"\quad{\scriptsize\itshape paper}") and "94.1" in lines[place + 3]
