"""`self-attention`: the control without neighbours."""

from __future__ import annotations

from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor

from bdk_fusion.attention import Attention
from bdk_fusion.base import FusionModule
from bdk_fusion.configs import SelfAttentionConfig


class SelfAttention(FusionModule):
    """q = A(p, p): RAM's first branch alone. It ignores the neighbours.

    Not in the paper. What it gains over no fusion is not owed to retrieval, so a table that claims something for
    retrieval needs it as a row.
    """

    def __init__(self, config: SelfAttentionConfig, context: FusionContext) -> None:
        super().__init__(context, "fusion 'self-attention'", config.residual)
        self.attention = Attention(config, context.space.dim, self.where)

    def fuse(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        return self.attention(estimate, estimate)
