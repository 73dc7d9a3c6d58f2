"""The multi-head attention that the attending modules share."""

from __future__ import annotations

from bdk.errors import ComponentError
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_fusion.configs import AttentionConfig


class Attention(nn.Module):
    """A(x, c) = W_o MHA(W_q x, W_k c, W_v c), with biases; W_o starts at zero by default.

    Source: BrainRAM eq. 7.

    Args:
        config: heads, pre-norm and what starts at zero.
        dim: D.
        where: the component's name, for messages.

    Raises:
        ComponentError: if the heads do not divide D.
    """

    def __init__(self, config: AttentionConfig, dim: int, where: str) -> None:
        super().__init__()
        if dim % config.heads:
            legal = ", ".join(str(heads) for heads in range(1, dim + 1) if dim % heads == 0 and heads <= 64)
            raise ComponentError(
                f"{config.heads} heads do not divide the {dim} numbers of a token.",
                where=f"{where}: heads",
                mend=f"Choose one of {legal}.",
            )
        self.heads = config.heads
        self.norm = nn.LayerNorm(dim) if config.pre_norm else nn.Identity()
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        if config.zero_init != "none":
            nn.init.zeros_(self.out.weight)
        if config.zero_init == "weight+bias":
            nn.init.zeros_(self.out.bias)

    def forward(
        self,
        x: Float[Tensor, "R T D"],
        c: Float[Tensor, "R S D"],
        allowed: Bool[Tensor, "R S"] | None = None,
    ) -> Float[Tensor, "R T D"]:
        """What ``x`` gathers from ``c``; ``allowed`` says which tokens of ``c`` may be looked at."""
        x, c = self.norm(x), self.norm(c)
        query, key, value = self._split(self.query(x)), self._split(self.key(c)), self._split(self.value(c))
        mask = None if allowed is None else allowed[:, None, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Float[Tensor, "R T D"]) -> Float[Tensor, "R heads T d"]:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
