"""The blocks marked as runnable run: each page from its first to its last, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Block, blocks

PAGES = ("quickstart", "plugins", "data", "your-own-data", "gallery", "python")
"""Pages whose ``bash`` and ``python`` blocks are run, and whose titled blocks are written to files."""
LIMIT = 1200


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """An environment for commands: an interpreter that sees what this one sees, into which pages may install."""
    folder = tmp_path_factory.mktemp("docs")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    site = folder / "env" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    above = sysconfig.get_path("purelib")
    (site / "above.pth").write_text(f"import site; site.addsitedir({above!r})\n", encoding="utf-8")
    for name, module in {"bdk": "bdk_cli", "pytest": "pytest", "pip": "pip"}.items():
        script = python.parent / name
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    own = {"BDK_STORE": "store", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config"}
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **pip, **{key: str(folder / name) for key, name in own.items()}, "PATH": path}


def run(block: Block, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one block, or write it where it is a file."""
    if block.title:
        (folder / block.title).write_text(block.text, encoding="utf-8")
        command = ["true"]
    elif block.kind == "bash":
        command = ["bash", "-euo", "pipefail", "-c", block.text]
    else:
        command = ["python", "-c", block.text]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    return done


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_runnable_block_of_a_page_runs(page, shell, tmp_path):
    runnable = [
        b for b in blocks((DOCS / f"{page}.md").read_text(encoding="utf-8")) if b.title or b.kind in ("bash", "python")
    ]
    assert runnable
    for block in runnable:
        done = run(block, tmp_path, shell)
        assert done.returncode == 0, f"{page}.md, line {block.line}:\n{block.text}\n{done.stdout}\n{done.stderr}"


def test_no_other_page_marks_a_block_as_runnable():
    kinds = {
        path.stem: {block.kind for block in blocks(path.read_text(encoding="utf-8"))} for path in DOCS.glob("*.md")
    }
    assert {page for page, found in kinds.items() if "bash" in found} <= set(PAGES)


def test_a_block_that_fails_is_told(tmp_path):
    assert run(Block("bash", "", "false\ntrue\n", 1), tmp_path, dict(os.environ)).returncode == 1
    assert run(Block("toml", "x.toml", "a = 1\n", 1), tmp_path, dict(os.environ)).returncode == 0
    assert (tmp_path / "x.toml").read_text() == "a = 1\n"
