"""What the simulated brain sees in a picture (contrast energy, luminance, colour) and knows of its scene.

Pixels and scene attributes only. No CLIP: a brain that saw CLIP would be decoded into CLIP by a circle.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import fft

from bdk.demo.backgrounds import BACKGROUNDS
from bdk.demo.kinds import KINDS, SUPER, TINTS
from bdk.demo.scenes import POSITIONS, SIZES, Scene

GRID = 16
"""Feature maps are pooled to 16 x 16 places."""
_FREQUENCIES = (6.0, 14.0)
_ORIENTATIONS = 6
MAPS = len(_FREQUENCIES) * _ORIENTATIONS + 3
ENERGY_MAPS = len(_FREQUENCIES) * _ORIENTATIONS
_BATCH = 256


def _filters(side: int) -> Float[np.ndarray, "F side side"]:
    """One-sided Gabor filters in the frequency domain: their response's modulus is the contrast energy."""
    fy, fx = np.meshgrid(np.fft.fftfreq(side) * side, np.fft.fftfreq(side) * side, indexing="ij")
    bank = []
    for frequency in _FREQUENCIES:
        for step in range(_ORIENTATIONS):
            angle = np.pi * step / _ORIENTATIONS
            along = fx * np.cos(angle) + fy * np.sin(angle)
            across = -fx * np.sin(angle) + fy * np.cos(angle)
            width = 0.45 * frequency
            bank.append(np.exp(-((along - frequency) ** 2 + across**2) / (2 * width**2)))
    return np.stack(bank).astype(np.float32)


def _pool(maps: Float[np.ndarray, "B M S S"]) -> Float[np.ndarray, "B M P"]:
    b, m, side, _ = maps.shape
    block = side // GRID
    return maps.reshape(b, m, GRID, block, GRID, block).mean((3, 5), dtype=np.float32).reshape(b, m, GRID * GRID)


def _see(images: np.ndarray) -> Float[np.ndarray, "B 15 256"]:
    red, green, blue = np.moveaxis(images.astype(np.float32) / 255, -1, 0)
    light = 0.3 * red + 0.59 * green + 0.11 * blue
    spectrum = fft.fft2(light - light.mean((1, 2), keepdims=True))
    energy = [_pool(np.abs(fft.ifft2(spectrum * one))[:, None]) for one in _filters(light.shape[1])]
    return np.concatenate([*energy, _pool(np.stack([light, red - green, blue - (red + green) / 2], axis=1))], axis=1)


def feature_maps(images: np.ndarray) -> Float[np.ndarray, "B 15 256"]:
    """Twelve energy maps (2 scales x 6 orientations), luminance and two colour-opponent maps at 16 x 16 places.

    Args:
        images: pictures [B, S, S, 3], uint8; S is a multiple of 16.
    """
    parts = [_see(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
    return np.concatenate(parts)


_GROUPS = tuple(dict.fromkeys(SUPER.values()))
ATTRIBUTES: tuple[str, ...] = (*KINDS, *_GROUPS, *BACKGROUNDS, *TINTS, *SIZES, *POSITIONS, "count")
"""What the attribute vector's entries say, in order."""


def _attributes_of(scene: Scene) -> set[str]:
    shown = {scene.background}
    for thing in scene.objects:
        shown |= {thing.kind, SUPER[thing.kind], thing.tint, thing.size, thing.position}
    return shown | ({"count"} if len(scene.objects) > 1 else set())


def attribute_vectors(scenes: list[Scene]) -> Float[np.ndarray, "B A"]:
    """Ones where a scene shows the attribute: kind, super-category, background, tint, size, position, two objects."""
    shown = [_attributes_of(scene) for scene in scenes]
    return np.array([[name in present for name in ATTRIBUTES] for present in shown], dtype=np.float32)
