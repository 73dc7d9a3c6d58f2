"""The objective of stage I: encoder and prior."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.checks import require_alike
from bdk.interfaces import Encoded, Encoder, Prior
from bdk.objectives.configs import Stage1Objective
from bdk.objectives.contrastive import bimixco, info_nce, mixco_nce, softclip, unit_rows
from bdk.objectives.mixing import draw_mix, mix_betas
from bdk.objectives.randomness import seeded
from bdk.objectives.schedules import cosine_anneal
from bdk.objectives.share import ALONE, Share


def stage1_loss(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Float[Tensor, "B V"],
    targets: Float[Tensor, "B T D"],
    progress: float,
    generator: torch.Generator,
    share: Share = ALONE,
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
        share: the rows of the batch that this process encodes; the loss is the whole batch's on every process.

    Returns:
        ``loss``, and its unweighted parts by name.

    Raises:
        ComponentError: if betas or targets do not fit the components.
    """
    with seeded(generator, betas.device), share.drawing():
        if config.loss == "mindeye":
            return _mindeye(config, encoder, prior, betas, targets, progress, generator, share)
        if config.loss == "regression":
            return _regression(config, encoder, prior, betas, targets, generator, share)
        return _brainram_paper(config, encoder, prior, betas, targets, generator, share)


def _mindeye(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Tensor,
    targets: Tensor,
    progress: float,
    generator: torch.Generator,
    share: Share,
) -> dict[str, Tensor]:
    """BiMixCo for the first third, SoftCLIP afterwards, plus the weighted prior loss.

    Source: MindEye (commit 6b30ea5), and BrainRAM's release (commit ff980a4). The contrastive part scores the
    projector's output; the prior is conditioned on the mixed betas and aims at the unmixed target, as there.
    """
    wanted = unit_rows(targets)
    if progress < config.mixup_fraction:
        mix = draw_mix(len(betas), generator, concentration=config.mix_concentration, chance=config.mix_chance)
        encoded = _encode(encoder, mix_betas(betas, mix), targets, share)
        contrast = bimixco(unit_rows(share.everyone(encoded.contrast)), wanted, mix, config.tau)
    else:
        encoded = _encode(encoder, betas, targets, share)
        done = (progress - config.mixup_fraction) / max(1 - config.mixup_fraction, 1e-9)
        tau = cosine_anneal(config.softclip_tau_start, config.softclip_tau_end, done)
        contrast = softclip(unit_rows(share.everyone(encoded.contrast)), wanted, tau)
    error, _ = _predict(config, prior, encoded, targets, generator, share)
    parts = {"loss": contrast + config.prior_weight * error, "contrast": contrast, "error": error}
    if prior is not None and config.anchor_weight:
        parts["anchor"] = _token_error(config, encoded, targets, share)
        parts["loss"] = parts["loss"] + config.anchor_weight * parts["anchor"]
    return parts


def _brainram_paper(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    share: Share,
) -> dict[str, Tensor]:
    """gamma InfoNCE + (1 - gamma) MSE + beta MixCo.

    Source: BrainRAM eq. 6. The paper scores p, "the output of the diffusion prior"; sampling the prior inside
    training is out of reach, so p is its clean prediction at the drawn noise level. The error is measured in the
    prior's own scale, as in the release.
    """
    wanted = unit_rows(targets)
    encoded = _encode(encoder, betas, targets, share)
    error, estimate = _predict(config, prior, encoded, targets, generator, share)
    mix = draw_mix(len(betas), generator, concentration=config.mix_concentration, chance=config.mix_chance)
    encoded = _encode(encoder, mix_betas(betas, mix), targets, share)
    _, mixed = _predict(config, prior, encoded, targets, generator, share)
    nce = info_nce(unit_rows(share.everyone(estimate)), wanted, config.tau)
    mixco = mixco_nce(unit_rows(share.everyone(mixed)), wanted, mix, config.tau)
    loss = eq6(nce, error, mixco, gamma=config.gamma, beta=config.beta)
    return {"loss": loss, "contrast": nce, "error": error, "mixco": mixco}


def eq6(nce: Tensor, error: Tensor, mixco: Tensor, *, gamma: float, beta: float) -> Float[Tensor, ""]:
    """gamma InfoNCE + (1 - gamma) MSE + beta MixCo. Source: BrainRAM eq. 6."""
    return gamma * nce + (1 - gamma) * error + beta * mixco


def _regression(
    config: Stage1Objective,
    encoder: Encoder,
    prior: Prior | None,
    betas: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    share: Share,
) -> dict[str, Tensor]:
    """(1 - w) error + w (1 - cosine), without negatives.

    Source: Mind Reader (commit 1981cdc) ``mse_cos`` with w = .6; Gu et al. (commit 306bfab) with w = 0.
    """
    encoded, wanted = _encode(encoder, betas, targets, share), share.mine(targets)
    if prior is None and config.distance == "absolute":
        error = share.mean(F.l1_loss(encoded.tokens, wanted))
    else:
        error, _ = _predict(config, prior, encoded, targets, generator, share)
    cosine = share.mean(F.cosine_similarity(encoded.tokens.flatten(1), wanted.flatten(1)).mean())
    loss = (1 - config.cosine_weight) * error + config.cosine_weight * (1 - cosine)
    return {"loss": loss, "error": error, "cosine": cosine}


def _encode(encoder: Encoder, betas: Tensor, targets: Tensor, share: Share) -> Encoded:
    """One's own rows of the batch, encoded, and known to lie in the targets' space."""
    encoded = encoder(share.mine(betas))
    for name in Encoded._fields:
        require_alike(getattr(encoded, name), targets, f"The encoder's {name}", where="stage1")
    return encoded


def _predict(
    config: Stage1Objective,
    prior: Prior | None,
    encoded: Encoded,
    targets: Tensor,
    generator: torch.Generator,
    share: Share,
) -> tuple[Tensor, Tensor]:
    """Error over the batch, and the estimate of one's own rows that ``brainram-paper`` scores."""
    if prior is None:
        return _token_error(config, encoded, targets, share), encoded.contrast
    loss, prediction = prior.loss(share.mine(targets), encoded.tokens, generator)
    return share.mean(loss), prediction


def _token_error(config: Stage1Objective, encoded: Encoded, targets: Tensor, share: Share) -> Tensor:
    """Mean squared error of the encoder's own tokens, in the scale of a prior's loss unless the spec says another."""
    scale = targets.shape[-1] if config.mse_scale is None else config.mse_scale
    return share.mean(scale * F.mse_loss(encoded.tokens, share.mine(targets)))
