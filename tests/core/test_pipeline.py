from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from bdk.api import load
from bdk.artifacts import Store
from bdk.errors import BdkError
from bdk.pipeline import run_serial
from bdk.runs import execute, planned, silent

from tests.tiny import UNPAINTED, spec


def run(tmp_path, *overrides, out="run", store="store", text="", **options):
    return execute(
        [spec(tmp_path, text)],
        out=tmp_path / out,
        store=tmp_path / store,
        overrides=[*UNPAINTED, *overrides],
        **options,
    )


def metrics_of(tmp_path, out="run") -> bytes:
    return (tmp_path / out / "metrics.json").read_bytes()


def test_a_second_run_makes_no_step(tmp_path):
    first, second = run(tmp_path), run(tmp_path, out="again")
    assert first.made == len(first.plan.steps) and first.had == 0
    assert second.made == 0 and second.had == len(first.plan.steps)
    assert metrics_of(tmp_path) == metrics_of(tmp_path, "again")


def test_the_same_seed_on_an_empty_store_gives_the_same_bytes(tmp_path):
    run(tmp_path)
    run(tmp_path, out="again", store="elsewhere")
    assert metrics_of(tmp_path) == metrics_of(tmp_path, "again")


@pytest.mark.parametrize("noise", ["shared", "independent"])
def test_pictures_do_not_depend_on_how_many_are_painted_at_once(tmp_path, monkeypatch, noise):
    painted = []
    for size in (5, 32):
        monkeypatch.setattr("bdk.decode.BATCH", size)
        options = ("decoder.steps", "2"), ("decoder.noise", noise)
        finished = run(tmp_path, ("decoder", "demo"), *options, out=f"run{size}", store=f"store{size}")
        key = finished.plan.runs[0].keys["decode"]
        painted.append(finished.store.need(key, "decode").array("candidates.npy").astype(int))
    assert abs(painted[0] - painted[1]).max() <= 1


def test_another_seed_gives_other_numbers(tmp_path):
    run(tmp_path)
    run(tmp_path, ("seed", "7"), out="other")
    assert metrics_of(tmp_path) != metrics_of(tmp_path, "other")


@pytest.mark.parametrize("estimates", ["in-sample", "holdout", "cross-fit"])
def test_stage_two_learns_from_the_estimates_that_were_asked_for(tmp_path, estimates):
    finished = run(tmp_path, ("stage1.estimates", estimates))
    (planned_run,) = finished.plan.runs
    rows = finished.store.need(planned_run.keys["estimate.image"], "estimate").array("train_rows.npy")
    assert len(rows) == {"in-sample": 40, "holdout": 8, "cross-fit": 40}[estimates]


def test_a_bit_flip_in_the_store_is_mended_by_the_next_run(tmp_path):
    finished = run(tmp_path)
    key = finished.plan.runs[0].keys["estimate.image"]
    target = tmp_path / "store" / key / "test_samples.npy"
    content = bytearray(target.read_bytes())
    content[-7] ^= 4
    target.write_bytes(content)
    before = metrics_of(tmp_path)
    assert run(tmp_path, out="again").made == 1
    assert metrics_of(tmp_path, "again") == before


def test_one_failing_row_leaves_the_others_standing(tmp_path):
    text = '[[variant]]\nname = "good"\n[[variant]]\nname = "bad"\n"stage1.lr" = 1e30\n'
    finished = run(tmp_path, text=text)
    assert list(finished.failures) == ["tiny/bad"]
    assert (tmp_path / "run" / "good" / "metrics.json").is_file()
    assert "bad" in (tmp_path / "run" / "table.md").read_text()


def test_fail_fast_stops_at_the_first_failing_row(tmp_path):
    text = '[[variant]]\nname = "bad"\n"stage1.lr" = 1e30\n[[variant]]\nname = "good"\n'
    with pytest.raises(BdkError, match=r"not finite|loss is"):
        run(tmp_path, text=text, keep_going=False)


def test_a_run_folder_loads_in_python(tmp_path):
    finished = run(tmp_path)
    loaded = load(tmp_path / "run", store=tmp_path / "store")
    assert {"image_retrieval", "brain_retrieval"} <= set(loaded.metrics["metric"])
    assert loaded.artifact("estimate.image").key == finished.plan.runs[0].keys["estimate.image"]
    assert loaded.spec["name"] == "tiny"


def test_an_out_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BdkError, match="is not a folder"):
        run(tmp_path, out="file/run")
    assert not (tmp_path / "store").exists()


def test_killed_training_resumes_to_the_same_bytes(tmp_path):
    path = spec(tmp_path)
    long = [*UNPAINTED, ("stage1.steps", "60"), ("stage1.checkpoint_every", "5")]
    script = (
        "from bdk.runs import execute\n"
        f"execute([{path!r}], out={str(tmp_path / 'killed')!r}, store={str(tmp_path / 'killed-store')!r}, overrides={long!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "killed-store" / ".partial"
    deadline = time.monotonic() + 300
    while not list(partial.glob("*/work/fit/checkpoint")):
        assert process.poll() is None and time.monotonic() < deadline, "the run ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    resumed = execute([path], out=tmp_path / "killed", store=tmp_path / "killed-store", overrides=long)
    execute([path], out=tmp_path / "whole", store=tmp_path / "whole-store", overrides=long)
    assert resumed.made > 0
    assert metrics_of(tmp_path, "killed") == metrics_of(tmp_path, "whole")


def test_a_run_tells_every_step_and_every_loss(tmp_path):
    plan, registry = planned([spec(tmp_path)], overrides=UNPAINTED)
    events = []
    run_serial(plan, Store(tmp_path / "store"), registry, events.append)
    done = [event for event in events if event["event"] == "done"]
    assert len(done) == len(plan.steps)
    assert sum(event["event"] == "row" for event in events) == 2 * 4 + 2 * 3
    assert silent({}) is None


def test_the_card_names_keys_seeds_and_stamps(tmp_path):
    run(tmp_path)
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {"keys", "stamps", "versions"} <= set(card)
    assert "synthetic" in json.dumps(card["stamps"])
