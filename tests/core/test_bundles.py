from __future__ import annotations

import pytest
from bdk.api import load
from bdk.bundles import export, first_difference, opened, reproduce
from bdk.errors import DataError
from bdk.runs import execute

from tests.tiny import UNPAINTED, spec


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name, more in {"first": [], "second": [], "other": [("stage2.lr", "0.5")], "mlp": [("encoder", "mlp")]}.items():
        execute([spec(folder)], out=folder / name, store=folder / "store", overrides=[*UNPAINTED, *more])
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
