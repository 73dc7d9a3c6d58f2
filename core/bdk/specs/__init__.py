"""The bundled specs. Imports nothing heavy."""

from __future__ import annotations

import importlib.resources
import tomllib

from bdk.components import SpecInfo
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_specs() -> list[SpecInfo]:
    """Every spec file of this folder, with its ``note`` or ``caption`` as the summary."""
    return [_info(path.name) for path in sorted(importlib.resources.files(__name__).iterdir(), key=lambda p: p.name)
            if path.name.endswith(".toml") and path.name != "paper_tables.toml"]  # fmt: skip


def _info(name: str) -> SpecInfo:
    raw = tomllib.loads(importlib.resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))
    summary = raw.get("caption") or raw.get("note") or raw.get("label", "")
    return SpecInfo(name.removesuffix(".toml"), f"{__name__}:{name}", str(summary))
