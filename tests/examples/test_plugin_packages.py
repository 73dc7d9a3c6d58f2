"""The example packages, installed by pip into an environment of their own beside the kit: their own tests pass there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "examples/plugins"
NAMES = ("bdk-gated-fusion", "bdk-roi-transformer", "bdk-vector-db")


def call(*line: str | Path, cwd: Path) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "BDK_"))}
    done = subprocess.run([str(word) for word in line], cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, line))}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An interpreter that sees the kit and what it needs, and the three packages as pip installs them."""
    env = tmp_path_factory.mktemp("env") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", env, cwd=env.parent)
    site = next(env.glob("lib/python*/site-packages"))
    (site / "kit.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", "--python", env / "bin/python", "install", *offline]
    call(*pip, *(PACKAGES / name for name in NAMES), cwd=env.parent)
    return env / "bin/python"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tests"), zip(NAMES, (8, 7, 6), strict=True))
def test_the_packages_own_tests_pass(python, tmp_path, name, tests):
    told = call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", tmp_path, cwd=PACKAGES / name)
    assert f"{tests} passed" in told and "skipped" not in told.splitlines()[-1]


def test_every_example_package_is_tested_above_and_whole():
    roots = sorted(PACKAGES.iterdir())
    assert [root.name for root in roots] == sorted(NAMES)
    for root in roots:
        project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        assert project["name"] == root.name
        assert project["entry-points"]["bdk"]
        assert any(needed.startswith("brain-decoding-kit") for needed in project["dependencies"])
        assert (root / "README.md").read_text().startswith(f"# {root.name}\n\n```\npip install")
        assert list((root / "tests").glob("test_*.py"))
