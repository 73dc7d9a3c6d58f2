"""`conv1x1`: one weight per branch."""

from __future__ import annotations

import torch
from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bdk_fusion.base import FusionModule
from bdk_fusion.configs import Conv1x1Config


class Conv1x1(FusionModule):
    """q = b + w_0 p + sum_k w_k c_k: the K + 1 branches are the channels of a convolution of kernel 1 with one output.

    Source: BrainRAM table 4, "1x1 Conv"; the paper gives no more than the name. Our reading: K + 2 weights, zero at
    the start, residual as RAM is, trained with eq. 12. A missing neighbour contributes nothing.
    """

    def __init__(self, config: Conv1x1Config, context: FusionContext) -> None:
        super().__init__(context, "fusion 'conv1x1'", config.residual)
        self.weight = nn.Parameter(torch.zeros(context.k + 1))
        self.bias = nn.Parameter(torch.zeros(1))

    def fuse(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        return self.weight[0] * estimate + torch.einsum("k, b k t d -> b t d", self.weight[1:], neighbours) + self.bias
