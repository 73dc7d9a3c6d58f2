"""The demo world's decoder: its dual-guided diffusion model, and its VAE. Nothing it makes is comparable with NSD."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from bdk.contexts import DecoderContext
from bdk.demo.unet import DemoDiffusion, scheduler
from bdk.demo.vae import DemoVae
from bdk.devices import device
from jaxtyping import Float
from torch import Tensor

from bdk_decoders.configs import DemoConfig
from bdk_decoders.diffusion import guided, sample
from bdk_decoders.guides import as_latents, draw_noise, require_guides, require_size

GUIDES = ("image", "text", "low")
SIZES = {"image": (65, 128), "text": (24, 128)}
BATCH = 64


class Demo:
    """Pictures of 64 x 64 from any of the guides image, text and low.

    With neither image nor text there is nothing to steer by: the decoded ``low`` guide is the picture.

    Args:
        config: steps, guidance, mix, strength.
        context: spaces of the guides.
    """

    def __init__(self, config: DemoConfig, context: DecoderContext) -> None:
        self.config, self.context = config, context
        self.device = str(device())
        self.net = DemoDiffusion.load(device=self.device).net
        self.vae = DemoVae.load(device=self.device)

    def __call__(
        self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator
    ) -> Float[Tensor, "B S 3 64 64"]:
        require_guides(guides, decoder="demo", any_of=GUIDES)
        guides = {name: guide.float() for name, guide in guides.items() if name in GUIDES}
        for name, guide in guides.items():
            require_size(guide, self.context.spaces.get(name), name=name, decoder="demo")
        count = len(next(iter(guides.values())))
        noise = draw_noise(count, n, (8, 8, 8), generator, self.config.noise).flatten(0, 1)
        if set(guides) == {"low"}:
            latents = as_latents(guides["low"]).repeat_interleave(n, dim=0)
        else:
            latents = self._sample(guides, noise, count, n)
        return self.vae.decode(latents).unflatten(0, (count, n))

    def _sample(self, guides: Mapping[str, Tensor], noise: Tensor, count: int, n: int) -> Float[Tensor, "N 8 8 8"]:
        """Latents, those of one stimulus together; an absent guide is zeros, as in the network's training."""
        image, text = (guides.get(name, torch.zeros(count, *SIZES[name])) for name in ("image", "text"))
        start = as_latents(guides["low"]) if "low" in guides else None
        self.net.set_mix(self.config.mix)
        parts = []
        for rows in torch.arange(count * n).split(BATCH):
            stimuli = rows // n
            begun = None if start is None else start[stimuli]
            parts.append(self._denoise(noise[rows], image[stimuli], text[stimuli], begun))
        return torch.cat(parts)

    @torch.no_grad()
    def _denoise(self, noise: Tensor, image: Tensor, text: Tensor, start: Tensor | None) -> Float[Tensor, "N 8 8 8"]:
        noise, image, text = (tensor.to(self.device) for tensor in (noise, image, text))

        def network(latents: Tensor, time: Tensor, image: Tensor, text: Tensor) -> Tensor:
            return self.net(latents, time.to(latents.device).expand(len(latents)), image, text)

        predict = guided(
            network, (image, text), (torch.zeros_like(image), torch.zeros_like(text)), self.config.guidance
        )
        begun = None if start is None else start.to(self.device)
        latents = sample(
            predict, scheduler(), noise, steps=self.config.steps, start=begun, strength=self.config.strength
        )
        return latents.cpu()
