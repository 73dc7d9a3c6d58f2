"""SwAV's instance features, which IC-GAN's generator is conditioned on."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.metrics.architectures import read_state, swav_resnet50
from bdk.metrics.presets import IMAGENET
from bdk.spaces import Space
from bdk.targets.backbones import Stimuli, as_pixels
from bdk.targets.clip import resize_and_crop
from bdk.weights import Manifest

SIDE = 224
BATCH = 32


class SwavBackbone:
    """The averaged last maps of SwAV's ResNet-50, one token of unit length.

    Source: Caron et al. 2020; as the conditions of IC-GAN (Casanova et al. 2021), which Gu et al. decode. Pictures are
    resized by their shorter side (bicubic, antialiased) and cropped in the middle.

    Args:
        space: 1 x 2048.
        weights: name in the weights manifest; the same file as for the metric `swav`.
        path: the file; empty to look it up by name.
        device: where to compute.
    """

    def __init__(self, space: Space, *, weights: str, path: str = "", device: str = "cpu") -> None:
        self.space, self.device = space, device
        file = Path(path) if path else Manifest.load().entry(weights).path
        self.net = swav_resnet50(read_state(file), file).to(device).eval().requires_grad_(False)

    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B 1 D"]:
        return self.pooled(stimuli)[:, None]

    @torch.no_grad()
    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B D"]:
        mean, std = (torch.tensor(numbers, device=self.device).view(3, 1, 1) for numbers in IMAGENET)
        parts = [self.net((resize_and_crop(part.to(self.device), SIDE) - mean) / std)
                 for part in as_pixels(stimuli, "cpu").split(BATCH)]  # fmt: skip
        return F.normalize(torch.cat(parts).flatten(1), dim=-1).cpu()
