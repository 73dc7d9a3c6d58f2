"""The last lines of a run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from bdk.report import summary_lines


def test_a_run_ends_with_scores_beside_baselines_and_the_reports_path(bench):
    bench.row("a", {"clip": np.full(12, 0.8), "image_retrieval": np.full(12, 0.4)}, label="BrainRAM")
    plan, sweep = bench.plan(is_sweep=False)
    lines = summary_lines(plan, sweep, bench.store, Path("runs/a"), registry=bench.registry)
    heads = re.split(r"\s{2,}", lines[0].strip())
    assert heads == ["BrainRAM", "chance", "mean image", "nearest training image", "noise ceiling"]
    assert lines[1].split() == ["CLIP", "↑", "%", "80.0", "[78.0,", "82.0]", "50.0", "55.0", "60.0", "–"]
    assert lines[2].split() == ["Image", "↑", "%", "40.0", "[38.0,", "42.0]", "8.3", "13.3", "18.3", "90.0"]
    assert any(line.startswith("stamp: synthetic demo world") for line in lines)
    assert lines[-1] == "report: runs/a/report.html"


def test_a_missing_metric_is_told_with_its_reason(bench):
    gone = {"eff": {"value": None, "missing": "no weights", "unit": "correlation_distance", "direction": "down"}}
    bench.row("a", {"clip": np.full(12, 0.8)}, entries=gone)
    plan, sweep = bench.plan(is_sweep=False)
    lines = summary_lines(plan, sweep, bench.store, Path("out"), registry=bench.registry)
    assert any(line.startswith("Eff") and line.endswith("missing: no weights") for line in lines)


def test_a_number_at_chance_is_marked(bench):
    bench.row("a", {"clip": np.full(12, 0.505)})
    plan, sweep = bench.plan(is_sweep=False)
    lines = summary_lines(plan, sweep, bench.store, Path("out"), registry=bench.registry)
    assert "50.5°" in lines[1] and "°: cannot be told from chance" in lines


def test_a_sweep_ends_with_a_line_a_row_and_names_failures(bench, scores):
    bench.row("average", scores(12, 0.6, noise=0.01))
    bench.row("ram", scores(12, 0.8, noise=0.01))
    bench.row("gone", scores(12, 0.8), finished=False)
    bench.cite("mindeye", {"clip": 90.0})
    plan, sweep = bench.plan()
    lines = summary_lines(plan, sweep, bench.store, Path("out"), registry=bench.registry)
    firsts = [line.split()[0] for line in lines[1:5]]
    assert firsts == ["average", "ram", "gone", "chance"]
    assert lines[2].count("*") == 3 and lines[3].split() == ["gone", "failed"]
    assert "90.0" not in "\n".join(lines)
