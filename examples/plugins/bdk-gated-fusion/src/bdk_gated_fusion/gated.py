"""`gated`: the estimate steps towards each neighbour, as far as a learned gate allows."""

from __future__ import annotations

import torch
from bdk.checks import require_neighbours, require_tokens
from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bdk_gated_fusion import GatedConfig


class Gated(nn.Module):
    """refined = p + mean_k g_k * (c_k - p), with g_k = logistic(MLP[p, c_k]) between 0 and 1.

    One MLP serves all neighbours, so their order does not matter. A missing neighbour has no step, and the mean runs
    over those that are present; without any, the estimate stays.

    Args:
        config: size and start of the gates.
        context: the space it refines in, and K.
    """

    def __init__(self, config: GatedConfig, context: FusionContext) -> None:
        super().__init__()
        self.space, self.k, self.where = context.space, context.k, "fusion 'gated'"
        dim = context.space.dim
        self.hidden = nn.Linear(2 * dim, config.hidden)
        self.gate = nn.Linear(config.hidden, dim if config.per == "number" else 1)
        nn.init.constant_(self.gate.bias, config.start)

    def forward(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        """Refined tokens.

        Args:
            estimate: p, one prior sample of each stimulus.
            neighbours: c_1 .. c_K; numbers of missing ones do not matter.
            present: False where a neighbour is missing.

        Raises:
            ComponentError: another space or K than it was built for, or numbers that are not finite.
        """
        require_tokens(estimate, self.space, "The estimate", where=self.where)
        require_neighbours(neighbours, present, estimate, self.k, where=self.where)
        live = present[..., None, None]  # B K 1 1
        steps = torch.where(live, neighbours - estimate[:, None], neighbours.new_zeros(()))  # B K T D
        pairs = torch.cat([estimate[:, None].expand_as(steps), steps], -1)
        gates = self.gate(nn.functional.gelu(self.hidden(pairs))).sigmoid()
        return estimate + (gates * steps).sum(1) / live.sum(1).clamp(min=1)
