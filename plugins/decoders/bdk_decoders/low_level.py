"""The decoded latent image alone: blurry, but it has the layout; MindEye's low-level pictures are made this way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from bdk.contexts import DecoderContext
from bdk.weights import Manifest
from jaxtyping import Float
from torch import Tensor

from bdk_decoders.configs import LowLevelConfig
from bdk_decoders.guides import as_latents, require_guides, require_size


class LowLevel:
    """A VAE's decoder over the ``low`` guide. All samples of a stimulus are the same picture.

    Args:
        config: which VAE.
        context: space of the guide.

    Raises:
        WeightsMissingError: the VAE is not on this machine.
    """

    def __init__(self, config: LowLevelConfig, context: DecoderContext) -> None:
        self.config, self.space = config, context.spaces.get("low")
        self.decode = _demo_decode() if config.space.startswith("demo-") else _diffusers_decode(config.weights)

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        require_guides(guides, decoder="low-level", required=("low",))
        require_size(guides["low"], self.space, name="low", decoder="low-level")
        latents = as_latents(guides["low"].float())
        pictures = torch.cat([self.decode(part) for part in latents.split(self.config.batch)])
        return pictures[:, None].expand(-1, n, -1, -1, -1).contiguous()


def _demo_decode():
    from bdk.demo.vae import DemoVae

    return DemoVae.load().decode


def _diffusers_decode(folder: str):
    from bdk.targets.vae import load_vae

    vae = load_vae(Path(folder) if folder else Manifest.load().entry("sd-vae").path)

    @torch.no_grad()
    def decode(latents: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 3 H W"]:
        return (vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)

    return decode
