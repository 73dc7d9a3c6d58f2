"""Options of the priors. Imports no torch."""

from __future__ import annotations

import re
from typing import Literal

from bdk.components import Config
from pydantic import Field, model_validator


class DiffusionOptions(Config):
    """What every diffusion prior shares: the noise, the training draw, the sampler."""

    samples: int = Field(default=4, ge=1, json_schema_extra={"quick": 2})
    """Samples drawn for each stimulus, of training and test; BrainRAM's 4. Each retrieves and is refined by itself."""

    timesteps: int = Field(default=100, ge=2, le=1000)
    """Noise levels of the cosine schedule; MindEye's 100."""

    cond_drop: float = Field(default=0.2, ge=0, lt=1)
    """Chance that a training row loses its condition, and, drawn apart, its noisy tokens; both are then replaced by
    learned ones. MindEye's .2; without it ``guidance`` has no meaning."""

    sampler: str = "ddpm-100"
    """``ddpm-N`` walks all N = ``timesteps`` noise levels (the published recipe, N = 100). ``dpm-N`` takes N steps of
    DPM-Solver++(2M) at levels spaced evenly in signal-to-noise ratio; 20 keep the variance of the samples."""

    guidance: float = Field(default=1.0, ge=0)
    """Classifier-free guidance scale, no unit; 1: none, as both releases sample although they train for it."""

    noise: Literal["independent", "shared"] = "independent"
    """``shared``: every stimulus starts from, and is disturbed by, the same noise, as in the releases, which reseed
    for each stimulus; results then do not depend on the company of a stimulus, but their errors are correlated."""

    release_text_norm: bool = False
    """Whether to divide samples by the norm of token 0 also where the space is not scaled so. The releases do it to
    text tokens, whose token 0 has no unit norm; a slip, kept only for comparison."""

    @model_validator(mode="after")
    def _sampler_is_known(self) -> DiffusionOptions:
        found = re.fullmatch(r"(ddpm|dpm)-(\d+)", self.sampler)
        if found is None:
            raise ValueError(f"sampler {self.sampler!r} is unknown; write 'ddpm-{self.timesteps}' or 'dpm-20'")
        kind, steps = found[1], int(found[2])
        if kind == "ddpm" and steps != self.timesteps:
            raise ValueError(f"sampler 'ddpm-{steps}' must walk all noise levels: write 'ddpm-{self.timesteps}'")
        if not 2 <= steps <= self.timesteps:
            raise ValueError(f"sampler {self.sampler!r} must take 2 to {self.timesteps} steps")
        return self


class DiffusionConfig(DiffusionOptions):
    """Options of `diffusion`, the token transformer of MindEye and BrainRAM's release."""

    depth: int = Field(default=6, ge=1)
    """Transformer layers; MindEye's 6."""

    heads: int = Field(default=12, ge=1)
    """Query heads (all share one key/value head); MindEye's 12. Heads x dim_head need not equal the token size."""

    dim_head: int = Field(default=64, ge=4, multiple_of=2)
    """Numbers per head; MindEye's 64, of which the first 32 are rotated by position."""

    ff_mult: int = Field(default=4, ge=1)
    """Hidden units of the feed-forward part, in token sizes; MindEye's 4."""


class UnetConfig(DiffusionOptions):
    """Options of `unet`, the cross-attention U-Net that BrainRAM's paper names and its release does not hold."""

    width: int = Field(default=256, ge=8, multiple_of=8)
    """Channels of the first level; deeper levels double it. Not in the paper; 256 keeps it below the transformer's
    size at 768 numbers per token."""

    levels: int = Field(default=3, ge=1, le=6)
    """Resolutions of the token axis, each half the one above. Not in the paper; three bring 257 tokens to 65."""

    heads: int = Field(default=8, ge=1)
    """Heads of the cross-attention; must divide ``width``. Not in the paper."""

    @model_validator(mode="after")
    def _heads_divide(self) -> UnetConfig:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")
        return self
