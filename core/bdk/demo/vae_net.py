"""The network of the demo world's VAE: 64 x 64 pictures to 8 x 8 x 8 latents and back.

No normalisation layers and no layer above 32 x 32: on a CPU that is most of the speed, and costs no decibel.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 8
SIDE = 8
POSTERIOR_STD = 0.1
"""The posterior's standard deviation is fixed: latents have about unit variance, a tenth of it is noise."""


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a skip; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        self.second.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x + self.second(F.silu(self.first(F.silu(x))))


def _encoder() -> nn.Sequential:
    return nn.Sequential(
        nn.PixelUnshuffle(4),
        nn.Conv2d(48, 64, 3, padding=1),
        Residual(64),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        Residual(128),
        nn.SiLU(),
        nn.Conv2d(128, CHANNELS, 3, padding=1),
    )


def _decoder() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(CHANNELS, 128, 3, padding=1),
        Residual(128),
        Residual(128),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.PixelShuffle(2),  # 64 x 16 x 16
        Residual(64),
        Residual(64),
        nn.SiLU(),
        nn.Conv2d(64, 96, 3, padding=1),
        nn.PixelShuffle(2),  # 24 x 32 x 32
        Residual(24),
        nn.Conv2d(24, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )


class VaeNet(nn.Module):
    """Encoder, decoder and the latents' mean and deviation that bring them to unit variance."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _encoder()
        self.decoder = _decoder()
        self.register_buffer("shift", torch.zeros(1, CHANNELS, 1, 1))
        self.register_buffer("scale", torch.ones(1, CHANNELS, 1, 1))

    def forward(self, images: Float[Tensor, "B 3 64 64"], noise: Float[Tensor, "B 8 8 8"]) -> tuple[Tensor, Tensor]:
        """Reconstruction (-1..1) and latents, with the posterior's noise."""
        latents = self.encoder(images * 2 - 1)
        return self.decoder(latents + POSTERIOR_STD * noise), latents

    def loss(self, images: Float[Tensor, "B 3 64 64"], noise: Float[Tensor, "B 8 8 8"]) -> Float[Tensor, ""]:
        """Squared error of pixels (-1..1), a little absolute error for edges, and the prior's pull on the latents."""
        drawn, latents = self(images, noise)
        target = images * 2 - 1
        return F.mse_loss(drawn, target) + 0.05 * F.l1_loss(drawn, target) + 2e-4 * latents.square().mean()
