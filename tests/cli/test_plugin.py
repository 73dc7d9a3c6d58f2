"""`bdk plugin`: what it writes installs, conforms and can be used at once; what it checks, it counts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bdk import registry, scaffold
from bdk.errors import BdkError
from bdk.testing.installing import install_project
from bdk_cli.plugin import KINDS, plugin
from typer.testing import CliRunner


def run(*arguments):
    done = CliRunner().invoke(plugin, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry.forget()
    before = set(sys.modules)
    yield tmp_path / "site"
    for name in set(sys.modules) - before:
        if name.startswith(("bdk_my_", "bdk_plugin_")):
            del sys.modules[name]
    registry.forget()


def test_the_command_knows_every_kind_of_part():
    assert KINDS == scaffold.KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_new_writes_conforms_at_once(site, tmp_path, kind):
    written = run("new", kind, f"my-{kind}", "--into", str(tmp_path / "src"))
    assert f"bdk plugin check bdk-my-{kind}" in written.output
    install_project(site, tmp_path / "src" / f"bdk-my-{kind}")
    registry.forget()
    checked = run("check", f"bdk-my-{kind}")
    assert checked.exit_code == 0, checked.output
    assert "DOES NOT" not in checked.output and "1 parts" in checked.output
    listed = registry.load()
    assert f"bdk-my-{kind} 0.1.0" in {found.distribution for found in listed.plugins} and not listed.broken


@pytest.mark.parametrize("kind", ["fusion", "retriever", "dataset", "metric"])
def test_a_single_file_can_be_checked_without_packaging_it(site, tmp_path, kind):
    run("new", kind, f"my-{kind}", "--into", str(tmp_path), "--single-file")
    path = tmp_path / f"my_{kind}.py"
    checked = run("check", str(path))
    assert checked.exit_code == 0, checked.output
    assert "not packaged" in checked.output


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_that_new_writes_pass(site, tmp_path, kind):
    root = tmp_path / "src" / f"bdk-my-{kind}"
    scaffold.write(kind, f"my-{kind}", tmp_path / "src")
    install_project(site, root)
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert "bdk conformance" in done.stdout and "0 failed" in done.stdout


def test_every_file_that_new_writes_is_formatted_and_imports_what_it_uses(tmp_path):
    for kind in KINDS:
        scaffold.write(kind, f"my-{kind}", tmp_path)
        root = tmp_path / f"bdk-my-{kind}"
        ruff = [sys.executable, "-m", "ruff"]
        for words in (["check", "--select", "E,F,I,UP,B,SIM", "--ignore", "F722,F821,UP037"], ["format", "--check"]):
            line = [*ruff, *words, "--isolated", "--line-length", "120", "."]
            done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{kind}: {done.stdout}"


def test_a_package_has_an_entry_point_a_test_and_a_workflow(tmp_path):
    written = scaffold.write("fusion", "my-fusion", tmp_path)
    names = {path.relative_to(tmp_path / "bdk-my-fusion").as_posix() for path in written.files}
    assert names == {
        "pyproject.toml",
        "README.md",
        ".github/workflows/test.yml",
        "src/bdk_my_fusion/__init__.py",
        "src/bdk_my_fusion/configs.py",
        "src/bdk_my_fusion/my_fusion.py",
        "tests/test_my_fusion.py",
    }


@pytest.mark.parametrize("name", ["My-Fusion", "my_fusion", "-x", "2nd", "a b", "configs", "class", ""])
def test_a_name_that_cannot_be_one_is_refused(tmp_path, name):
    with pytest.raises(BdkError, match="cannot name a part"):
        scaffold.write("fusion", name, tmp_path)


def test_a_name_that_is_taken_is_refused_and_its_owner_named(tmp_path):
    with pytest.raises(BdkError, match=f"offered already, by {registry.OWN}"):
        scaffold.write("fusion", "ram", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(BdkError, match="no kind of part 'widget'"):
        run("new", "widget", "x", "--into", str(tmp_path))


def test_nothing_that_is_there_is_overwritten(tmp_path):
    scaffold.write("fusion", "my-fusion", tmp_path)
    with pytest.raises(BdkError, match="is there already"):
        scaffold.write("fusion", "my-fusion", tmp_path)


def test_check_tells_facts_as_json_and_counts(site, tmp_path):
    scaffold.write("space", "my-space", tmp_path / "src")
    install_project(site, tmp_path / "src" / "bdk-my-space")
    registry.forget()
    facts = json.loads(run("check", "bdk-my-space", "--json").output)
    assert facts["ok"] is True
    results = [result for report in facts["reports"] for result in report["results"]]
    ran = sum(result["outcome"] != "skipped" for result in results)
    assert f"{ran} checks ran" in facts["counts"] and ran >= 12
    assert all(result["meaning"] for result in results)


def test_check_of_an_unknown_package_names_the_installed_ones():
    with pytest.raises(BdkError, match="nobody") as caught:
        run("check", "nobody")
    assert registry.OWN in caught.value.mend


def test_the_command_writes_a_package_from_another_directory(tmp_path):
    command = [sys.executable, "-m", "bdk_cli", "plugin", "new", "fusion", "my-fusion"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path, "bdk-my-fusion", "pyproject.toml").is_file()
