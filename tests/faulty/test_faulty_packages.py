"""Packages with one deliberate fault each: the check meant for it fails, alone, and the command keeps working."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from bdk import registry, scaffold
from bdk.testing import conformance
from bdk.testing.installing import install_project
from bdk_cli.main import app
from typer.testing import CliRunner

FAULTS = tomllib.loads(Path(__file__).with_name("faults.toml").read_text())


def write_package(name: str, folder: Path) -> str:
    """The scaffold's package with its fault in it, installed in the folder; returns the distribution's name."""
    fault = FAULTS[name]
    scaffold.write(fault["kind"], name, folder / "projects")
    root = folder / "projects" / f"bdk-{name}"
    word = name.replace("-", "_")
    file = {"door": "__init__.py", "module": f"{word}.py", "configs": "configs.py"}[fault["file"]]
    path = root / "src" / f"bdk_{word}" / file
    text = path.read_text()
    for swap in fault["swap"]:
        assert swap["old"] in text, f"the scaffold no longer has: {swap['old']}"
        text = text.replace(swap["old"], swap["new"])
    path.write_text(text)
    return install_project(folder / "site", root)


def forget_modules_under(folder: Path) -> None:
    """Leave no module of a test's packages behind, so that the next test finds what is installed then."""
    for gone, found in list(sys.modules.items()):
        if str(folder) in str(getattr(found, "__file__", "")):
            del sys.modules[gone]
    registry.forget()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    def install(name: str) -> str:
        registry.forget()
        distribution = write_package(name, tmp_path)
        monkeypatch.syspath_prepend(tmp_path / "site")
        registry.forget()
        return distribution

    yield install
    forget_modules_under(tmp_path)


@pytest.mark.parametrize("name", FAULTS)
def test_the_check_that_is_meant_for_a_fault_fails_and_no_other(installed, name):
    fault = FAULTS[name]
    report = conformance.check_package(installed(name))
    assert report.failed == [fault["check"]], str(report)
    assert not report.ok
    assert fault.get("says", "") in str(report)
    listed = CliRunner().invoke(app, ["list"])
    assert listed.exit_code == 0
    assert "self-attention" in listed.output


def test_there_are_at_least_ten_faults():
    assert len({fault["check"] for fault in FAULTS.values()}) >= 30


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """All faulty packages installed side by side."""
    folder = tmp_path_factory.mktemp("crowd")
    registry.forget()
    for name in FAULTS:
        write_package(name, folder)
    return folder / "site"


def bdk(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "bdk_cli", *arguments], capture_output=True, text=True, env=env, check=False, timeout=120
    )


def test_list_works_beside_all_of_them_together(crowd):
    done = bdk(crowd, "list", "fusion")
    assert done.returncode == 0, done.stderr
    assert "ram" in done.stdout
    assert "hello from a stranger" not in done.stdout
    for name in ("crashes", "exits", "takes-a-name", "other-api"):
        assert f"bdk-{name} 0.1.0" in done.stderr


def test_errors_shows_tracebacks_and_what_slows_the_command(crowd):
    done = bdk(crowd, "list", "--errors")
    assert done.returncode == 0
    assert 'raise RuntimeError("boom")' in done.stdout
    assert "bdk-takes-a-name 0.1.0" in done.stdout and "brain-decoding-kit" in done.stdout
    assert "hello from a stranger" in done.stdout
    assert "imports torch" in done.stdout


def test_disabled_plugins_are_not_even_imported(crowd):
    env = {**os.environ, "PYTHONPATH": str(crowd), "BDK_DISABLE_PLUGINS": "all"}
    code = "import sys; from bdk import registry; print(len(registry.load().broken), 'bdk_prints' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["0", "False"]


def test_strict_mode_refuses_to_start_beside_a_broken_plugin(crowd):
    env = {**os.environ, "PYTHONPATH": str(crowd), "BDK_STRICT_PLUGINS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bdk_cli", "list"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 2
    assert "BDK_STRICT_PLUGINS" in done.stderr and "Traceback" not in done.stderr


def test_plugin_check_exits_with_one_and_names_the_check(crowd):
    done = bdk(crowd, "plugin", "check", "bdk-crashes")
    assert done.returncode == 1
    assert "FAILED   imports" in done.stdout
