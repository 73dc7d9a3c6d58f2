"""The data and conversion commands."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from bdk.errors import DataError
from bdk_cli.data import data
from typer.testing import CliRunner

TOML = 'betas = "betas.npy"\ntrial_stimulus = "trials.txt"\ntest = ["b"]\ncaptions = "captions.json"\n'


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "betas.npy", np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32))
    (tmp_path / "trials.txt").write_text("a\nb\nc\n")
    (tmp_path / "captions.json").write_text(json.dumps({name: f"the letter {name}" for name in "abc"}))
    (tmp_path / "data.toml").write_text(TOML)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


def test_check_tells_what_described_arrays_hold(folder):
    facts = json.loads(call("check", folder / "data.toml", "--json").stdout)
    assert (facts["trials"], facts["voxels"], facts["train"], facts["test"]) == (3, 4, 2, 1)
    assert "captions      1 or more a stimulus" in call("check", folder / "data.toml").stdout


def test_check_finds_a_nan(folder):
    betas = np.load(folder / "betas.npy")
    betas[1, 2] = np.nan
    np.save(folder / "betas.npy", betas)
    error = call("check", folder / "data.toml").exception
    assert isinstance(error, DataError) and "trial 1, voxel 2" in str(error)


def test_prepare_names_what_is_missing_and_writes_nothing(tmp_path):
    error = call("prepare", "nsd", "--root", tmp_path / "nsd", "--out", tmp_path / "out").exception
    assert isinstance(error, DataError) and "betas_session01.hdf5" in error.where
    assert not (tmp_path / "out").exists()


def test_a_wrong_choice_is_answered_with_the_known_ones(tmp_path):
    result = call("prepare", "nsd", "--root", tmp_path, "--out", tmp_path / "out", "--split", "nsd38")
    assert result.exit_code == 2 and "nsd37" in result.output


def test_looking_at_the_data_commands_loads_no_torch():
    code = (
        "import sys, bdk_cli.data, bdk.data.plugin, bdk.data.configs\n"
        "print([m for m in ('torch', 'numpy', 'PIL', 'h5py', 'nibabel', 'pyarrow') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
