"""bdk, the brain-decoding kit: assemble brain decoders from parts.

>>> import bdk
>>> bdk.names("fusion")                                                     # doctest: +SKIP
>>> encoder = bdk.create("encoder", "mamba", voxels=15724, space="clip-vit-l14/image")   # doctest: +SKIP
>>> bdk.run("table4", out="runs/table4")                                    # doctest: +SKIP

Names are imported when first asked for: ``import bdk`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdk.api import create, load, names, run
    from bdk.components import ComponentInfo, Config, DatasetInfo, DecoderConfig, MetricInfo, SpecInfo, offer
    from bdk.errors import BdkError
    from bdk.hookspecs import hookimpl
    from bdk.spaces import Space

_HOME = {
    "BdkError": "errors",
    "ComponentInfo": "components",
    "Config": "components",
    "DatasetInfo": "components",
    "DecoderConfig": "components",
    "MetricInfo": "components",
    "Space": "spaces",
    "SpecInfo": "components",
    "create": "api",
    "hookimpl": "hookspecs",
    "load": "api",
    "names": "api",
    "offer": "components",
    "run": "api",
}

__all__ = [
    "BdkError",
    "ComponentInfo",
    "Config",
    "DatasetInfo",
    "DecoderConfig",
    "MetricInfo",
    "Space",
    "SpecInfo",
    "create",
    "hookimpl",
    "load",
    "names",
    "offer",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bdk' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bdk.{_HOME[name]}"), name)
