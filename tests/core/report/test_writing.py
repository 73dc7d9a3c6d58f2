"""Run folders and sweep folders on disk."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from bdk.artifacts import Store
from bdk.errors import ArtifactError
from bdk.report import write_run, write_sweep
from bdk.report.files import file_names, write_whole
from PIL import Image


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def one(bench, scores, tmp_path):
    """A single run, written."""
    bench.row("brainram", scores(12, 0.8), label="BrainRAM")
    plan, _ = bench.plan(is_sweep=False)
    write_run(plan, plan.runs[0], bench.store, tmp_path / "run", registry=bench.registry)
    return bench, plan, tmp_path / "run"


def test_a_run_folder_holds_spec_card_metrics_pictures_and_report(one):
    bench, _, out = one
    names = {path.name for path in out.iterdir()}
    assert names == {"spec.toml", "run.json", "metrics.json", "images", "report.html"}
    assert len(list((out / "images").iterdir())) == bench.n


def test_metrics_are_the_measured_bytes(one):
    bench, plan, out = one
    measured = bench.store.need(plan.runs[0].keys["measure"], "measure")
    assert (out / "metrics.json").read_bytes() == measured.file("metrics.json").read_bytes()


def test_pictures_are_the_chosen_candidates_pixel_by_pixel(one):
    bench, plan, out = one
    decoded = bench.store.need(plan.runs[0].keys["decode"], "decode")
    candidates, chosen = decoded.array("candidates.npy"), decoded.array("chosen.npy")
    for position in range(bench.n):
        picture = np.asarray(Image.open(out / "images" / f"scene-{position + 3:03d}.png"))
        assert np.array_equal(picture, candidates[position, chosen[position]])


def test_the_resolved_spec_reads_back_without_options_that_have_no_value(one):
    _, _plan, out = one
    spec = tomllib.loads((out / "spec.toml").read_text())
    assert spec["guide"]["image"]["encoder"] == {"use": "mamba", "depth": 4}
    assert spec["seed"] == 1 and spec["select"]["rule"] == "brain"
    assert "# STAMP: synthetic demo world" in (out / "spec.toml").read_text()


def test_the_card_names_keys_timings_versions_stamps_plugins_and_citations(one):
    _, plan, out = one
    card = json.loads((out / "run.json").read_text())
    assert card["keys"] == dict(plan.runs[0].keys)
    assert set(card["steps"]) == set(card["keys"]) and all(s["seconds"] >= 0 for s in card["steps"].values())
    assert card["versions"]["torch"] and card["versions"]["python"]
    assert card["plugins"]["encoder mamba"].startswith("brain-decoding-kit")
    assert "brainram" in card["citations"] and len(card["stamps"]) == 3
    assert card["split"]["test"] == 12 and len(card["split"]["sha256"]) == 64


def test_an_unfinished_run_is_refused_with_the_missing_steps(bench, scores, tmp_path):
    bench.row("a", scores(12, 0.8), finished=False)
    plan, _ = bench.plan(is_sweep=False)
    with pytest.raises(ArtifactError, match="measure"):
        write_run(plan, plan.runs[0], bench.store, tmp_path / "run", registry=bench.registry)
    assert not (tmp_path / "run").exists()


def test_pictures_of_an_earlier_run_do_not_stay(one):
    bench, plan, out = one
    (out / "images" / "old.png").write_bytes(b"old")
    write_run(plan, plan.runs[0], bench.store, out, registry=bench.registry)
    assert not (out / "images" / "old.png").exists()


def test_data_without_pictures_gives_a_report_without_pictures(bench, scores, tmp_path):
    bench.row("a", {"clip": scores(12, 0.8)["clip"]}, pictures=False)
    plan, _ = bench.plan(is_sweep=False)
    page = write_run(plan, plan.runs[0], bench.store, tmp_path / "run", registry=bench.registry).read_text()
    assert not (tmp_path / "run" / "images").exists()
    assert 'id="scores"' in page and 'id="pictures"' not in page


def test_a_sweep_folder_holds_tables_one_report_and_every_row(bench, scores, tmp_path):
    bench.row("average", [scores(12, 0.6), scores(12, 0.61)])
    bench.row("ram", scores(12, 0.8))
    bench.row("gone", scores(12, 0.8), finished=False)
    plan, sweep = bench.plan()
    out = tmp_path / "sweep"
    report = write_sweep(plan, sweep, bench.store, out, {"gone": "it broke"}, registry=bench.registry)
    assert report == out / "report.html"
    assert {p.name for p in out.iterdir() if p.is_file()} == {
        "table.md", "table.csv", "table.tex", "comparisons.csv", "report.html",
    }  # fmt: skip
    cards = {str(p.parent.relative_to(out)) for p in out.rglob("run.json")}
    assert cards == {"average/seed-1", "average/seed-2", "ram"}
    assert (out / "gone" / "failure.txt").read_text() == "it broke\n"


def test_equal_results_give_equal_bytes_except_in_the_cards(bench, scores, tmp_path):
    bench.row("average", scores(12, 0.6))
    bench.row("ram", scores(12, 0.8))
    plan, sweep = bench.plan()
    write_sweep(plan, sweep, bench.store, tmp_path / "one", registry=bench.registry)
    again = type(bench)(Store(tmp_path / "other-store"), name=bench.name)
    again.row("average", scores(12, 0.6))
    again.row("ram", scores(12, 0.8))
    plan, sweep = again.plan()
    write_sweep(plan, sweep, again.store, tmp_path / "two", registry=again.registry)
    first, second = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "two")
    assert set(first) == set(second)
    assert {name for name in first if first[name] != second[name]} <= {"average/run.json", "ram/run.json"}


def test_a_mended_row_loses_its_failure(bench, scores, tmp_path):
    bench.row("ram", scores(12, 0.8))
    plan, sweep = bench.plan()
    write_sweep(plan, sweep, bench.store, tmp_path / "out", {"ram": "it broke"}, registry=bench.registry)
    assert (tmp_path / "out/ram/failure.txt").exists()
    write_sweep(plan, sweep, bench.store, tmp_path / "out", registry=bench.registry)
    assert not (tmp_path / "out/ram/failure.txt").exists() and (tmp_path / "out/ram/metrics.json").exists()


def test_a_file_that_cannot_be_finished_leaves_the_old_one_whole(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "table.md", "old")

    def fail(self, target):
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ArtifactError, match="no space"):
        write_whole(path, "new and longer")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("table.md", "old")]


def test_ids_that_no_file_system_takes_get_names_of_their_own():
    assert file_names(["a/b", "a:b", "A_b", "..", "ok-1"], ".png") == [
        "a_b.png", "a_b-1.png", "A_b-2.png", "stimulus.png", "ok-1.png",
    ]  # fmt: skip
