"""The command's light door: help, list and show load no heavy library."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "timm", "open_clip", "diffusers", "faiss", "torchmetrics")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["show", "fusion", "ram"], ["run", "--help"], ["plan", "--no-sizes"]],
    ids=" ".join,
)
def test_the_command_answers_without_heavy_libraries(arguments):
    code = (
        "import sys\nfrom bdk_cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_command_is_put_together_without_the_others():
    import typer
    from bdk_cli.main import PARTS, assemble, needed

    for part, commands in PARTS.items():
        assert tuple(typer.main.get_command(assemble([part])).commands) == commands
        assert all(needed([command]) == [part] for command in commands)
    assert needed(["--help"]) == needed(["lsit"]) == needed([]) == list(PARTS)


@pytest.mark.parametrize("arguments", [["--help"], ["list"]], ids=" ".join)
def test_help_and_list_read_no_numbers_and_no_specs(arguments):
    code = (
        "import sys\nfrom bdk_cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('LOADED', [name for name in ('numpy', 'bdk.options', 'bdk.spec.models') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_core_and_command_name_no_plugin_package():
    packages = re.compile(r"bdk_(encoders|priors|fusion|retrievers|decoders)")
    for root in ("core", "cli"):
        for path in (ROOT / root).rglob("*.py"):
            assert not packages.search(path.read_text()), path


def test_importing_the_package_is_free():
    code = "import sys, bdk; print([name for name in ('torch', 'pydantic', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_public_names_are_these():
    import bdk

    assert bdk.__all__ == sorted(bdk.__all__)
    for name in bdk.__all__:
        assert getattr(bdk, name) is not None
