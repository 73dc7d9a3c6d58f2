"""Real brain data, where it is at hand."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from bdk.spec import load

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("BDK_HAXBY") or ROOT.parent / "shared" / "haxby")
present = pytest.mark.skipif(
    not (FOLDER / "bold.nii.gz").is_file(), reason="no Haxby data: set BDK_HAXBY to its folder"
)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("haxby_identify", ROOT / "examples/haxby/identify.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@present
def test_ridge_names_more_than_half_of_the_held_out_blocks(example, tmp_path):
    score = example.identify(FOLDER, "ridge", tmp_path / "out", tmp_path / "store")
    assert score.ways == 8 and sum(score.blocks) == 64 and len(score.hits) == 8
    assert score.accuracy >= 0.5
    assert "chance    12.5%" in example.report({"ridge": score})


@present
@pytest.mark.slow
def test_mamba_is_well_above_chance(example, tmp_path):
    score = example.identify(FOLDER, "mamba", tmp_path / "out", tmp_path / "store")
    assert score.accuracy >= 0.25


@pytest.mark.parametrize("encoder", ["ridge", "mamba"])
def test_every_run_is_held_out_once(registry, encoder):
    sweep = load(
        str(ROOT / f"examples/haxby/{encoder}.toml"),
        registry,
        overrides=[("data.bold", "b"), ("data.mask", "m"), ("data.events", "e")],
    )
    assert [run.data.options.test_runs for run in sweep.runs] == [(run,) for run in range(8)]
    assert {run.guides[0].encoder.use for run in sweep.runs} == {encoder}


def test_a_prediction_counts_for_the_category_whose_code_is_nearest(example):
    from bdk.targets.labels import label_code

    index = {"groups": ["face", "house", "face", "shoe"], "test_rows": [0, 3, 1]}
    predicted = np.stack([label_code(name, 128).numpy() * 3 for name in ("face", "shoe", "face")])
    found, truth, ways = example._named(predicted, index)
    assert found.tolist() == ["face", "shoe", "face"] and truth.tolist() == ["face", "shoe", "house"] and ways == 3
