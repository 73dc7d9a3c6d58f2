"""Mixing betas of two stimuli (MixCo)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Mix(NamedTuple):
    """Who is mixed with whom, and how much is one's own."""

    partner: Int[Tensor, "B"]
    """Row that each row is mixed with; may be itself."""
    share: Float[Tensor, "B"]
    """Share of one's own betas, 0..1; 1 for a row that is not mixed."""

    def weights(self) -> Float[Tensor, "B B"]:
        """What each mixed row owes to each target; rows sum to 1."""
        weights = torch.diag(self.share)
        rows = torch.arange(len(self.share), device=self.share.device)
        return weights.index_put((rows, self.partner), 1 - self.share, accumulate=True)


def draw_mix(rows: int, generator: torch.Generator, *, concentration: float = 0.15, chance: float = 0.5) -> Mix:
    """Draw partners and shares.

    Source: MindEye (commit 6b30ea5) ``mixco``; the shares come from Beta(a, a), where BrainRAM's paper says no more
    than "lambda".

    Args:
        rows: B.
        generator: all randomness.
        concentration: a.
        chance: chance that a row is mixed.
    """
    partner = torch.randperm(rows, generator=generator, device=generator.device)
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    share = torch.from_numpy(np.random.default_rng(seed).beta(concentration, concentration, rows)).float()
    chosen = torch.rand(rows, generator=generator, device=generator.device) < chance
    return Mix(partner, torch.where(chosen, share.to(chosen.device), 1.0))


def mix_betas(betas: Float[Tensor, "B V"], mix: Mix) -> Float[Tensor, "B V"]:
    """lambda_i x_i + (1 - lambda_i) x_partner(i), in a new tensor.

    Source: MixCo (Kim et al. 2020), the mixing that BrainRAM's eq. 5 presupposes.
    """
    share = mix.share.to(betas)[:, None]
    return share * betas + (1 - share) * betas[mix.partner.to(betas.device)]
