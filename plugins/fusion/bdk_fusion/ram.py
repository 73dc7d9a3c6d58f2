"""`ram`: BrainRAM's Retrieval-Augmented Module, "Divide and Fuse"."""

from __future__ import annotations

import torch
from bdk.contexts import FusionContext
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_fusion.attention import Attention
from bdk_fusion.base import FusionModule
from bdk_fusion.configs import RamConfig


class Ram(FusionModule):
    """Divide: the estimate attends to itself and to each neighbour apart. Fuse: gates weigh the branches per token.

    Source: BrainRAM eq. 7-11; no code of it was ever published, so every point that the paper leaves open is an
    option of `RamConfig` with its reason. 2,990,705 weights at K = 16, D = 768.

    Eq. 7   u_0 = A(p, p);  u_k = A(p, c_k), k = 1..K, with one shared A; U = [u_0 .. u_K]
    Eq. 8   mean_k u_k
    Eq. 9   z_k = F_k(mean), each token by itself: Z in (K+1) x T
    Eq. 10  Z~ = softmax of Z over k
    Eq. 11  q_td = sum_k Z~_kt U_ktd (the printed second sum, over tokens, would leave no t on the left)
    refined = p + q;  A's output projection starts at zero, so q is exactly 0 before training.
    """

    def __init__(self, config: RamConfig, context: FusionContext) -> None:
        super().__init__(context, "fusion 'ram'", config.residual)
        self.config = config
        dim = context.space.dim
        self.attention = Attention(config, dim, self.where)
        self.own = None if config.shared else Attention(config, dim, self.where)
        self.gates = Gates(dim, max(dim // config.squeeze, 1), self._gate_count(), config.uniform_start)
        self.embedding = nn.Parameter(torch.zeros(context.k + 1, dim)) if config.branch_embedding else None

    def fuse(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]:
        """q of eq. 11."""
        live = F.pad(present, (1, 0), value=True)  # B K+1
        if self.config.missing == "estimate":
            neighbours = torch.where(present[..., None, None], neighbours, estimate[:, None])
            live = torch.ones_like(live)
        branches = self.divide(estimate, neighbours)
        weights = self.weigh(branches, live)
        fused = torch.einsum("b k t, b k t d -> b t d", weights, branches)
        return fused.sum(1, keepdim=True).expand_as(fused) if self.config.token_sum else fused

    def divide(
        self, estimate: Float[Tensor, "B T D"], neighbours: Float[Tensor, "B K T D"]
    ) -> Float[Tensor, "B K+1 T D"]:
        """Eq. 7: the estimate attends to itself, and to each neighbour apart."""
        sources = torch.cat([estimate[:, None], neighbours], 1)
        if self.embedding is not None:
            sources = sources + self.embedding[:, None]
        rows = estimate[:, None].expand_as(sources)
        if self.own is None:
            return self.attention(rows.flatten(0, 1), sources.flatten(0, 1)).unflatten(0, sources.shape[:2])
        first = self.own(estimate, sources[:, 0])[:, None]
        others = self.attention(rows[:, 1:].flatten(0, 1), sources[:, 1:].flatten(0, 1))
        return torch.cat([first, others.unflatten(0, neighbours.shape[:2])], 1)

    def weigh(self, branches: Float[Tensor, "B K+1 T D"], live: Bool[Tensor, "B K+1"]) -> Float[Tensor, "B K+1 T"]:
        """Eq. 8 to 10: gates from the mean branch, softmax over the branches (or tokens); absent branches weigh 0."""
        mask = live[..., None, None]
        mean = (branches * mask).sum(1) / live.sum(1)[:, None, None]
        gates = self.gates(mean, self._gate_index(mean.device))  # B K+1 T
        if self.config.softmax == "tokens":
            return gates.softmax(2) * live[..., None]
        return gates.masked_fill(~live[..., None], -torch.inf).softmax(1)

    def _gate_count(self) -> int:
        return self.k + 1 if self.config.gates == "per-rank" else min(self.k, 1) + 1

    def _gate_index(self, device: torch.device) -> Tensor:
        return torch.arange(self.k + 1, device=device).clamp(max=self._gate_count() - 1)


class Gates(nn.Module):
    """The tiny MLPs F_k of eq. 9: D -> hidden -> 1 with GELU, per token, one for each branch."""

    def __init__(self, dim: int, hidden: int, count: int, uniform_start: bool) -> None:
        super().__init__()
        self.widen = nn.Parameter(torch.empty(count, hidden, dim).uniform_(-(dim**-0.5), dim**-0.5))
        self.widen_bias = nn.Parameter(torch.empty(count, hidden).uniform_(-(dim**-0.5), dim**-0.5))
        self.narrow = nn.Parameter(torch.empty(count, hidden).uniform_(-(hidden**-0.5), hidden**-0.5))
        self.narrow_bias = nn.Parameter(torch.empty(count).uniform_(-(hidden**-0.5), hidden**-0.5))
        if uniform_start:
            nn.init.zeros_(self.narrow)
            nn.init.zeros_(self.narrow_bias)

    def forward(self, mean: Float[Tensor, "B T D"], index: Tensor) -> Float[Tensor, "B K+1 T"]:
        """Gate of every branch; ``index`` says which MLP a branch uses."""
        hidden = torch.einsum("b t d, k h d -> b k t h", mean, self.widen) + self.widen_bias[:, None]
        gates = torch.einsum("b k t h, k h -> b k t", F.gelu(hidden), self.narrow) + self.narrow_bias[:, None]
        return gates[:, index]
