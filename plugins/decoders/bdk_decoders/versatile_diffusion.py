"""Versatile Diffusion: pictures from CLIP ViT-L/14 image and text tokens, and a latent image to start from.

Source: Xu et al. 2023; used as in MindEye, BrainRAM and Brain-Diffuser (see the presets). Differences: the latents of
the ``low`` guide start img2img directly, where MindEye decodes them, shifts the picture by CLIP's mean and deviation
(not to -1..1) and encodes it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from bdk.contexts import DecoderContext
from bdk.errors import WeightsMissingError
from bdk.spaces import Space
from bdk.targets.vae import load_vae
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from bdk_decoders.configs import VersatileDiffusionConfig
from bdk_decoders.diffusion import guided, sample
from bdk_decoders.dual_transformer import dual_unet, set_mix
from bdk_decoders.folders import ddim, model_folder, on_device, paint, placement, unipc
from bdk_decoders.guides import as_latents, draw_noise, require_guides, require_size

SIZES = {"image": (257, 768), "text": (77, 768)}


class VersatileDiffusion:
    """Dual-guided sampling with a thin loop of our own over diffusers' UNet.

    Args:
        config: preset, steps, guidance, mix and so on.
        context: spaces of the guides; sizes other than the published 257 x 768 and 77 x 768 if the weights have.

    Raises:
        WeightsMissingError: the folder is not there, or not in dual form.
        ComponentError: half precision on a CPU.
    """

    def __init__(self, config: VersatileDiffusionConfig, context: DecoderContext) -> None:
        self.config, self.context = config, context
        self.device, dtype = placement(config)
        self.folder = model_folder(config)
        self.sizes = _sizes(context.spaces)
        self.unet = on_device(load_dual(self.folder / "image_unet", self.sizes["text"][0]), self.device, dtype)
        self.vae = load_vae(self.folder / "vae", str(self.device), dtype)
        self.unconditional = self._unconditional()

    @staticmethod
    def convert(source: Path, out: Path) -> Path:
        """Write the dual form of a published folder, see `bdk_decoders.convert_vd.convert`."""
        from bdk_decoders.convert_vd import convert

        return convert(source, out)

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        require_guides(guides, decoder="versatile-diffusion", any_of=("image", "text"))
        for name in ("image", "text", "low"):
            if name in guides:
                require_size(guides[name], self.context.spaces.get(name), name=name, decoder="versatile-diffusion")
        count, side = len(next(iter(guides.values()))), self.unet.config.sample_size
        noise = draw_noise(count, n, (self.unet.config.in_channels, side, side), generator, self.config.noise)
        noise = noise.flatten(0, 1)
        condition = self._condition(guides, count)
        start = as_latents(guides["low"].float()) if "low" in guides else None
        set_mix(self.unet, self.mix_for(guides))
        pictures = []
        for rows in torch.arange(count * n).split(self.config.batch):
            stimuli = rows // n
            pictures.append(self._paint(noise[rows], condition[stimuli], None if start is None else start[stimuli]))
        return torch.cat(pictures).unflatten(0, (count, n))

    def mix_for(self, guides: Mapping[str, Tensor]) -> float:
        """Share of text, given which guides there are: 0 or 1 with one alone, unless ``single_guide = "release"``."""
        if self.config.single_guide == "strict" and ("image" in guides) != ("text" in guides):
            return 1.0 if "text" in guides else 0.0
        return self.config.mix

    def _condition(self, guides: Mapping[str, Tensor], count: int) -> Float[Tensor, "B T D"]:
        """Text tokens, then image tokens; an absent guide is zeros."""
        tokens = {name: torch.zeros(count, *self.sizes[name]) for name in ("text", "image")}
        tokens.update({name: guides[name].float() for name in tokens if name in guides})
        return torch.cat([tokens["text"], tokens["image"]], dim=1)

    @torch.no_grad()
    def _paint(self, noise: Tensor, condition: Tensor, start: Tensor | None) -> Float[Tensor, "N 3 H W"]:
        dtype = self.vae.dtype
        noise, condition = noise.to(self.device, dtype), condition.to(self.device, dtype)
        unconditional = self.unconditional.to(condition).expand_as(condition)

        def network(latents: Tensor, time: Tensor, tokens: Tensor) -> Tensor:
            return self.unet(latents, time, encoder_hidden_states=tokens, return_dict=False)[0]

        scheduler = (unipc if self.config.sampler == "unipc" else ddim)(self.folder)
        latents = sample(
            guided(network, (condition,), (unconditional,), self.config.guidance),
            scheduler,
            noise,
            steps=self.config.steps,
            start=None if start is None else start.to(self.device, dtype),
            strength=self.config.strength,
        )
        return paint(self.vae, latents)

    def _unconditional(self) -> Float[Tensor, "1 T D"]:
        if self.config.unconditional == "zeros":
            text, image = self.sizes["text"], self.sizes["image"]
            return torch.zeros(1, text[0] + image[0], text[1])
        return encoded_unconditional(self.context.spaces)


def load_dual(folder: Path, text_tokens: int) -> Any:
    """The dual UNet of a converted folder, strictly loaded and frozen.

    Raises:
        WeightsMissingError: the UNet is not in dual form.
    """
    state = load_file(folder / "diffusion_pytorch_model.safetensors")
    if not any(".transformers.1." in key for key in state):
        raise WeightsMissingError(
            "This UNet is not in dual form.",
            where=str(folder),
            mend="Convert the published folder once: bdk weights convert-vd SOURCE OUT",
        )
    unet = dual_unet(json.loads((folder / "config.json").read_text()), text_tokens)
    unet.load_state_dict(state)
    return unet.eval().requires_grad_(False)


def encoded_unconditional(spaces: Mapping[str, Space]) -> Float[Tensor, "1 T D"]:
    """The empty caption and a mid-grey picture in the guides' spaces, text first."""
    import numpy as np
    from bdk import registry
    from bdk.targets import backbone
    from bdk.targets.clip import encode_texts

    known = registry.load()
    text = spaces.get("text") or known.space("clip-vit-l14/text")
    image = spaces.get("image") or known.space("clip-vit-l14/image")
    grey = np.full((1, 512, 512, 3), 128, dtype=np.uint8)
    return torch.cat([encode_texts(text, [""]), backbone(image).embed(grey)], dim=1)


def _sizes(spaces: Mapping[str, Space]) -> dict[str, tuple[int, int]]:
    """Tokens and width of each guide: its space's; an absent guide has its published tokens, as wide as the other's."""
    widths = [spaces[name].dim for name in SIZES if name in spaces]
    return {
        name: (spaces[name].tokens, spaces[name].dim) if name in spaces else (tokens, (widths or [width])[0])
        for name, (tokens, width) in SIZES.items()
    }
