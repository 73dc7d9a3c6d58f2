"""Stable Diffusion 1.x from a decoded latent image and decoded text states.

Source: Takagi and Nishimoto 2023 and their released code: latent of 320 pixels, decoded, resized to 512, encoded,
noised to .8 of the schedule, 50 DDIM steps with eta 0 (the paper says PLMS), guidance 5. Difference: the
encoder's posterior mode is taken where they draw a sample.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from bdk.contexts import DecoderContext
from bdk.targets.vae import load_vae
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk_decoders.configs import SdImg2ImgConfig
from bdk_decoders.diffusion import guided, sample
from bdk_decoders.empty_prompt import empty_prompt
from bdk_decoders.folders import ddim, load_unet, model_folder, paint, pixels_per_latent, placement
from bdk_decoders.guides import as_latents, draw_noise, require_guides, require_size


class SdImg2Img:
    """Image-to-image sampling with a loop of our own over diffusers' UNet.

    Args:
        config: steps, guidance, strength.
        context: spaces of the guides.

    Raises:
        WeightsMissingError: the folder, a part of it, or the empty caption's states are not there.
    """

    def __init__(self, config: SdImg2ImgConfig, context: DecoderContext) -> None:
        self.config, self.context = config, context
        self.device, dtype = placement(config)
        self.folder = model_folder(config)
        self.unet = load_unet(self.folder, self.device, dtype)
        self.vae = load_vae(self.folder / "vae", str(self.device), dtype)
        self.unconditional = empty_prompt(self.folder, context.spaces.get("text"))["states"]

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        require_guides(guides, decoder="sd-img2img", required=self.config.required)
        for name in ("text", "low"):
            if name in guides:
                require_size(guides[name], self.context.spaces.get(name), name=name, decoder="sd-img2img")
        side = self.config.side // pixels_per_latent(self.vae)
        count = len(guides["text"])
        noise = draw_noise(count, n, (self.unet.config.in_channels, side, side), generator, self.config.noise)
        noise = noise.flatten(0, 1)
        start = self._start(guides["low"].float()) if "low" in guides else None
        pictures = []
        for rows in torch.arange(count * n).split(self.config.batch):
            stimuli = rows // n
            begun = None if start is None else start[stimuli]
            pictures.append(self._paint(noise[rows], guides["text"][stimuli], begun))
        return torch.cat(pictures).unflatten(0, (count, n))

    @torch.no_grad()
    def _start(self, low: Float[Tensor, "B T 4"]) -> Float[Tensor, "B 4 h w"]:
        """Latents of the wanted size: as they are, or decoded, resized and encoded again."""
        side = self.config.side // pixels_per_latent(self.vae)
        latents = as_latents(low)
        if latents.shape[-1] == side:
            return latents
        parts = []
        for part in latents.split(self.config.batch):
            part = part.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
            pixels = self.vae.decode(part, return_dict=False)[0].float().clamp(-1, 1)
            pixels = F.interpolate(pixels, size=self.config.side, mode="bicubic", antialias=True).clamp(-1, 1)
            encoded = self.vae.encode(pixels.to(self.vae.dtype)).latent_dist.mode() * self.vae.config.scaling_factor
            parts.append(encoded.float().cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def _paint(self, noise: Tensor, text: Tensor, start: Tensor | None) -> Float[Tensor, "N 3 H W"]:
        dtype = self.vae.dtype
        noise, text = noise.to(self.device, dtype), text.to(self.device, dtype)

        def network(latents: Tensor, time: Tensor, tokens: Tensor) -> Tensor:
            return self.unet(latents, time, encoder_hidden_states=tokens, return_dict=False)[0]

        latents = sample(
            guided(network, (text,), (self.unconditional.to(text).expand_as(text),), self.config.guidance),
            ddim(self.folder),
            noise,
            steps=self.config.steps,
            start=None if start is None else start.to(self.device, dtype),
            strength=self.config.strength,
        )
        return paint(self.vae, latents)
