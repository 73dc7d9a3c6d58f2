"""The demo world's VAE, ready to use: pictures to latents of unit variance, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.demo.clip import as_pictures
from bdk.demo.files import read_weights
from bdk.demo.vae_net import VaeNet

_BATCH = 128


class DemoVae:
    """A frozen VAE with 8 x 8 x 8 latents of a 64 x 64 picture."""

    def __init__(self, net: VaeNet, device: str = "cpu") -> None:
        self.net = net.to(device).eval()
        self.device = device

    @classmethod
    def load(cls, weights_dir: Path | str | None = None, device: str = "cpu") -> DemoVae:
        """The shipped weights, or those in `weights_dir`."""
        return cls(read_weights("vae", VaeNet(), weights_dir), device)

    @torch.no_grad()
    def encode(self, images: np.ndarray | Tensor) -> Float[Tensor, "B 8 8 8"]:
        """The posterior's mode, shifted and scaled per channel to mean 0 and variance 1 over the world."""
        return torch.cat([self._encode(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)])

    def _encode(self, images: np.ndarray | Tensor) -> Float[Tensor, "B 8 8 8"]:
        latents = self.net.encoder(as_pictures(images).to(self.device) * 2 - 1)
        return ((latents - self.net.shift) / self.net.scale).cpu()

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "B 8 8 8"]) -> Float[Tensor, "B 3 64 64"]:
        """Pictures in 0..1."""
        return torch.cat([self._decode(part) for part in latents.split(_BATCH)])

    def _decode(self, latents: Float[Tensor, "B 8 8 8"]) -> Float[Tensor, "B 3 64 64"]:
        raw = latents.to(self.device).float() * self.net.scale + self.net.shift
        return (self.net.decoder(raw) / 2 + 0.5).clamp(0, 1).cpu()
