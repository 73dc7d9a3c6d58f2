"""Which of S candidate reconstructions stands for a stimulus.

``brain``, ``first`` and ``random`` cannot see the stimulus: it is not among their arguments. ``oracle`` is for
measuring how much a peek is worth, and everything it touches must say so.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity

RULES = ("brain", "first", "random", "oracle")
ORACLE_STAMP = "oracle: reconstructions were chosen by looking at the stimuli"


def select_brain(candidates: Float[Tensor, "B S P"], brain: Float[Tensor, "B P"]) -> Int[Tensor, "B"]:
    """The candidate whose embedding is nearest to the embedding decoded from the brain.

    Source: MindEye's reconstruction step (cosine between the projector's output and CLIP of each candidate).

    Args:
        candidates: embedding of every candidate reconstruction.
        brain: embedding decoded from the betas alone.

    Returns:
        Index of the chosen candidate, 0..S-1; the first of equals.
    """
    return _nearest(candidates, brain)


def select_first(candidates: Float[Tensor, "B S P"]) -> Int[Tensor, "B"]:
    """The first candidate."""
    return torch.zeros(len(candidates), dtype=torch.int64)


def select_random(candidates: Float[Tensor, "B S P"], generator: torch.Generator) -> Int[Tensor, "B"]:
    """One candidate by lot."""
    size = (len(candidates),)
    return torch.randint(candidates.shape[1], size, generator=generator, device=generator.device).cpu()


def select_oracle(candidates: Float[Tensor, "B S P"], stimulus: Float[Tensor, "B P"]) -> Int[Tensor, "B"]:
    """The candidate nearest to the stimulus itself. Outputs must carry `ORACLE_STAMP`.

    Source: BrainRAM's released reconstruction script picks its best of 4 this way.
    """
    return _nearest(candidates, stimulus)


def _nearest(candidates: Float[Tensor, "B S P"], reference: Float[Tensor, "B P"]) -> Int[Tensor, "B"]:
    return cosine_similarity(candidates, reference[:, None], dim=-1).argmax(dim=1)
