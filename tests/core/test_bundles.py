from __future__ import annotations

import pytest
from bdk.api import load
from bdk.bundles import differences, export, first_difference, opened, reproduce
from bdk.errors import BdkError, DataError
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name, more in {"first": [], "second": [], "other": [("stage2.lr", "0.5")], "mlp": [("encoder", "mlp")]}.items():
        execute([spec(folder)], out=folder / name, store=folder / "store", overrides=[*UNPAINTED, *more])
        made[name] = load(folder / name, store=folder / "store")
    for name, rates in {"sweep": {"a": 0.001, "b": 0.5}, "swept": {"a": 0.5, "c": 0.001}}.items():
        text = "".join(f'[[variant]]\nname = "{row}"\n"stage2.lr" = {rate}\n' for row, rate in rates.items())
        execute([spec(folder, text)], out=folder / name, store=folder / "store", overrides=UNPAINTED)
        made[name] = load(folder / name, store=folder / "store")
    return made


def test_equal_runs_have_no_difference(runs):
    assert first_difference(runs["first"], runs["second"]) is None


def test_the_first_differing_step_is_named_with_the_option(runs):
    found = first_difference(runs["first"], runs["other"])
    assert found.role == "refine.image"
    assert any("stage2.lr" in reason and "0.5" in reason for reason in found.reasons)


def test_another_encoder_is_found_at_the_estimate(runs):
    found = first_difference(runs["first"], runs["mlp"])
    assert found.role == "estimate.image" and any("encoder.use" in reason for reason in found.reasons)


def test_two_sweeps_are_compared_row_by_row(runs):
    found = differences(runs["sweep"], runs["swept"])
    assert list(found) == ["a", "b", "c"]
    assert found["a"].role == "refine.image" and any("stage2.lr" in reason for reason in found["a"].reasons)
    assert "only the first" in found["b"].reasons[0] and "only the second" in found["c"].reasons[0]
    assert set(differences(runs["sweep"], runs["sweep"]).values()) == {None}


def test_a_sweep_is_not_taken_for_a_run_and_its_rows_are_named(runs, tmp_path):
    for attempt in (lambda: differences(runs["sweep"], runs["first"]), lambda: export(runs["sweep"], tmp_path / "b")):
        with pytest.raises(BdkError, match=r"folder of a sweep[\s\S]*sweep/a"):
            attempt()
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_reproduces_in_another_folder(runs, tmp_path):
    bundle = export(runs["first"], tmp_path / "bundle")
    assert reproduce(bundle, tmp_path / "again") is None


def test_a_changed_bundle_is_refused(runs, tmp_path):
    bundle = export(runs["first"], tmp_path / "bundle")
    target = next((bundle / "store").glob("*/losses.json"))
    target.write_text("[]")
    with pytest.raises(DataError, match=r"losses\.json"):
        opened(bundle)


def test_a_bundle_is_not_written_over(runs, tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(DataError, match="exists"):
        export(runs["first"], tmp_path / "bundle")
