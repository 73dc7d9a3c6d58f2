"""Stable Diffusion 1.x or XL with an IP-Adapter: pictures from one pooled CLIP image vector.

Source: Ye et al. 2023. The adapter is loaded by diffusers; the loop is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from bdk.contexts import DecoderContext
from bdk.targets.vae import load_vae
from jaxtyping import Float
from torch import Tensor

from bdk_decoders.configs import IpAdapterConfig
from bdk_decoders.diffusion import guided, sample
from bdk_decoders.empty_prompt import empty_prompt
from bdk_decoders.folders import load_unet, model_folder, on_device, own_scheduler, paint, pixels_per_latent, placement
from bdk_decoders.guides import draw_noise, require_guides, require_size


class IpAdapter:
    """Sampling under an image vector; guidance steers away from a zero vector and the empty caption.

    Args:
        config: base model, adapter file, steps, guidance, scale.
        context: spaces of the guides.

    Raises:
        WeightsMissingError: the folder, the adapter, or the empty caption's states are not there.
    """

    def __init__(self, config: IpAdapterConfig, context: DecoderContext) -> None:
        self.config, self.context = config, context
        self.device, self.dtype = placement(config)
        self.folder = model_folder(config)
        self.vae = load_vae(self.folder / "vae", str(self.device), self.dtype)
        self.unet = self._with_adapter(load_unet(self.folder, torch.device("cpu"), torch.float32))
        self.prompt = empty_prompt(self.folder, context.spaces.get("text"))

    def _with_adapter(self, unet: Any) -> Any:
        from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

        none = dict.fromkeys(("text_encoder", "tokenizer", "feature_extractor", "image_encoder"))
        parts = {**none, "vae": self.vae, "unet": unet, "scheduler": own_scheduler(self.folder)}
        pipeline: Any
        if self.config.base == "sd":
            pipeline = StableDiffusionPipeline(**parts, safety_checker=None, requires_safety_checker=False)
        else:
            pipeline = StableDiffusionXLPipeline(**parts, text_encoder_2=None, tokenizer_2=None)
        pipeline.load_ip_adapter(
            str(self.folder), subfolder="", weight_name=self.config.adapter, image_encoder_folder=None,
            local_files_only=True,
        )  # fmt: skip
        pipeline.set_ip_adapter_scale(self.config.scale)
        return on_device(unet, self.device, self.dtype)

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        require_guides(guides, decoder="ip-adapter", required=self.config.required)
        for name in ("image", "text"):
            if name in guides:
                require_size(guides[name], self.context.spaces.get(name), name=name, decoder="ip-adapter")
        count, config = len(guides["image"]), self.unet.config
        side = self.config.side // pixels_per_latent(self.vae) or config.sample_size
        noise = draw_noise(count, n, (config.in_channels, side, side), generator, self.config.noise).flatten(0, 1)
        text = guides["text"].float() if "text" in guides else self.prompt["states"].expand(count, -1, -1)
        pictures = []
        for rows in torch.arange(count * n).split(self.config.batch):
            pictures.append(self._paint(noise[rows], guides["image"][rows // n].float(), text[rows // n]))
        return torch.cat(pictures).unflatten(0, (count, n))

    @torch.no_grad()
    def _paint(self, noise: Tensor, image: Tensor, text: Tensor) -> Float[Tensor, "N 3 H W"]:
        noise, image, text = (tensor.to(self.device, self.dtype) for tensor in (noise, image, text))
        silence = self.prompt["states"].to(text).expand_as(text)

        def network(latents: Tensor, time: Tensor, tokens: Tensor, vector: Tensor) -> Tensor:
            added = {"image_embeds": [vector], **self._sdxl(latents)}
            return self.unet(latents, time, tokens, added_cond_kwargs=added, return_dict=False)[0]

        predict = guided(network, (text, image), (silence, torch.zeros_like(image)), self.config.guidance)
        return paint(self.vae, sample(predict, own_scheduler(self.folder), noise, steps=self.config.steps))

    def _sdxl(self, latents: Tensor) -> dict[str, Tensor]:
        """SDXL's pooled caption and picture sizes (original, crop corner, target)."""
        if self.config.base == "sd":
            return {}
        side = float(latents.shape[-1] * pixels_per_latent(self.vae))
        sizes = torch.tensor([side, side, 0.0, 0.0, side, side], device=latents.device, dtype=latents.dtype)
        pooled = self.prompt["pooled"].to(latents).expand(len(latents), -1)
        return {"text_embeds": pooled, "time_ids": sizes.expand(len(latents), -1)}
