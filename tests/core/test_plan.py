from __future__ import annotations

import pytest
from bdk.errors import PlanError
from bdk.plan import make_plan
from bdk.spec import load


def plan_of(registry, *names, **options):
    return make_plan([load(name, registry, **options) for name in names], registry)


def papers_rows(plan):
    """Steps that the rows of the paper need; rows of our own are left out."""
    keys = {key for run in plan.runs if not run.spec.ours for key in run.keys.values()}
    return [plan.steps[key] for key in keys]


def test_tables_3_and_4_share_every_equal_step(registry):
    steps = papers_rows(plan_of(registry, "table3", "table4"))
    fits = [step for step in steps if step.kind == "refine" and step.options["fusion"]["fit_mode"] == "gradient"]
    count = {kind: sum(step.kind == kind for step in steps) for kind in ("estimate", "retrieve", "decode")}
    assert count == {"estimate": 4, "retrieve": 4, "decode": 9}
    assert len(fits) == 8


def test_our_control_adds_two_fits_and_one_decode(registry):
    plan = plan_of(registry, "table3", "table4")
    ours = [step for step in plan.steps.values() if step not in papers_rows(plan)]
    assert sorted(step.kind for step in ours) == ["decode", "measure", "refine", "refine"]


def test_inputs_come_before_their_users(registry):
    plan = plan_of(registry, "table3", "table4")
    seen = set()
    for key, step in plan.steps.items():
        assert set(step.inputs.values()) <= seen
        seen.add(key)


def test_every_option_is_part_of_a_key(registry):
    first = plan_of(registry, "brainram")
    for key, value in [("stage1.lr", "2e-3"), ("encoder.hidden", "64"), ("data.seed", "5"), ("seed", "1")]:
        assert set(plan_of(registry, "brainram", overrides=[(key, value)]).steps) != set(first.steps), key


def test_stage_two_options_leave_stage_one_alone(registry):
    first, second = plan_of(registry, "brainram"), plan_of(registry, "brainram", overrides=[("stage2.lr", "1e-2")])
    shared = {first.steps[key].kind for key in set(first.steps) & set(second.steps)}
    assert shared == {"data", "targets", "estimate", "retrieve"}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([("decoder", "versatile-diffusion")], "The demo world cannot give targets"),
        ([("guides", "image,sound")], "has no guide 'sound'"),
        ([("decoder", "nearest"), ("fusion", "none"), ("retriever", "none")], "no guide has a retriever"),
        ([("guides", "text"), ("retriever.query", "image-cls")], "'image', which this run does not have"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_any_work(registry, overrides, words):
    with pytest.raises(PlanError, match=words):
        plan_of(registry, "brainram", overrides=overrides)


def test_oracle_selection_is_noted(registry):
    plan = plan_of(registry, "brainram", overrides=[("select.rule", "oracle")])
    assert any("oracle" in note for note in plan.runs[0].notes)
