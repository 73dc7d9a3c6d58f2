"""The example packages, put on the import path with their entry points as pip would: their own tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from bdk.testing.installing import install_project

PACKAGES = Path(__file__).parents[2] / "examples/plugins"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tests"), [("bdk-gated-fusion", 8), ("bdk-roi-transformer", 7)])
def test_the_packages_own_tests_pass(tmp_path, name, tests):
    install_project(tmp_path / "site", PACKAGES / name)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, env=env, cwd=PACKAGES / name, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{tests} passed" in done.stdout


@pytest.mark.parametrize("root", sorted(PACKAGES.iterdir()), ids=lambda root: root.name)
def test_every_example_package_is_whole(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["name"] == root.name
    assert project["entry-points"]["bdk"]
    assert any(needed.startswith("brain-decoding-kit") for needed in project["dependencies"])
    assert (root / "README.md").read_text().startswith(f"# {root.name}\n\n```\npip install")
    assert list((root / "tests").glob("test_*.py"))
