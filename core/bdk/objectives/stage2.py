"""The objective of stage II: the fusion module; encoder and prior are frozen."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from bdk.checks import require_alike
from bdk.interfaces import Fusion
from bdk.objectives.configs import Stage2Objective
from bdk.objectives.contrastive import info_nce, unit_rows
from bdk.objectives.randomness import seeded
from bdk.objectives.share import ALONE, Share


def stage2_loss(
    config: Stage2Objective,
    fusion: Fusion,
    estimate: Float[Tensor, "B T D"],
    neighbours: Float[Tensor, "B K T D"],
    present: Bool[Tensor, "B K"],
    target: Float[Tensor, "B T D"],
    generator: torch.Generator,
    share: Share = ALONE,
) -> dict[str, Tensor]:
    """gamma InfoNCE + (1 - gamma) MSE of the refined tokens.

    Source: BrainRAM eq. 12. The paper leaves open whether q or p + q is trained; ours is what the module returns,
    p + q by default ("c = p + q in the most ideal situation").

    Args:
        config: weights and temperature.
        fusion: in train mode.
        estimate: what is refined; on several processes the rows of this one alone, as ``neighbours`` and ``present``.
        neighbours: their neighbours' tokens.
        present: which of those there are.
        target: true tokens of the whole batch.
        generator: on the CPU.
        share: which rows of the batch those are; the loss is the whole batch's on every process.

    Returns:
        ``loss``, and its unweighted parts ``contrast`` and ``error`` (plain mean squared error).

    Raises:
        ComponentError: if the tensors do not fit the module.
    """
    with seeded(generator, estimate.device), share.drawing():
        refined = fusion(estimate, neighbours, present)
    require_alike(refined, target, "The refined tokens", where="stage2")
    nce = info_nce(unit_rows(share.everyone(refined)), unit_rows(target), config.tau)
    error = share.mean(F.mse_loss(refined, share.mine(target)))
    loss = eq12(nce, config.mse_scale * error, gamma=config.gamma)
    return {"loss": loss, "contrast": nce, "error": error}


def eq12(nce: Tensor, error: Tensor, *, gamma: float) -> Float[Tensor, ""]:
    """gamma InfoNCE + (1 - gamma) MSE. Source: BrainRAM eq. 12."""
    return gamma * nce + (1 - gamma) * error
