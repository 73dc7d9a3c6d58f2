"""`unet`: the cross-attention U-Net of BrainRAM's paper."""

from __future__ import annotations

from itertools import pairwise

import torch
from bdk.contexts import PriorContext
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_priors.configs import UnetConfig
from bdk_priors.embeddings import TimeEmbedding
from bdk_priors.process import DiffusionProcess


class Unet(DiffusionProcess):
    """Diffusion prior with a U-Net over the token axis, conditioned by cross-attention.

    Source: BrainRAM eq. 1-2 and its section 3.2. The paper says that the prior is a U-Net whose cross-attention takes
    its queries from the noisy tokens and its keys and values from the encoder's; its release holds a token
    transformer instead (`bdk_priors.diffusion`). Left open there, and our reading: the axis of the U-Net (tokens),
    widths, levels and heads (options), how the noise level enters (scale and shift in each residual block), what is
    predicted and in what scale (clean tokens times sqrt(D), as in the release, so that both priors share their loss).
    """

    def __init__(self, config: UnetConfig, context: PriorContext) -> None:
        space = context.space
        network = TokenUnet(space.tokens, space.dim, config.width, config.levels, config.heads)
        super().__init__(config, context, network, where="prior 'unet'")


class TokenUnet(nn.Module):
    """Predicts clean tokens; halves the token axis ``levels - 1`` times and comes back."""

    def __init__(self, tokens: int, dim: int, width: int, levels: int, heads: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.time = TimeEmbedding(dim)
        self.noisy_positions = nn.Parameter(torch.randn(tokens, dim) * dim**-0.5)
        self.condition_positions = nn.Parameter(torch.randn(tokens, dim) * dim**-0.5)
        self.enter = nn.Conv1d(dim, width, 1)
        self.down = nn.ModuleList(Stage(w, w, dim, heads) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv1d(b, a, 3, padding=1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Stage(2 * w, w, dim, heads) for w in widths[:-1])
        self.leave = nn.Sequential(_norm(width), nn.SiLU(), nn.Conv1d(width, dim, 1))

    def forward(
        self, noisy: Float[Tensor, "B T D"], level: Float[Tensor, "B"], condition: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B T D"]:
        """Clean tokens; ``level`` may be fractional."""
        time = self.time(level, noisy.dtype)[:, 0]
        condition = condition + self.condition_positions
        x = self.down[0](self.enter((noisy + self.noisy_positions).mT), time, condition)
        skips = [x]
        for shrink, stage in zip(self.shrink, self.down[1:], strict=True):
            x = stage(shrink(x), time, condition)
            skips.append(x)
        for skip, grow, stage in zip(skips[-2::-1], reversed(self.grow), reversed(self.up), strict=True):
            x = grow(F.interpolate(x, size=skip.shape[-1], mode="nearest"))
            x = stage(torch.cat([x, skip], 1), time, condition)
        return self.leave(x).mT


class Stage(nn.Module):
    """A residual convolution told the noise level, then cross-attention to the condition."""

    def __init__(self, channels_in: int, channels: int, dim: int, heads: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(channels_in), nn.SiLU(), nn.Conv1d(channels_in, channels, 3, padding=1))
        self.modulate = nn.Linear(dim, 2 * channels)
        self.norm = _norm(channels)
        self.second = nn.Conv1d(channels, channels, 3, padding=1)
        self.skip = nn.Conv1d(channels_in, channels, 1) if channels_in != channels else nn.Identity()
        self.attend = CrossAttention(channels, dim, heads)

    def forward(
        self, x: Float[Tensor, "B C T"], time: Float[Tensor, "B D"], condition: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B C2 T"]:
        scale, shift = self.modulate(F.silu(time))[..., None].chunk(2, 1)
        hidden = self.norm(self.first(x)) * (1 + scale) + shift
        hidden = self.skip(x) + self.second(F.silu(hidden))
        return hidden + self.attend(hidden.mT, condition).mT


class CrossAttention(nn.Module):
    """Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V: Q from the noisy tokens, K and V from the condition.

    Source: BrainRAM eq. 2.
    """

    def __init__(self, channels: int, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(dim, channels, bias=False)
        self.value = nn.Linear(dim, channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "B T C"], condition: Float[Tensor, "B T2 D"]) -> Float[Tensor, "B T C"]:
        query, key, value = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(self.norm(x)), self.key(condition), self.value(condition))
        )
        return self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


def _norm(channels: int) -> nn.GroupNorm:
    """Groups of eight channels, so that one token of one row can still be normalised."""
    return nn.GroupNorm(channels // 8, channels)
