"""The table as data: rows, marks, footnotes, conditions."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.errors import UnknownNameError
from bdk.report.records import read_lines
from bdk.report.table import Row, Table, build_table
from bdk.report.writing import runs_of


def built(bench, failures=None, **about) -> Table:
    plan, sweep = bench.plan(**about)
    lines = read_lines(runs_of(plan, sweep), sweep, bench.store, failures)
    return build_table(lines, sweep, bench.registry)


def row(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.name == name)


def cell(table: Table, name: str, metric: str):
    place = next(i for i, column in enumerate(table.columns) if column.metric == metric)
    return row(table, name).cells[place]


def test_rows_stand_in_the_order_of_the_spec_with_cited_and_failed_ones_among_them(bench, scores):
    bench.row("b", scores(12, 0.8))
    bench.cite("mindeye", {"clip": 90.0})
    bench.row("a", scores(12, 0.7), finished=False)
    bench.row("c", scores(12, 0.9))
    table = built(bench, {"a": "the encoder returned NaN\n  in step estimate"})
    kinds = [(r.name, r.kind) for r in table.rows if r.kind in ("run", "cited", "failed")]
    assert kinds == [("b", "run"), ("mindeye", "cited"), ("a", "failed"), ("c", "run")]
    assert any("the encoder returned NaN" in text for text in table.footnotes.values())


def test_a_run_that_is_neither_failed_nor_finished_is_said_to_be_unfinished(bench, scores):
    bench.row("a", scores(12, 0.7), finished=False)
    table = built(bench)
    assert row(table, "a").kind == "failed"
    assert "not finished" in table.footnotes[1]


def test_seeds_are_averaged_and_their_spread_is_the_standard_deviation(bench):
    values = [0.70, 0.80, 0.75]
    bench.row("a", [{"clip": np.full(12, value)} for value in values])
    found = cell(built(bench), "a", "clip")
    assert found.value == pytest.approx(0.75)
    assert found.spread == pytest.approx(0.05)
    assert (found.seeds, found.low) == (3, pytest.approx(0.73))


def test_a_row_goes_on_without_a_failed_seed_and_says_which(bench, scores):
    bench.row("a", [scores(12, 0.7), scores(12, 0.8)])
    table = built(bench, {"a/seed-2": "disk full"})
    assert row(table, "a").seeds == 1
    assert "a, seed 2 failed: disk full" in table.footnotes.values()


def test_the_papers_number_stands_apart_and_never_bears_a_mark(bench, scores):
    bench.row("ram", scores(12, 0.6), reported={"clip": 94.1})
    bench.cite("mindeye", {"clip": 99.9})
    table = built(bench)
    own, cited = cell(table, "ram", "clip"), cell(table, "mindeye", "clip")
    assert own.paper == 94.1 and own.value < 0.7
    assert cited.paper == 99.9 and cited.value is None and cited.mark == ""


def test_best_and_second_are_marked_where_the_test_supports_both(bench, scores):
    for name, clip in (("low", 0.6), ("middle", 0.75), ("high", 0.9)):
        bench.row(name, scores(12, clip, noise=0.01))
    table = built(bench)
    for metric in ("pixcorr", "clip", "eff"):
        assert [cell(table, name, metric).mark for name in ("low", "middle", "high")] == ["", "second", "best"]


def test_nothing_is_marked_when_the_leader_is_not_separated(bench, scores):
    bench.row("low", scores(12, 0.6, noise=0.01))
    bench.row("one", scores(12, 0.8, noise=0.05))
    bench.row("other", scores(12, 0.801, noise=0.05))
    table = built(bench)
    assert {c.mark for r in table.rows for c in r.cells} == {""}


def test_equal_rows_are_never_marked(bench, scores):
    bench.row("a", scores(12, 0.8))
    bench.row("b", scores(12, 0.8))
    assert {c.mark for r in built(bench).rows for c in r.cells} == {""}


def test_an_oracle_row_takes_no_part_in_the_comparisons(bench, scores):
    bench.row("low", scores(12, 0.6, noise=0.01))
    bench.row("high", scores(12, 0.8, noise=0.01))
    bench.row("oracle", scores(12, 0.99, noise=0.01), oracle=True)
    table = built(bench)
    assert cell(table, "oracle", "clip").mark == "" and cell(table, "high", "clip").mark == "best"
    assert not [c for c in table.comparisons if "oracle" in (c.first, c.second)]
    assert any("oracle selection" in stamp and "only in: oracle" in stamp for stamp in table.stamps)


def test_rows_of_different_splits_are_lettered_said_so_and_not_marked(bench, scores):
    bench.row("a", scores(12, 0.6, noise=0.01))
    bench.row("b", scores(12, 0.9, noise=0.01), split="nsd37")
    table = built(bench)
    assert (row(table, "a").data, row(table, "b").data) == ("a", "b")
    assert {c.mark for r in table.rows for c in r.cells} == {""} and not table.comparisons
    assert any("not comparable" in remark and "nsd37" in remark for remark in table.remarks)


def test_two_recipes_never_share_a_column(bench, scores):
    other = {"value": 0.3, "preset": "brain-diffuser", "network": "", "direction": "up", "unit": "corr"}
    bench.row("a", scores(12, 0.6, noise=0.01))
    bench.row("b", scores(12, 0.9, noise=0.01), entries={"pixcorr": other})
    table = built(bench)
    found = [(c.preset, c.heading) for c in table.columns if c.metric == "pixcorr"]
    assert found == [("mindeye", "PixCorr (mindeye) ↑"), ("brain-diffuser", "PixCorr (brain-diffuser) ↑")]
    assert [c.value is None for c in row(table, "b").cells[:2]] == [True, False]
    assert not [c for c in table.comparisons if c.metric == "pixcorr"]


def test_a_metric_without_a_value_says_why_and_is_not_compared(bench, scores):
    gone = {"clip": {"value": None, "missing": "weights of CLIP are not here", "unit": "fraction", "direction": "up"}}
    bench.row("a", scores(12, 0.6, noise=0.01), entries=gone)
    bench.row("b", scores(12, 0.9, noise=0.01), entries=gone)
    table = built(bench)
    assert cell(table, "a", "clip").value is None
    assert [text for text in table.footnotes.values() if "weights of CLIP are not here" in text]
    assert not [c for c in table.comparisons if c.metric == "clip"]


def test_baselines_stand_once_when_rows_agree_on_them(bench, scores):
    bench.row("a", [scores(12, 0.6), scores(12, 0.61)])
    bench.row("b", scores(12, 0.9))
    names = [r.name for r in built(bench).rows if r.kind in ("baseline", "ceiling")]
    assert names == ["chance", "mean image", "nearest training image"]


def test_baselines_that_differ_name_their_rows(bench, scores):
    bench.row("a", scores(12, 0.6), label="A")
    bench.row("b", {"clip": scores(12, 0.9)["clip"]}, label="B")
    labels = [r.label for r in built(bench).rows if r.name == "mean image"]
    assert labels == ["mean image (A)", "mean image (B)"]


def test_the_baseline_that_most_rows_share_is_called_that_of_all_others(bench, scores):
    for name in "abc":
        bench.row(name, {"clip": scores(12, 0.6)["clip"]} if name == "b" else scores(12, 0.6))
    labels = [r.label for r in built(bench).rows if r.name == "mean image"]
    assert sorted(labels) == ["mean image (all other rows)", "mean image (b)"]


def test_the_noise_ceiling_has_a_row_and_every_number_its_share_of_it(bench):
    bench.row("a", {"image_retrieval": np.full(12, 0.4)})
    table = built(bench)
    assert cell(table, "noise ceiling", "image_retrieval").value == 0.9
    assert cell(table, "a", "image_retrieval").attainable_text == "50 % of ceiling"
    assert any("0.07 / 0.24 / 0.61" in remark for remark in table.remarks)


def test_retrieval_keeps_one_column_and_says_what_each_row_was_scored_by(bench):
    entry = {"value": 0.3, "network": "image guide, estimate", "pool": 12, "preset": "definition", "unit": "fraction"}
    bench.row("none", {"image_retrieval": np.full(12, 0.3)}, entries={"image_retrieval": entry})
    bench.row("ram", {"image_retrieval": np.full(12, 0.4)})
    table = built(bench)
    assert len(table.columns) == 1 and table.columns[0].network == "among 12"
    said = [table.footnotes[cell(table, name, "image_retrieval").notes[0]] for name in ("none", "ram")]
    assert said == ["Retrieval scored by: image guide, estimate", "Retrieval scored by: image guide, refined"]


def test_retrieval_among_another_number_of_candidates_is_another_column(bench):
    entry = {"value": 0.3, "network": "image guide, refined", "pool": 300, "preset": "definition", "unit": "fraction"}
    bench.row("a", {"image_retrieval": np.full(12, 0.3)}, entries={"image_retrieval": entry})
    bench.row("b", {"image_retrieval": np.full(12, 0.4)})
    assert [c.network for c in built(bench).columns] == ["among 300", "among 12"]


def test_a_number_at_chance_says_so(bench):
    bench.row("a", {"clip": np.full(12, 0.51)})
    bench.row("b", {"clip": np.full(12, 0.60)})
    table = built(bench)
    assert cell(table, "a", "clip").at_chance and not cell(table, "b", "clip").at_chance


def test_a_rows_own_chance_is_told_where_the_chance_row_says_otherwise(bench):
    entry = {
        "value": 0.30,
        "low": 0.2,
        "high": 0.4,
        "chance": -0.1,
        "preset": "mindeye",
        "direction": "up",
        "unit": "corr",
    }
    bench.row("a", {"pixcorr": np.full(12, 0.3), "clip": np.full(12, 0.8)}, entries={"pixcorr": entry})
    table = built(bench)
    column = table.columns[0]
    assert cell(table, "a", "pixcorr").chance_text(column) == "own chance \N{MINUS SIGN}0.100"
    assert cell(table, "a", "clip").chance is None and cell(table, "chance", "clip").value == 0.5


def test_a_permutation_test_decides_about_chance_before_the_interval(bench):
    entry = {"value": 0.51, "low": 0.49, "high": 0.53, "chance": 0.5, "p_value": 0.001, "unit": "fraction"}
    bench.row("a", {"clip": np.full(12, 0.51)}, entries={"clip": entry})
    assert not cell(built(bench), "a", "clip").at_chance


def test_a_slip_of_the_paper_stands_beside_the_number_it_is_about(bench, scores):
    bench.row("cross-attention", scores(12, 0.6), reported={"pixcorr": 0.178, "clip": 90.2})
    table = built(bench, footnotes=("I4",))
    marked = cell(table, "cross-attention", "pixcorr").paper_notes
    assert "0.178 against 0.176" in table.footnotes[marked[0]]
    assert cell(table, "cross-attention", "clip").paper_notes == () and table.caption_notes == ()


def test_a_slip_without_a_cell_in_the_table_stands_at_the_caption(bench, scores):
    bench.row("a", scores(12, 0.6))
    table = built(bench, footnotes=("I3",))
    assert "Table 5" in table.footnotes[table.caption_notes[0]]


def test_an_unknown_footnote_is_refused(bench, scores):
    bench.row("a", scores(12, 0.6))
    with pytest.raises(UnknownNameError, match="I99"):
        built(bench, footnotes=("I99",))


def test_rows_of_our_own_are_marked_as_ours(bench, scores):
    bench.row("control", scores(12, 0.6), ours=True, note="nothing is retrieved")
    table = built(bench)
    assert row(table, "control").ours and "control: nothing is retrieved" in table.footnotes.values()


def test_the_specs_metrics_choose_the_columns_and_their_order(bench, scores):
    bench.row("a", scores(12, 0.6))
    assert [c.metric for c in built(bench, metrics=("eff", "clip")).columns] == ["eff", "clip"]


def test_stamps_come_from_data_spaces_and_retrieval_but_facts_do_not(bench, scores):
    bench.row("a", scores(12, 0.6))
    stamps = built(bench).stamps
    assert "synthetic demo world; galleries are stand-ins, not LAION" in stamps
    assert "image guide: tiny CLIP (demo world)" in stamps
    assert "stand-in drawn by the demo world, not LAION" in stamps
    assert not [stamp for stamp in stamps if "gallery items" in stamp]


def test_networks_that_stand_in_are_stamped(bench, scores):
    entry = {"value": 0.6, "network": "tiny-clip", "stand_in_for": "clip-vit-l14", "unit": "fraction"}
    bench.row("a", scores(12, 0.6), entries={"clip": entry})
    assert "stand-in networks in the metrics: tiny-clip for clip-vit-l14" in built(bench).stamps
