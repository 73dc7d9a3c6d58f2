"""A backbone that needs no weights: it gives every picture and every caption a code of its own. For checks only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.spaces import Space

GRID = 4
_SHARED = 16
"""Numbers of a pooled code, whatever the space."""


class Codes:
    """Codes of pictures (their coarse colours) and captions (drawn from their hash), blown up to the space's size.

    Args:
        space: whose size and modality they have.
        device: not used; codes are made on the CPU.
    """

    def __init__(self, space: Space, device: str = "cpu") -> None:
        self.space = space
        generator = torch.Generator().manual_seed(7)
        self.spread = torch.randn(GRID * GRID * 3, space.size, generator=generator) * space.dim**-0.5
        self.pool = torch.randn(GRID * GRID * 3, _SHARED, generator=generator)

    def embed(self, stimuli: np.ndarray | Sequence[tuple[str, ...]]) -> Float[Tensor, "B T D"]:
        """Tokens of pictures (uint8, B x H x W x 3) or of captions."""
        return (self._features(stimuli) @ self.spread).unflatten(1, (self.space.tokens, self.space.dim))

    def pooled(self, stimuli: np.ndarray | Sequence[tuple[str, ...]]) -> Float[Tensor, "B P"]:
        """Keys of unit length."""
        return torch.nn.functional.normalize(self._features(stimuli) @ self.pool, dim=-1)

    def _features(self, stimuli: np.ndarray | Sequence[tuple[str, ...]]) -> Float[Tensor, "B F"]:
        if not isinstance(stimuli, np.ndarray):
            return torch.stack([_of_words(" ".join(captions)) for captions in stimuli])
        pixels = torch.from_numpy(np.array(stimuli)).permute(0, 3, 1, 2).float() / 255
        return torch.nn.functional.adaptive_avg_pool2d(pixels, GRID).flatten(1) - 0.5


def _of_words(text: str) -> Float[Tensor, "F"]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
    return torch.randn(GRID * GRID * 3, generator=torch.Generator().manual_seed(seed))
