"""Fusion by learned gates: what the package offers, and its options. Imports no torch, so `bdk list` stays quick."""

from __future__ import annotations

from typing import Literal

from bdk import ComponentInfo, Config, hookimpl, offer
from pydantic import Field

bdk_api = ">=1,<2"


class GatedConfig(Config):
    """Options of `gated`."""

    hidden: int = Field(default=64, ge=1)
    """Hidden units of the gates; few, since a gate only says how far to trust a number."""

    start: float = Field(default=-2.0, ge=-10, le=10)
    """Where the gates start, before the logistic function: -2 is a gate of .12, so that training starts near the
    estimate."""

    per: Literal["number", "token"] = "number"
    """Whether every number of a token has a gate of its own, or all of them share one."""


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """What this package offers."""
    return [
        offer(
            "fusion",
            "gated",
            config="bdk_gated_fusion:GatedConfig",
            target="bdk_gated_fusion.gated:Gated",
            summary="steps towards each neighbour, as far as learned gates allow",
            fit_mode="gradient",
        )
    ]
