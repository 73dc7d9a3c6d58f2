"""`cross-attention`: the estimate looks at all neighbours at once."""

from __future__ import annotations

from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor

from bdk_fusion.attention import Attention
from bdk_fusion.base import FusionModule
from bdk_fusion.configs import CrossAttentionConfig


class CrossAttention(FusionModule):
    """q = A(p, [c_1 .. c_K]): queries from the estimate, keys and values from the tokens of all neighbours in a row.

    Source: BrainRAM table 4, "Cross-Attention"; the paper gives no more than the name. Our reading: RAM's attention
    with one softmax over all K T tokens. Missing neighbours are not looked at; with none present, q is zero.
    """

    def __init__(self, config: CrossAttentionConfig, context: FusionContext) -> None:
        super().__init__(context, "fusion 'cross-attention'", config.residual)
        self.attention = Attention(config, context.space.dim, self.where)

    def fuse(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        if self.k == 0:
            return estimate.new_zeros(estimate.shape)
        some = present.any(1, keepdim=True)
        allowed = (present | ~some).repeat_interleave(self.space.tokens, 1)  # B K*T
        gathered = self.attention(estimate, neighbours.flatten(1, 2), allowed)
        return gathered * some[..., None]
