"""Resizing, spelled out: which filter, which antialiasing, on what kind of numbers."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from bdk.metrics.presets import Preset, Resize

_FILTERS = {"pil-bilinear": Image.Resampling.BILINEAR, "pil-bicubic": Image.Resampling.BICUBIC}


def resize(images: Float[Tensor, "B 3 H W"], size: int, how: Resize) -> Float[Tensor, "B 3 size size"]:
    """Bring pictures to size x size.

    Args:
        images: values 0..1.
        size: side in pixels.
        how: ``bilinear``: on floats, without antialiasing (torchvision's tensor default until 0.16);
            ``bilinear-antialias``: with it; ``area``: mean of the covered pixels;
            ``pil-bilinear`` and ``pil-bicubic``: on 8-bit pictures with Pillow, whose filters antialias.

    Returns:
        Values 0..1; unchanged if the pictures have that size already.
    """
    if images.shape[-2:] == (size, size):
        return images
    if how in ("bilinear", "bilinear-antialias"):
        antialias = how == "bilinear-antialias"
        return interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=antialias)
    if how == "area":
        return interpolate(images, size=(size, size), mode="area")
    return torch.stack([_resize_with_pillow(image, size, how) for image in images])


def eight_bit(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Round to the nearest of the 256 values an 8-bit file can hold."""
    return images.mul(255).round_().div_(255)


def first_steps(images: Float[Tensor, "B 3 H W"], preset: Preset) -> Float[Tensor, "B 3 h w"]:
    """What a preset does before it parts into pixels and networks: 8 bits, base size.

    Args:
        images: any size, values 0..1.
        preset: the recipe.

    Returns:
        Values 0..1.
    """
    if preset.eight_bit:
        images = eight_bit(images)
    return resize(images, preset.base, "bilinear") if preset.base else images


def _resize_with_pillow(image: Float[Tensor, "3 H W"], size: int, how: Resize) -> Float[Tensor, "3 size size"]:
    pixels = image.mul(255).round_().to(torch.uint8).permute(1, 2, 0).numpy()
    small = Image.fromarray(np.ascontiguousarray(pixels)).resize((size, size), _FILTERS[how])
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255
