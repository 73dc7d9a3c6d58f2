"""Options of the fusion modules. Imports no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from bdk.components import Config
from pydantic import Field


class AverageConfig(Config):
    """Options of `average`: none."""


class ResidualConfig(Config):
    """What every trained fusion module shares."""

    residual: bool = True
    """Whether the module learns what to add to the estimate (refined = p + q) or the refined tokens themselves
    (refined = q). The paper: "c = p + q in the most ideal situation"."""


class Conv1x1Config(ResidualConfig):
    """Options of `conv1x1`: one weight per branch and one bias, zero at the start."""


class AttentionConfig(ResidualConfig):
    """Options of the modules that attend."""

    heads: int = Field(default=12, ge=1)
    """Attention heads; must divide the numbers per token. Not in the paper; 12 heads of 64 at 768, as in the prior."""

    pre_norm: bool = False
    """Whether to layer-norm estimate and neighbours before attention. Not in the paper, hence off."""

    zero_init: Literal["weight+bias", "weight", "none"] = "weight+bias"
    """What of the output projection starts at zero. The paper: "the initial output of RAM is zero"; with the weight
    alone the bias leaks, so both."""


class CrossAttentionConfig(AttentionConfig):
    """Options of `cross-attention`: queries from the estimate, keys and values from all neighbours at once."""


class SelfAttentionConfig(AttentionConfig):
    """Options of `self-attention`: the control that sees no neighbour."""

    needs_neighbours: ClassVar[bool] = False


class RamConfig(AttentionConfig):
    """Options of `ram`. Each is a place where the paper's eq. 7-11 can be read in more than one way."""

    shared: bool = True
    """Whether self-attention and cross-attention share their weights. The paper says they do; ``false`` gives the
    estimate's own branch a set of its own."""

    squeeze: int = Field(default=16, ge=1)
    """The tiny MLP F of each branch goes D -> D/squeeze -> 1. The paper gives no size; 16 is usual for such gates."""

    gates: Literal["per-rank", "tied"] = "per-rank"
    """``per-rank``: branch k, the neighbour of similarity rank k, has an F of its own, so the order of neighbours
    matters (F_i in the paper). ``tied``: one F for the estimate, one for all neighbours; the order then does not."""

    softmax: Literal["branches", "tokens"] = "branches"
    """Over what the gates compete, each token by itself: the K + 1 ``branches`` ("first dimension of Z"), or the
    ``tokens`` of each branch."""

    token_sum: bool = False
    """Whether to sum over tokens as eq. 11 is printed. It then yields one vector per stimulus, added to all tokens;
    the left side q_ij has a token index, so we take the inner sum for a slip."""

    uniform_start: bool = False
    """Whether the gates start equal (last layer of every F at zero). Not in the paper."""

    branch_embedding: bool = False
    """Whether each branch adds a learned vector to its tokens before attention. Not in the paper."""

    missing: Literal["mask", "estimate"] = "mask"
    """What stands in for a neighbour that is missing (dead address, fewer than K hits): its branch is left out of
    mean and softmax, or it takes the ``estimate`` in its place. Not in the paper."""
