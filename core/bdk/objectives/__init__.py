"""What training minimises: pure functions, and the two stages that combine them.

The options (`Stage1Objective`, `Stage2Objective`) import no torch; everything else is imported when first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bdk.objectives.configs import Stage1Objective, Stage2Objective

if TYPE_CHECKING:
    from bdk.objectives.contrastive import bimixco, info_nce, mixco_nce, softclip, unit_rows
    from bdk.objectives.mixing import Mix, draw_mix, mix_betas
    from bdk.objectives.randomness import seeded
    from bdk.objectives.schedules import cosine_anneal
    from bdk.objectives.stage1 import eq6, stage1_loss
    from bdk.objectives.stage2 import eq12, stage2_loss

_HOME = {
    **dict.fromkeys(("bimixco", "info_nce", "mixco_nce", "softclip", "unit_rows"), "contrastive"),
    **dict.fromkeys(("Mix", "draw_mix", "mix_betas"), "mixing"),
    "seeded": "randomness",
    "cosine_anneal": "schedules",
    **dict.fromkeys(("eq6", "stage1_loss"), "stage1"),
    **dict.fromkeys(("eq12", "stage2_loss"), "stage2"),
}

__all__ = [
    "Mix",
    "Stage1Objective",
    "Stage2Objective",
    "bimixco",
    "cosine_anneal",
    "draw_mix",
    "eq6",
    "eq12",
    "info_nce",
    "mix_betas",
    "mixco_nce",
    "seeded",
    "softclip",
    "stage1_loss",
    "stage2_loss",
    "unit_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
