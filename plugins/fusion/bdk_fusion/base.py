"""What every fusion module does before it fuses."""

from __future__ import annotations

import abc

import torch
from bdk.checks import require_neighbours, require_tokens
from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor, nn


class FusionModule(nn.Module, abc.ABC):
    """Checks its inputs, blanks missing neighbours, and adds the estimate if it is a residual module.

    Args:
        context: the space and K.
        where: the component's name, for messages.
        residual: whether `fuse` returns what is to be added to the estimate.
    """

    def __init__(self, context: FusionContext, where: str, residual: bool) -> None:
        super().__init__()
        self.space, self.k, self.where, self.residual = context.space, context.k, where, residual

    def forward(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        """Refined tokens.

        Args:
            estimate: p, one prior sample of each stimulus.
            neighbours: c_1 .. c_K, nearest first; numbers of missing ones do not matter.
            present: False where a neighbour is missing.

        Raises:
            ComponentError: another space, another K than it was built for, or numbers that are not finite.
        """
        require_tokens(estimate, self.space, "The estimate", where=self.where)
        require_neighbours(neighbours, present, estimate, self.k, where=self.where)
        blank = torch.where(present[..., None, None], neighbours, neighbours.new_zeros(()))
        fused = self.fuse(estimate, blank, present)
        return estimate + fused if self.residual else fused

    @abc.abstractmethod
    def fuse(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        """The module's own part; missing neighbours are zeros here."""
