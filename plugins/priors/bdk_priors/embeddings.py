"""The noise level as a token."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sinusoids of the level, then a small MLP: one token of D numbers.

    Source: dalle2-pytorch's continuous time embedding: D -> 2D -> 2D -> D with SiLU; frequencies from 1 to 1/10000.
    """

    frequency: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        half = dim // 2
        frequency = torch.exp(torch.arange(half).float() * -(math.log(10000) / max(half - 1, 1)))
        self.register_buffer("frequency", frequency, persistent=False)
        self.mlp = nn.Sequential(
            nn.Linear(2 * half, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, level: Float[Tensor, "B"], dtype: torch.dtype) -> Float[Tensor, "B 1 D"]:
        """The token of each row's level, which may be fractional."""
        angle = level.float()[:, None] * self.frequency
        return self.mlp(torch.cat([angle.sin(), angle.cos()], -1))[:, None].to(dtype)
