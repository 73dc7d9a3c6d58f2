"""What a table says of a claim follows from its numbers, and from nothing else."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from bdk.errors import SpecError, UnknownNameError
from bdk.report import claim_facts, summary_lines, write_sweep
from bdk.spec import load
from bdk.spec.claims import Claim

from tests.tiny import spec

N = 40


def judged(bench, *claims):
    plan, sweep = bench.plan(claims=claims)
    return claim_facts(plan, sweep, bench.store, registry=bench.registry)


def claim(better="ram", than=("average",), **about):
    return Claim("RAM leads", "section 5.3", better, than, **about)


def shifted(scores, by, seed=0):
    """Scores of which CLIP and PixCorr are better by that much, and Eff lower by it."""
    base = scores(N, 0.7, seed)
    return {name: values + (-by if name == "eff" else by) for name, values in base.items()}


@pytest.fixture
def two(bench, scores):
    """A bench whose second row is better in everything; Eff, too, where lower is better."""
    bench.n = N
    bench.row("average", shifted(scores, 0.0, 1), label="Average", reported={"clip": 85.2, "eff": 0.806})
    bench.row("ram", shifted(scores, 0.1, 2), label="RAM", reported={"clip": 94.1, "eff": 0.9})
    return bench


def test_a_claim_holds_if_every_metric_supports_it_whichever_way_it_runs(two):
    (found,) = judged(two, claim())
    assert found["verdict"] == "holds"
    assert {test["metric"]: test["finding"] for test in found["tests"]} == dict.fromkeys(
        ("pixcorr", "clip", "eff"), "supported"
    )
    assert all(test["low"] > 0 and test["difference"] > 0 for test in found["tests"])


def test_the_same_numbers_contradict_the_opposite_claim(two):
    (found,) = judged(two, claim("average", ("ram",)))
    assert found["verdict"] == "contradicted"
    assert {test["finding"] for test in found["tests"]} == {"reversed"}


def test_rows_that_differ_by_chance_alone_support_nothing(bench, scores):
    bench.n = N
    for name, seed in (("average", 1), ("ram", 2)):
        bench.row(name, shifted(scores, 0.0, seed))
    (found,) = judged(bench, claim())
    assert found["verdict"] == "not supported"


def test_a_claim_that_holds_in_some_metrics_only_holds_in_part_and_one_reversed_makes_it_mixed(bench, scores):
    bench.n = N
    base, better = shifted(scores, 0.0, 1), shifted(scores, 0.1, 2)
    bench.row("average", base)
    bench.row("ram", {**shifted(scores, 0.0, 3), "clip": better["clip"]})
    bench.row("other", {**better, "eff": base["eff"] + 0.2})
    part, mixed = judged(bench, claim(), claim("other"))
    assert (part["verdict"], mixed["verdict"]) == ("holds in part", "mixed")
    assert "supported in 1 of 3 tests, reversed in 0" in part["words"]


def test_all_rivals_and_metrics_of_a_claim_share_one_adjustment(two, scores):
    two.row("conv1x1", shifted(scores, 0.09, 3))
    (one,), (both,) = judged(two, claim()), judged(two, claim(than=("average", "conv1x1")))
    assert len(both["tests"]) == 2 * len(one["tests"])
    first = {test["metric"]: test for test in one["tests"]}
    for test in both["tests"][: len(one["tests"])]:
        assert test["p_value"] == first[test["metric"]]["p_value"]
        assert test["p_adjusted"] >= first[test["metric"]]["p_adjusted"]


def test_a_seed_that_leans_the_other_way_leaves_a_claim_unsupported(bench, scores):
    bench.n = N
    bench.row("average", [shifted(scores, 0.0, seed) for seed in (1, 2, 3)])
    bench.row("ram", [shifted(scores, by, seed) for by, seed in ((0.3, 4), (0.3, 5), (-0.1, 6))])
    (found,) = judged(bench, claim())
    assert found["verdict"] == "not supported"
    assert all(test["p_adjusted"] < 0.05 and (test["seeds_for"], test["seeds"]) == (2, 3) for test in found["tests"])


def test_the_papers_own_difference_stands_beside_ours_turned_the_same_way(two):
    (found,) = judged(two, claim())
    paper = {test["metric"]: test["paper"] for test in found["tests"]}
    assert paper == {"pixcorr": None, "clip": pytest.approx(8.9), "eff": pytest.approx(-0.094)}
    assert "lean its way in 1 of 2" in found["words"]


def test_a_claim_may_name_its_metrics(two):
    (found,) = judged(two, claim(metrics=("clip",)))
    assert [test["metric"] for test in found["tests"]] == ["clip"]


def test_a_row_without_a_run_is_told_and_the_others_are_tested(two, scores):
    two.row("gone", shifted(scores, 0.0, 4), finished=False)
    two.cite("mindeye", {"clip": 90.0})
    part, none = judged(two, claim(than=("average", "gone", "mindeye")), claim("gone", ("average",)))
    assert part["untested"] == ["gone", "mindeye"] and part["verdict"] == "holds"
    assert none["verdict"] == "not tested" and none["tests"] == []


def test_rows_chosen_with_the_stimulus_are_never_tested(two, scores):
    two.row("oracle", shifted(scores, 0.3, 5), oracle=True)
    (found,) = judged(two, claim("oracle"))
    assert found["verdict"] == "not tested"


def test_every_written_form_says_the_verdict_the_interval_and_the_test(two, tmp_path):
    plan, sweep = two.plan(claims=(claim(), claim("average", ("ram",), ours=True)))
    write_sweep(plan, sweep, two.store, tmp_path / "out", registry=two.registry)
    (first, _) = claim_facts(plan, sweep, two.store, registry=two.registry)
    markdown, page = ((tmp_path / "out" / name).read_text() for name in ("table.md", "report.html"))
    clip = next(test for test in first["tests"] if test["metric"] == "clip")
    for text in (markdown, page):
        assert "contradicted" in text and "holds" in text
        assert f"+{100 * clip['difference']:.1f}" in text and f"+{100 * clip['low']:.1f}" in text
        assert "paper +8.9" in text
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "claims.csv").read_text())))
    assert len(rows) == 6 and {row["verdict"] for row in rows} == {"holds", "contradicted"}
    assert float(next(r for r in rows if r["metric"] == "clip")["difference_in_favour"]) == pytest.approx(
        100 * clip["difference"]
    )
    said = "\n".join(summary_lines(plan, sweep, two.store, tmp_path, registry=two.registry))
    assert "claim: RAM leads: holds (supported in 3 of 3 tests" in said


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table4"])
def test_the_papers_tables_ask_their_claims_of_rows_they_have(registry, name):
    sweep = load(name, registry)
    assert sweep.claims
    assert {row for claim in sweep.claims for row in (claim.better, *claim.than)} <= set(sweep.order)


ROWS = '[[variant]]\nname = "a"\n[[variant]]\nname = "b"\nencoder = "mlp"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('better = "a"\nthan = ["c"]\ntext = "x"', "Unknown row 'c'"),
        ('better = "a"\ntext = "x"', "no 'than'"),
        ('better = "a"\nthan = ["b"]', "no 'text'"),
        ('better = "a"\nthan = ["b"]\ntext = "x"\nwhy = "y"', "Unknown key of a claim 'why'"),
    ],
)
def test_a_claim_that_cannot_be_tested_as_written_is_refused(registry, tmp_path, text, words):
    with pytest.raises(SpecError, match=words):
        load(spec(tmp_path, f"{ROWS}[[claim]]\n{text}\n"), registry)


def test_a_claim_in_a_metric_that_nobody_offers_is_refused(registry, tmp_path):
    text = f'{ROWS}[[claim]]\ntext = "x"\nbetter = "a"\nthan = "b"\nmetrics = ["sharpness"]\n'
    with pytest.raises(UnknownNameError, match="sharpness"):
        load(spec(tmp_path, text), registry)


def test_a_spec_that_extends_a_table_keeps_the_claims_about_rows_it_has(registry, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "table4"\nname = "mine"\n[grid]\nfusion = ["average", "ram"]\n')
    claims = {claim.better: claim for claim in load(str(path), registry).claims}
    assert claims["ram"].ours  # the last one, against the control
    assert ("average",) in {claim.than for claim in load(str(path), registry).claims}


def test_one_seed_says_nothing_of_seeds(two):
    (found,) = judged(two, claim())
    assert {(test["seeds"], test["seeds_for"]) for test in found["tests"]} == {(1, 1)}
    assert np.isfinite([test["p_value"] for test in found["tests"]]).all()
