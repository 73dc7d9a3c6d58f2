"""`average`: the plainest fusion."""

from __future__ import annotations

from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor

from bdk_fusion.base import FusionModule
from bdk_fusion.configs import AverageConfig


class Average(FusionModule):
    """Mean of the estimate and its present neighbours: (p + sum c_k) / (n + 1). Nothing to train, not residual.

    Source: BrainRAM table 4, "Average".
    """

    def __init__(self, config: AverageConfig, context: FusionContext) -> None:
        super().__init__(context, "fusion 'average'", residual=False)

    def fuse(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        return (estimate + neighbours.sum(1)) / (1 + present.sum(1)[:, None, None])
