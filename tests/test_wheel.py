"""The built wheel in an environment of its own, away from the checkout: scaffold, install, check, list, run."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FAMILIES = ("encoder", "prior", "retriever", "fusion", "decoder")
SMALL = {
    "data.train": "40",
    "data.test": "12",
    "data.voxels": "64",
    "encoder": "ridge",
    "retriever": "laion400m",
    "retriever.n": "60",
    "prior": "none",
    "stage2.steps": "5",
    "select.candidates": "2",
    "decoder.steps": "2",
    "measure.metrics": '["pixcorr", "image_retrieval"]',
}
"""Overrides that leave every step of a quick run in place, and each of them small."""
PATIENCE = 120
"""Seconds of computing from an installed part to its first scores, whatever its family; a busy machine counts none."""

pytestmark = pytest.mark.slow


def call(*line: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(word) for word in line], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, line))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist, the wheel built from the checkout, and in `again` the wheel built from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    call(*build, out, "--sdist", "--wheel", ROOT, cwd=out)
    (sdist,) = out.glob("*.tar.gz")
    unpacked = tmp_path_factory.mktemp("unpacked")
    call("tar", "xzf", sdist, "--strip-components", "1", cwd=unpacked)
    call(*build, out / "again", "--wheel", unpacked, cwd=out)
    return out


@pytest.fixture(scope="module")
def environment(built, tmp_path_factory) -> Path:
    """A virtual environment with the wheel; what the wheel depends on is lent from the environment of the tests."""
    env = tmp_path_factory.mktemp("env") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", env, cwd=env.parent)
    site = next(env.glob("lib/python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (wheel,) = built.glob("*.whl")
    install(env, wheel)
    return env


def install(env: Path, what: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-warn-script-location"]
    call(sys.executable, "-m", "pip", "--python", env / "bin/python", "install", *options, what, cwd=env)


@pytest.fixture
def bdk(environment, tmp_path):
    """Runs the installed command in an empty directory, without the checkout on any path."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "BDK_"))}
    clean["BDK_STORE"] = str(environment.parent / "store")

    def run(*arguments: str) -> str:
        return call(environment / "bin/bdk", *arguments, cwd=tmp_path, env=clean)

    return run


def computed() -> float:
    """Seconds that processors spent on the commands of this test run so far."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as file:
        return {name: hashlib.sha256(file.read(name)).hexdigest() for name in file.namelist()}


def test_the_sdist_builds_the_same_wheel(built):
    (wheel,), (again,) = built.glob("*.whl"), (built / "again").glob("*.whl")
    assert contents(wheel) == contents(again)


def test_the_description_renders_on_the_package_index(built):
    assert "PASSED" in call(sys.executable, "-m", "twine", "check", "--strict", *built.glob("*.*"), cwd=built)


def test_the_wheel_holds_what_runs_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = contents(wheel)
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "bdk",
        "bdk_cli",
        *(f"bdk_{family}" for family in ("encoders", "priors", "fusion", "retrievers", "decoders")),
    }
    for needed in ("bdk/py.typed", "bdk/specs/table4.toml", "bdk/scaffold/templates/fusion.jinja"):
        assert needed in names


def test_the_command_comes_from_the_wheel_and_not_from_the_checkout(bdk, environment):
    assert "fusion modules" in bdk("list")
    code = "import bdk, bdk_cli; print(bdk.__file__, bdk_cli.__file__)"
    told = call(environment / "bin/python", "-c", code, cwd=environment)
    assert str(ROOT) not in told


@pytest.mark.parametrize("family", FAMILIES)
def test_a_part_is_written_installed_checked_listed_and_run(bdk, environment, tmp_path, family):
    name = f"my-{family}"
    bdk("plugin", "new", family, name)
    install(environment, tmp_path / f"bdk-{name}")
    started = computed()
    assert "DOES NOT" not in bdk("plugin", "check", f"bdk-{name}")
    assert f"[bdk-{name} 0.1.0]" in bdk("list", family)
    chosen = {**SMALL, family: name}
    if family == "retriever":
        chosen.pop("retriever.n")
    if family == "decoder":
        chosen |= {"guides": "image"}
        chosen.pop("decoder.steps")
    if family in ("encoder", "prior"):
        chosen["stage1.steps"] = "5"
    options = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    facts = json.loads(bdk("run", "--quick", *options, "--out", "out", "--json"))
    assert facts["failures"] == {} and facts["made"] > 0
    assert computed() - started < PATIENCE
    scores = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert scores["pixcorr"]["value"] is not None


def test_a_metric_and_a_data_set_of_ones_own_take_part_in_a_run(bdk, environment, tmp_path):
    for kind in ("metric", "dataset", "space"):
        bdk("plugin", "new", kind, f"my-{kind}")
        install(environment, tmp_path / f"bdk-my-{kind}")
        assert "DOES NOT" not in bdk("plugin", "check", f"bdk-my-{kind}")
    parts = {"encoder": "ridge", "prior": "none", "retriever": "none", "fusion": "none", "decoder": "demo"}
    chosen = {"data": "my-dataset", "guides": "image", **parts, "measure.metrics": '["my-metric"]'}
    chosen |= {"decoder.steps": "2", "select.candidates": "2"}
    options = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    assert json.loads(bdk("run", "--quick", *options, "--out", "out", "--json"))["failures"] == {}
    scores = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert 0 < scores["my-metric"]["value"] < 1
