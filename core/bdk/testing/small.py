"""Which options a part is tried with: its own word for it, else sizes known to be small, else its defaults.

A config class may say ``small: ClassVar[dict]``, options that make the part quick to try, or, if it needs files,
a classmethod ``small(cls, folder: Path) -> dict`` that writes them into the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bdk.components import Config
from bdk.registry import OWN

KNOWN: dict[tuple[str, str], dict[str, Any]] = {
    ("encoder", "mlp"): {"hidden": 32, "blocks": 1, "projector_width": 16},
    ("encoder", "mamba"): {"hidden": 32, "blocks": 1, "projector_width": 16, "token_width": 4},
    ("encoder", "conv1d-resnet"): {"channels": 8, "blocks": 1, "squeeze": 16},
    ("encoder", "ridge"): {"alphas": (0.1, 1.0, 10.0, 100.0), "folds": 3},
    ("prior", "diffusion"): {"depth": 1, "heads": 2, "dim_head": 8, "timesteps": 10, "sampler": "ddpm-10"},
    ("prior", "unet"): {"width": 16, "levels": 2, "heads": 2, "timesteps": 10, "sampler": "ddpm-10"},
    ("fusion", "ram"): {"heads": 2},
    ("fusion", "cross-attention"): {"heads": 2},
    ("fusion", "self-attention"): {"heads": 2},
    ("decoder", "demo"): {"steps": 1},
    ("data", "demo"): {"train": 16, "test": 8, "voxels": 64, "repeats": 2},
}
"""Sizes of the built-in parts whose defaults are the published ones."""


def small_options(family: str, name: str, owner: str, kind: type[Config], folder: Path) -> dict[str, Any]:
    """Options for the checks of one part.

    Args:
        family: of a component, or ``data``.
        name: of the part.
        owner: its distribution.
        kind: its config class.
        folder: where a part that needs files may put them.
    """
    own = getattr(kind, "small", None)
    if callable(own):
        return dict(own(folder))
    if isinstance(own, Mapping):
        return dict(own)
    if owner.startswith(f"{OWN} "):
        return dict(KNOWN.get((family, name), {}))
    return {}
