"""Options of the two training objectives. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bdk.components import Config


class Stage1Objective(Config):
    """What encoder and prior are trained for."""

    loss: Literal["mindeye", "brainram-paper", "regression"] = "mindeye"
    """``mindeye``: BiMixCo, later SoftCLIP, plus the weighted prior loss; also BrainRAM's released code, hence the
    default. ``brainram-paper``: eq. 6 as printed. ``regression``: the error of the tokens alone, without negatives
    (Gu et al., Mind Reader)."""

    tau: float = Field(default=0.006, gt=0)
    """Temperature of InfoNCE, MixCo and BiMixCo, no unit; MindEye's .006. The paper prints none."""

    prior_weight: float = Field(default=30.0, ge=0)
    """``mindeye``: weight of the prior's loss (or of the error of the tokens, without a prior); MindEye's 30."""

    anchor_weight: float = Field(default=0.0, ge=0)
    """``mindeye``: weight of the error of the encoder's own tokens beside the prior's. 0 as published: they are free,
    and the prior learns to read them. In short trainings a prior reads anchored tokens far sooner."""

    mixup_fraction: float = Field(default=0.33, ge=0, le=1)
    """``mindeye``: share of training with mixed betas (BiMixCo); SoftCLIP afterwards. MindEye's .33."""

    softclip_tau_start: float = Field(default=0.004, gt=0)
    """``mindeye``: temperature at the start of SoftCLIP; MindEye's .004."""

    softclip_tau_end: float = Field(default=0.0075, gt=0)
    """``mindeye``: temperature at the end of training, reached along a half cosine; MindEye's .0075."""

    mix_concentration: float = Field(default=0.15, gt=0)
    """Shares of mixed betas are drawn from Beta(a, a); MindEye's .15 puts two thirds within .05 of 0 or 1."""

    mix_chance: float = Field(default=0.5, ge=0, le=1)
    """Chance that a row is mixed at all; MindEye's .5."""

    gamma: float = Field(default=0.8, ge=0, le=1)
    """``brainram-paper``: weight of InfoNCE; 1 - gamma weighs the prior's error. Printed: .8."""

    beta: float = Field(default=0.3, ge=0)
    """``brainram-paper``: weight of MixCo. Printed: .3."""

    mse_scale: float | None = Field(default=None, gt=0)
    """Factor on the mean squared error of the encoder's tokens (without a prior, or anchored); by default the numbers
    per token, which is the scale in which a prior's loss is measured."""

    distance: Literal["squared", "absolute"] = "squared"
    """``regression`` without a prior: mean squared error, or mean absolute error (MindEye's low-level latents)."""

    cosine_weight: float = Field(default=0.0, ge=0, le=1)
    """``regression``: weight of 1 - cosine between estimate and target, each as one vector; the error has the rest.
    Mind Reader's .6."""


class Stage2Objective(Config):
    """What a fusion module is trained for: BrainRAM eq. 12."""

    tau: float = Field(default=0.006, gt=0)
    """Temperature of InfoNCE, no unit. The paper prints none; MindEye's .006."""

    gamma: float = Field(default=0.2, ge=0, le=1)
    """Weight of InfoNCE; 1 - gamma weighs the error of the tokens. Printed: .2."""

    mse_scale: float = Field(default=1.0, gt=0)
    """Factor on the mean squared error of the tokens. Tokens of unit length have an error of about 1/D per number, so
    that gamma hardly counts at 1 (the paper as printed); D (768) makes the two terms comparable."""
