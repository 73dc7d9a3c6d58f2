from __future__ import annotations

import json

import pytest
from bdk_cli.main import main

from tests.tiny import spec


def bdk(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code or 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--encoder", "mamb"], ["'mamb'", "Did you mean 'mamba'"]),
        (["--encoder.depht", "4"], ["'depht'", "Known:"]),
        (["--encoder.hidden", "lots"], ["encoder", "hidden", "'lots'"]),
        (["--retriever", "none"], ["no neighbours to fuse", "--fusion none"]),
        (["nowhere.toml"], ["no file nowhere.toml"]),
        (["brainrum"], ["'brainrum'", "Did you mean 'brainram'"]),
        (["--encoder"], ["--encoder needs a value"]),
        (["--executor", "cloud"], ["'cloud'", "serial, dask"]),
        (["--data", "arrays", "--data.path", "missing.toml"], ["missing.toml"]),
        (["--decoder", "versatile-diffusion"], ["demo world cannot give", "--decoder demo"]),
    ],
)
def test_a_mistake_exits_with_2_without_a_traceback_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert bdk("run", *arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_malformed_toml_is_told_with_its_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('name = "x"\n[encoder\n')
    assert bdk("run", "mine.toml") == 2
    assert "line 2" in capsys.readouterr().err


def test_an_out_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert bdk("run", spec(tmp_path), "--out", str(tmp_path / "file" / "run")) == 2
    assert "--out" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    from bdk.errors import SpecError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError):
        main(["--debug", "run", "nowhere.toml"])


def test_the_last_lines_name_scores_chance_and_the_report(tmp_path, capsys):
    arguments = ["run", spec(tmp_path), "--decoder", "nearest", "--out", str(tmp_path / "run")]
    assert bdk(*arguments) == 0
    said = capsys.readouterr().out
    for word in ("chance", "mean image", "nearest training image", "report.html", "synthetic"):
        assert word in said
    assert bdk(*arguments) == 0
    assert "0 steps made" in capsys.readouterr().out


def test_json_prints_facts_alone(tmp_path, capsys):
    assert bdk("run", spec(tmp_path), "--decoder", "none", "--out", str(tmp_path / "run"), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["made"] > 0 and facts["failures"] == {}


def test_log_json_prints_one_event_a_line(tmp_path, capsys):
    assert bdk("run", spec(tmp_path), "--decoder", "none", "--out", str(tmp_path / "run"), "--log-json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {"plan", "start", "row", "done"} <= {event["event"] for event in events}


def test_plan_prints_full_size_parameters_without_data_or_weights(capsys):
    assert bdk("plan", "brainram", "--data", "nsd", "--json") == 0
    steps = {step["step"]: step for step in json.loads(capsys.readouterr().out)["steps"]}
    image = steps["estimate image (mamba + diffusion)"]
    assert image["parts"] == {"encoder": 880_455_136, "prior": 56_055_168}
    assert steps["estimate text (mamba + diffusion)"]["parts"]["prior"] == 55_640_448
    assert any("clip-vit-l14" in lack for lack in steps["targets image"]["missing"])


def test_plan_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert bdk("plan", "table3", "table4", "--no-sizes") == 0
    assert "distinct steps" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_plan_tells_the_time_that_equal_steps_took_whatever_their_seed_and_no_other(tmp_path, capsys):
    path, more = spec(tmp_path), ["--decoder", "none", "--store", str(tmp_path / "store")]
    assert bdk("run", path, *more, "--out", str(tmp_path / "run"), "--json") == 0

    def seconds(*options):
        capsys.readouterr()
        assert bdk("plan", path, *more, "--json", *options) == 0
        return {step["step"]: step.get("seconds") for step in json.loads(capsys.readouterr().out)["steps"]}

    took = seconds()
    assert all(value is not None for value in took.values())
    assert seconds("--seed", "7") == took
    longer = seconds("--stage1.steps", "500")
    assert longer["estimate image (mamba + diffusion)"] is None and longer["refine image (ram)"] is not None


def test_plan_names_what_is_missing_once_and_every_part_with_its_parameters(capsys):
    assert bdk("plan", "brainram", "--data", "nsd") == 0
    said = capsys.readouterr().out
    assert "880,455,136 encoder" in said and "56,055,168 prior" in said
    assert said.count("Weights 'clip-vit-l14' are not on this machine") == 1
