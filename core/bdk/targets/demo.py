"""Backbones of the demo world: its tiny CLIP and its VAE."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.demo.clip import TinyClip
from bdk.demo.vae import DemoVae
from bdk.spaces import Space
from bdk.targets.backbones import Stimuli, as_captions, as_pixels, mean_over_captions


@cache
def tiny_clip(device: str = "cpu") -> TinyClip:
    """The shipped tiny CLIP, loaded once."""
    return TinyClip.load(device=device)


@cache
def demo_vae(device: str = "cpu") -> DemoVae:
    """The shipped VAE, loaded once."""
    return DemoVae.load(device=device)


class DemoClip:
    """Tokens of the tiny CLIP, normalised as Versatile Diffusion does; captions are averaged.

    Args:
        space: one of ``demo-clip/...``.
        form: ``image_tokens``, ``image_pooled`` or ``text_tokens``.
        device: where to compute.
    """

    def __init__(self, space: Space, *, form: str, device: str = "cpu") -> None:
        self.space, self.form, self.clip = space, form, tiny_clip(device)

    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        if self.form == "text_tokens":
            return mean_over_captions(as_captions(stimuli), self.clip.text_tokens)
        tokens = self.clip.image_tokens(as_pixels(stimuli, self.clip.device))
        return tokens if self.form == "image_tokens" else tokens[:, :1]

    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B P"]:
        if self.form == "text_tokens":
            return F.normalize(mean_over_captions(as_captions(stimuli), self.clip.text_embedding), dim=-1)
        return self.clip.image_embedding(as_pixels(stimuli, self.clip.device))


class DemoLatent:
    """Latents of the demo VAE: 64 positions, row by row, of 8 channels."""

    def __init__(self, space: Space, *, device: str = "cpu") -> None:
        self.space, self.vae = space, demo_vae(device)

    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        latents = self.vae.encode(as_pixels(stimuli, self.vae.device))
        return latents.flatten(2).transpose(1, 2).contiguous()  # B 64 8

    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B P"]:
        return F.normalize(torch.flatten(self.embed(stimuli), 1), dim=-1)
