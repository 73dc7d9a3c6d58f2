"""Specs: one TOML grammar for files, variants, grids and the command line.

Names are imported when first asked for: the command line needs the grammar alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdk.spec.claims import Claim
    from bdk.spec.models import GuideSpec, Measure, Part, RunSpec, Select
    from bdk.spec.resolve import Sweep, load

_HOME = {
    "Claim": "claims",
    "GuideSpec": "models",
    "Measure": "models",
    "Part": "models",
    "RunSpec": "models",
    "Select": "models",
    "Sweep": "resolve",
    "load": "resolve",
}

__all__ = ["Claim", "GuideSpec", "Measure", "Part", "RunSpec", "Select", "Sweep", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bdk.spec' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bdk.spec.{_HOME[name]}"), name)
