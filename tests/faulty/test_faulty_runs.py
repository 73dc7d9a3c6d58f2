"""Parts that misbehave while a run is at work: their row fails with who, where and what; the other row is finished."""

from __future__ import annotations

import json

import pytest
from bdk import registry, scaffold
from bdk.testing.installing import install_project
from bdk_cli.main import main

from tests.faulty.test_faulty_packages import forget_modules_under
from tests.tiny import spec

BACK = "return estimate + share * (mean - estimate)"
FAULTS = {
    "exits": ("__init__()", "__init__()\n        raise SystemExit(3)", ["cannot be built: SystemExit: 3"]),
    "stops": (BACK, "raise SystemExit(3)", ["failed: SystemExit: 3", "(4, 65, 128)"]),
    "shrinks": (BACK, "return estimate[:, :1]", ["returned refined tokens of shape (4, 1, 128)", "(4, 65, 128)"]),
    "breaks": (BACK, "return estimate * float('nan')", ["numbers that are NaN", "(4, 65, 128)"]),
}
"""For each part: text of the scaffold, what replaces it, and what its failure must say."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The steps that every run here shares are made once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Installs a fusion module with one text swapped for another."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def written(name: str, old: str, new: str) -> None:
        registry.forget()
        scaffold.write("fusion", name, tmp_path / "projects")
        path = tmp_path / "projects" / f"bdk-{name}" / "src" / f"bdk_{name}" / f"{name}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        install_project(tmp_path / "site", tmp_path / "projects" / f"bdk-{name}")
        registry.forget()

    yield written
    forget_modules_under(tmp_path)


def run(capsys, tmp_path, store, fusions: list[str], *arguments: str):
    """The facts that ``--json`` prints about a sweep of fusion modules, and the exit code."""
    text = f"guides = ['image']\n[grid]\nfusion = {json.dumps(fusions)}\n"
    words = ["run", spec(tmp_path, text), "--encoder", "ridge", "--prior", "none", "--decoder", "none"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "run"), "--store", str(store), "--json", *arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return json.loads(said.out), ended.value.code or 0


@pytest.mark.parametrize("name", FAULTS)
def test_a_part_that_misbehaves_fails_its_row_alone(write, capsys, tmp_path, store, name):
    old, new, says = FAULTS[name]
    write(name, old, new)
    facts, code = run(capsys, tmp_path, store, [name, "average"])
    assert code == 1
    ((row, fault),) = facts["failures"].items()
    assert row.endswith(name)
    for words in (*says, f"bdk-{name} 0.1.0", "step refine"):
        assert words in fault
    assert (tmp_path / "run" / "average" / "metrics.json").is_file()


def test_what_a_part_prints_while_it_works_stays_out_of_the_facts(write, capsys, tmp_path, store):
    write("chatters", BACK, f"print('hello from inside')\n        {BACK}")
    facts, code = run(capsys, tmp_path, store, ["chatters"])
    assert code == 0 and facts["failures"] == {}
