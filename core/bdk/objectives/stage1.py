"""The objective of stage I: encoder and prior."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.interfaces import Encoded, Encoder, Prior
from bdk.objectives.configs import Stage1Objective
from bdk.objectives.contrastive import bimixco, info_nce, mixco_nce, softclip, unit_rows
from bdk.objectives.mixing import draw_mix, mix_betas
from bdk.objectives.randomness import seeded
from bdk.objectives.schedules import cosine_anneal


def stage1_loss(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Float[Tensor, "B V"],
    targets: Float[Tensor, "B T D"],
    progress: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Loss of one batch; all randomness, dropout included, comes from the generator.

    Args:
        config: which loss, and its numbers.
        encoder: in train mode.
        prior: in train mode, or None: the encoder's tokens are then the estimate.
        betas: one row a stimulus.
        targets: true tokens, in the space's scale.
        progress: done share of training, 0..1.
        generator: on the CPU.

    Returns:
        ``loss``, and its unweighted parts by name.

    Raises:
        ComponentError: if betas or targets do not fit the components.
    """
    with seeded(generator, betas.device):
        if config.loss == "mindeye":
            return _mindeye(config, encoder, prior, betas, targets, progress, generator)
        return _brainram_paper(config, encoder, prior, betas, targets, generator)


def _mindeye(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Tensor,
    targets: Tensor,
    progress: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """BiMixCo for the first third, SoftCLIP afterwards, plus the weighted prior loss.

    Source: MindEye (commit 6b30ea5), and BrainRAM's release (commit ff980a4). The contrastive part scores the
    projector's output; the prior is conditioned on the mixed betas and aims at the unmixed target, as there.
    """
    wanted = unit_rows(targets)
    if progress < config.mixup_fraction:
        mix = draw_mix(len(betas), generator, concentration=config.mix_concentration, chance=config.mix_chance)
        encoded = encoder(mix_betas(betas, mix))
        contrast = bimixco(unit_rows(encoded.contrast), wanted, mix, config.tau)
    else:
        encoded = encoder(betas)
        done = (progress - config.mixup_fraction) / max(1 - config.mixup_fraction, 1e-9)
        tau = cosine_anneal(config.softclip_tau_start, config.softclip_tau_end, done)
        contrast = softclip(unit_rows(encoded.contrast), wanted, tau)
    error, _ = _predict(config, prior, encoded, targets, generator)
    return {"loss": contrast + config.prior_weight * error, "contrast": contrast, "error": error}


def _brainram_paper(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """gamma InfoNCE + (1 - gamma) MSE + beta MixCo.

    Source: BrainRAM eq. 6. The paper scores p, "the output of the diffusion prior"; sampling the prior inside
    training is out of reach, so p is its clean prediction at the drawn noise level. The error is measured in the
    prior's own scale, as in the release.
    """
    wanted = unit_rows(targets)
    error, estimate = _predict(config, prior, encoder(betas), targets, generator)
    mix = draw_mix(len(betas), generator, concentration=config.mix_concentration, chance=config.mix_chance)
    _, mixed = _predict(config, prior, encoder(mix_betas(betas, mix)), targets, generator)
    nce = info_nce(unit_rows(estimate), wanted, config.tau)
    mixco = mixco_nce(unit_rows(mixed), wanted, mix, config.tau)
    loss = eq6(nce, error, mixco, gamma=config.gamma, beta=config.beta)
    return {"loss": loss, "contrast": nce, "error": error, "mixco": mixco}


def eq6(nce: Tensor, error: Tensor, mixco: Tensor, *, gamma: float, beta: float) -> Float[Tensor, ""]:
    """gamma InfoNCE + (1 - gamma) MSE + beta MixCo. Source: BrainRAM eq. 6."""
    return gamma * nce + (1 - gamma) * error + beta * mixco


def _predict(
    config: Stage1Objective, prior: Prior | None, encoded: Encoded, targets: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Error, and the estimate that the contrastive part scores under ``brainram-paper``."""
    if prior is None:
        scale = targets.shape[-1] if config.mse_scale is None else config.mse_scale
        return scale * F.mse_loss(encoded.tokens, targets), encoded.contrast
    loss, prediction = prior.loss(targets, encoded.tokens, generator)
    return loss, prediction
