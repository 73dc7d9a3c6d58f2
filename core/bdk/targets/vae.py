"""Latents of a diffusers VAE, such as Stable Diffusion's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.errors import WeightsMissingError
from bdk.spaces import Space
from bdk.targets.backbones import Stimuli, as_pixels
from bdk.weights import Manifest

VAE_BATCH = 8


def load_vae(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """An `AutoencoderKL` from a local folder, frozen.

    Raises:
        WeightsMissingError: the folder does not hold one.
    """
    from diffusers import AutoencoderKL

    if not (folder / "config.json").is_file():
        raise WeightsMissingError(
            "No VAE here: config.json is missing.",
            where=str(folder),
            mend="Put config.json and diffusion_pytorch_model.safetensors of the VAE into that folder.",
        )
    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=dtype, local_files_only=True, use_safetensors=True)
    return vae.to(device).eval().requires_grad_(False)


class VaeBackbone:
    """Latents (mode of the posterior, times the model's scaling factor), one token per position, row by row.

    Takagi and Nishimoto take a sample of the posterior; the mode is its mean and needs no seed.

    Args:
        space: tokens = positions, dim = channels.
        weights: name in the weights manifest.
        side: pixels to which pictures are resized (bicubic, antialiased) before encoding.
        path: folder of the VAE; empty to look it up by name.
        device: where to compute.
    """

    def __init__(self, space: Space, *, weights: str, side: int, path: str = "", device: str = "cpu") -> None:
        self.space, self.side, self.device = space, side, device
        self.vae = load_vae(Path(path) if path else Manifest.load().entry(weights).path, device)

    @torch.no_grad()
    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        return torch.cat([self._embed(part) for part in as_pixels(stimuli, "cpu").split(VAE_BATCH)])

    def _embed(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B T D"]:
        pixels = pixels.to(self.device)
        if pixels.shape[-2:] != (self.side, self.side):
            size = (self.side, self.side)
            pixels = F.interpolate(pixels, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        latents = self.vae.encode(pixels * 2 - 1).latent_dist.mode() * self.vae.config.scaling_factor
        return latents.flatten(2).transpose(1, 2).cpu().contiguous()

    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B P"]:
        return F.normalize(self.embed(stimuli).flatten(1), dim=-1)
