"""Options of the encoder `roi-transformer`. Imports no torch."""

from __future__ import annotations

from typing import Any, ClassVar

from bdk import Config
from pydantic import Field, model_validator


class RoiTransformerConfig(Config):
    """Options of `roi-transformer`."""

    small: ClassVar[dict[str, Any]] = {"width": 16, "depth": 1, "heads": 2, "parts": 4}
    """What the conformance kit tries it with: the defaults would make its checks slow."""

    rois: tuple[str, ...] = ()
    """Regions that become tokens; empty: every region of the data, and one more for voxels outside of all."""

    parts: int = Field(default=16, ge=1)
    """Tokens where the data names no regions: the voxels are cut, in their order, into so many parts of equal size."""

    width: int = Field(default=256, ge=1)
    """Numbers of a region's token. A region of 2,000 voxels keeps far fewer independent directions than that."""

    depth: int = Field(default=4, ge=1)
    """Transformer blocks."""

    heads: int = Field(default=8, ge=1)
    """Attention heads; must divide ``width``."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of numbers dropped after attention and in the MLPs, against overfitting."""

    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Chance that the last block is skipped in training (stochastic depth); it grows from 0 over the blocks."""

    @model_validator(mode="after")
    def _heads_divide(self) -> RoiTransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")
        return self
