"""Ground-truth tensors of a guide for every stimulus, computed by the backbone that its space names.

Names are imported when first asked for, so that the list of spaces can be read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdk.targets.backbones import Backbone, backbone, embed_all

__all__ = ["Backbone", "backbone", "embed_all"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'bdk.targets' has no attribute {name!r}")
    return getattr(importlib.import_module("bdk.targets.backbones"), name)
