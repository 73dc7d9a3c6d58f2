"""A whole run on a brain without any signal: the oracle lifts it far above chance and says so, `brain` does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bdk.runs import execute
from bdk.selection import ORACLE_STAMP

from tests.tiny import spec

VARIANTS = """
[[variant]]
name = "honest"
"select.rule" = "brain"
[[variant]]
name = "peeking"
"select.rule" = "oracle"
"""
NO_SIGNAL = [
    ("data.snr", "1e-6"),
    ("data.train", "80"),
    ("data.test", "60"),
    ("encoder", "ridge"),
    ("encoder.alphas", "[1.0]"),
    ("prior", "none"),
    ("fusion", "none"),
    ("retriever", "laion2b"),
    ("retriever.n", "60"),
    ("retriever.k", "4"),
    ("decoder", "nearest"),
    ("guides", '["image"]'),
    ("select.candidates", "4"),
    ("select.guides_from", "samples"),
    ("measure.metrics", '["clip", "image_retrieval"]'),
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("no-signal")
    finished = execute([spec(folder, VARIANTS)], out=folder / "out", store=folder / "store", overrides=NO_SIGNAL)
    assert not finished.failures
    return folder / "out"


def scores(sweep: Path, row: str) -> dict:
    return json.loads((sweep / row / "metrics.json").read_text())


def test_without_signal_the_oracle_of_four_lifts_a_whole_run(sweep):
    clip = scores(sweep, "peeking")["metrics"]["clip"]
    assert clip["value"] > 0.65 and clip["low"] > 0.55 and clip["p_value"] < 0.01


def test_without_signal_brain_selection_stays_at_chance_within_its_interval(sweep):
    found = scores(sweep, "honest")["metrics"]
    assert found["clip"]["low"] <= 0.5 <= found["clip"]["high"]
    assert found["image_retrieval"]["low"] <= found["image_retrieval"]["chance"] <= found["image_retrieval"]["high"]


def test_every_number_of_the_oracle_is_stamped_and_none_of_the_other(sweep):
    peeking, honest = scores(sweep, "peeking"), scores(sweep, "honest")
    assert peeking["stamps"]["selection"] == ORACLE_STAMP
    assert all(ORACLE_STAMP in entry["stamps"] for entry in peeking["metrics"].values())
    assert ORACLE_STAMP not in json.dumps(honest)


def test_every_number_says_how_it_was_measured(sweep):
    found = scores(sweep, "honest")
    for entry in (*found["metrics"].values(), *found["features"].values()):
        assert entry["preset"] and entry["direction"] and entry["preprocessing"] and entry["network"]
        assert len(entry["weights_sha256"]) == 64 and entry["chance"] is not None
        assert entry["unit"] in ("fraction", "corr") and 0 <= abs(entry["value"]) <= 1


def test_the_oracles_row_is_marked_wherever_the_table_stands(sweep):
    for name in ("table.md", "table.csv", "table.tex", "report.html"):
        assert "oracle" in (sweep / name).read_text().lower(), name


def test_without_signal_no_feature_is_read_and_the_missing_ceiling_says_why(sweep):
    image = scores(sweep, "honest")["features"]["image"]
    assert image["low"] <= 0.0 <= image["high"] and image["p_value"] > 0.05
    assert "no signal" in image["ceiling_missing"] and "of_attainable" not in image
    assert "Features read by stage I" in (sweep / "table.md").read_text()
