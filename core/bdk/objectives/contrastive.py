"""Contrastive losses. Rows are unit-length vectors; nothing writes its inputs."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.objectives.mixing import Mix


def unit_rows(tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B P"]:
    """All tokens of a stimulus as one vector of unit length (P = T D)."""
    return F.normalize(tokens.flatten(1), dim=-1)


def info_nce(estimate: Float[Tensor, "B P"], target: Float[Tensor, "B P"], temperature: float) -> Float[Tensor, ""]:
    """Each estimate must find its own target among those of the batch; one direction.

    Source: BrainRAM eq. 3.

    Args:
        estimate: unit length per row.
        target: unit length per row.
        temperature: tau, no unit.

    Returns:
        Mean over the batch, in nats.

    Raises:
        ValueError: if the two differ in shape.
    """
    return -_log_odds(estimate, target, temperature).diagonal().mean()


def mixco_nce(
    estimate: Float[Tensor, "B P"], target: Float[Tensor, "B P"], mix: Mix, temperature: float
) -> Float[Tensor, ""]:
    """Contrastive loss of mixed betas against both of their targets; one direction.

    Source: BrainRAM eq. 5 (MixCo, Kim et al. 2020). The printed inner sum starts at j = 0 and there is no 1/B; ours
    runs over the batch and is its mean, as eq. 3.

    Args:
        estimate: what was made of the mixed betas, unit length per row.
        target: target of each unmixed stimulus, unit length per row.
        mix: partner and share of every row.
        temperature: tau, no unit.

    Returns:
        Mean over the batch, in nats.

    Raises:
        ValueError: if the two differ in shape.
    """
    odds = _log_odds(estimate, target, temperature)
    return -(odds * mix.weights().to(odds)).sum(1).mean()


def bimixco(
    estimate: Float[Tensor, "B P"], target: Float[Tensor, "B P"], mix: Mix, temperature: float
) -> Float[Tensor, ""]:
    """MixCo in both directions: estimates find targets, targets find estimates.

    Source: MindEye (commit 6b30ea5) ``mixco_nce``. There a row that is its own partner loses its own share; here its
    weights sum to 1.

    Returns:
        Mean of the two directions and over the batch, in nats.

    Raises:
        ValueError: if the two differ in shape.
    """
    weights = mix.weights().to(estimate)
    there = _log_odds(estimate, target, temperature) * weights
    back = _log_odds(target, estimate, temperature) * weights.T
    return -(there.sum(1) + back.sum(1)).mean() / 2


def softclip(estimate: Float[Tensor, "B P"], target: Float[Tensor, "B P"], temperature: float) -> Float[Tensor, ""]:
    """Both directions against soft labels: how alike the targets are among themselves.

    Source: MindEye (commit 6b30ea5) ``soft_clip_loss``.

    Returns:
        Mean of the two directions and over the batch, in nats.

    Raises:
        ValueError: if the two differ in shape.
    """
    labels = (target @ target.T / temperature).softmax(1)
    there = _log_odds(estimate, target, temperature) * labels
    back = _log_odds(target, estimate, temperature) * labels
    return -(there.sum(1) + back.sum(1)).mean() / 2


def _log_odds(rows: Float[Tensor, "B P"], columns: Float[Tensor, "B P"], temperature: float) -> Float[Tensor, "B B"]:
    if rows.shape != columns.shape:
        raise ValueError(f"estimate {tuple(rows.shape)} and target {tuple(columns.shape)} differ in shape")
    return (rows @ columns.T / temperature).log_softmax(1)
