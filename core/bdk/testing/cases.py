"""The sizes that parts are tried at, and numbers to try them with: small, and no two alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bdk.spaces import Space

SPACES = (
    Space("check/image", 5, 8, "image", "cls", pooled="check/pooled"),
    Space("check/text", 9, 16, "text", "pooled", pooled="check/pooled"),
    Space("check/pooled", 1, 12, "image", "none", pooled="check/pooled"),
)
"""Spaces of the checks: their sizes share no factor that a part could rely on by accident."""
PUBLISHED = Space("check/published", 257, 768, "image", "cls", pooled="check/pooled")
"""The size that published code has written into it."""
ROWS = 3
"""Stimuli of a batch."""


@dataclass(frozen=True)
class Case:
    """One context, with what the part is called with in it.

    Args:
        label: for messages, such as ``40 voxels, space 9 x 16``.
        context: the part is built with it.
        inputs: tensors by name; the first axis of each is the batch.
    """

    label: str
    context: Any
    inputs: Mapping[str, Tensor]

    def other(self, row: int) -> dict[str, Tensor]:
        """The same inputs with other numbers for one stimulus."""
        changed = {name: tensor.clone() for name, tensor in self.inputs.items()}
        for tensor in changed.values():
            if tensor.is_floating_point():
                tensor[row] = torch.flip(tensor[row], dims=(-1,)) + 0.5
        return changed

    def one(self, row: int) -> dict[str, Tensor]:
        """One stimulus alone."""
        return {name: tensor[row : row + 1].clone() for name, tensor in self.inputs.items()}

    def copy(self) -> dict[str, Tensor]:
        """Inputs that may be spoilt."""
        return {name: tensor.clone() for name, tensor in self.inputs.items()}


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Standard normal numbers that are the same in every run."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def tokens(rows: int, space: Space, seed: int = 0) -> Tensor:
    """Tokens of about unit length, B T D."""
    return numbers(rows, space.tokens, space.dim, seed=seed, scale=space.dim**-0.5)


def sized(space: Space) -> str:
    """``space 5 x 8``."""
    return f"space {space.tokens} x {space.dim}"
