"""`bdk weights`: what is here, what is missing and how to get it."""

from __future__ import annotations

import json

import pytest
from bdk.weights import KNOWN
from bdk_cli.main import app, main
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"some weights")
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, ["weights", *map(str, arguments)])


def test_the_list_names_every_known_network_and_the_line_that_gets_it():
    shown = run("list").stdout
    assert all(f"bdk weights fetch {name}" in shown for name in KNOWN)


def test_added_weights_are_listed_with_their_checksum(file):
    assert run("add", "mine", file).exit_code == 0
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)["weights"]}
    assert rows["mine"]["here"] and len(rows["mine"]["sha256"]) == 64
    assert not rows["alexnet"]["here"]


def test_verify_exits_with_one_if_a_file_changed(file):
    run("add", "mine", file)
    assert run("verify").exit_code == 0
    file.write_bytes(b"SOME weights")
    found = run("verify", "mine")
    assert found.exit_code == 1 and "changed" in found.stdout


def test_removed_weights_leave_their_file(file):
    run("add", "mine", file)
    assert run("remove", "mine").exit_code == 0
    assert file.exists() and "mine" not in run("list").stdout


def test_a_file_that_is_not_what_was_published_exits_with_two(file, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["weights", "add", "alexnet", str(file)])
    assert stopped.value.code == 2
    assert "not the published alexnet" in capsys.readouterr().err
