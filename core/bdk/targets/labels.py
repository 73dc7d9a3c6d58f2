"""Codes for category names: as far apart as words can be, and as meaningless."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.spaces import Space
from bdk.targets.backbones import Stimuli, as_captions, mean_over_captions


def label_code(label: str, dim: int) -> Float[Tensor, "D"]:
    """A random direction that belongs to one label for ever, unit length.

    It is drawn from a normal distribution seeded by the label's sha256. Two labels' codes have a cosine of about
    0 +- 1/sqrt(dim); no code says anything about what its label means.
    """
    seed = int.from_bytes(hashlib.sha256(label.strip().lower().encode()).digest()[:8], "little")
    return F.normalize(torch.from_numpy(np.random.default_rng(seed).standard_normal(dim)).float(), dim=0)


class LabelCodes:
    """One token per stimulus: the mean code of its captions, unit length.

    For data whose captions are a few category names, where a text tower would add knowledge that nobody measured, or
    (as the tiny CLIP) does not know the words. Identification among names then asks for a linear separation only.
    """

    def __init__(self, space: Space, *, device: str = "cpu") -> None:
        self.space = space

    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        return self.pooled(stimuli)[:, None]

    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B P"]:
        means = mean_over_captions(as_captions(stimuli), self._codes)
        return F.normalize(means, dim=-1)

    def _codes(self, labels: list[str]) -> Float[Tensor, "N D"]:
        return torch.stack([label_code(label, self.space.dim) for label in labels])
