"""What turns stimuli into a space's tensors, and how the one for a space is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.errors import DataError, PlanError
from bdk.registry import resolve
from bdk.spaces import Space

Captions = Sequence[tuple[str, ...]]
Stimuli = np.ndarray | Captions


@runtime_checkable
class Backbone(Protocol):
    """Computes one space. Built as ``Target(space, device=..., **space.options)``."""

    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        """Tokens in the space's own scale, float32 on the CPU.

        Args:
            stimuli: pictures (uint8, B x H x W x 3) for a space of modality ``image`` or ``latent``; for ``text``
                one tuple of captions per stimulus, whose tokens are averaged.
        """
        ...

    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B P"]:
        """One vector per stimulus, unit length: the key that galleries are searched by."""
        ...


_MADE: dict[tuple[str, str, str], Backbone] = {}


def backbone(space: Space, device: str = "cpu") -> Backbone:
    """The backbone of a space; made once per process, device and set of options.

    Args:
        space: names the backbone and its options.
        device: where it computes; what it returns is on the CPU.

    Raises:
        PlanError: the space names none.
        WeightsMissingError: its weights are not on this machine.
    """
    if not space.backbone:
        raise PlanError(
            f"Space {space} names no backbone, so its targets cannot be computed.",
            mend="Choose a space that has one, or give the package that offers the space a backbone.",
        )
    key = (space.id, repr(sorted(space.options.items(), key=lambda item: item[0])), device)
    if key not in _MADE:
        _MADE[key] = resolve(space.backbone)(space, device=device, **space.options)
    return _MADE[key]


def embed_all(
    space: Space,
    stimuli: Callable[[np.ndarray], Stimuli],
    count: int,
    *,
    device: str = "cpu",
    batch: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Float[Tensor, "N T D"]:
    """Targets of a whole stimulus table, batch by batch.

    Args:
        space: what to compute.
        stimuli: gives the pictures or captions of some rows, such as ``data.images.batch``.
        count: N, rows of the table.
        device: where to compute.
        batch: rows at once.
        progress: told how many rows are done after each batch.
    """
    maker = backbone(space, device)
    targets = torch.empty(count, space.tokens, space.dim)
    for start in range(0, count, batch):
        rows = np.arange(start, min(start + batch, count))
        targets[start : start + len(rows)] = maker.embed(stimuli(rows))
        if progress is not None:
            progress(start + len(rows))
    return targets


def as_pixels(stimuli: Stimuli, device: str) -> Float[Tensor, "B 3 H W"]:
    """Pictures as float 0..1, channels first.

    Raises:
        DataError: not uint8 B x H x W x 3.
    """
    if not (isinstance(stimuli, np.ndarray) and stimuli.dtype == np.uint8 and stimuli.ndim == 4):
        raise DataError("This space is computed from pictures (uint8, B x H x W x 3).", mend="Give the stimuli images.")
    return torch.from_numpy(np.ascontiguousarray(stimuli)).to(device).permute(0, 3, 1, 2).float() / 255


def as_captions(stimuli: Stimuli) -> list[tuple[str, ...]]:
    """Captions of each stimulus, empty ones left out.

    Raises:
        DataError: pictures were given, or a stimulus has no caption.
    """
    if isinstance(stimuli, np.ndarray):
        raise DataError("This space is computed from captions.", mend="Give the stimuli captions.")
    captions = [tuple(text for text in texts if text.strip()) for texts in cast(Captions, stimuli)]
    silent = [row for row, texts in enumerate(captions) if not texts]
    if silent:
        raise DataError(f"{len(silent)} stimuli have no caption (the first of the batch is row {silent[0]}).")
    return captions


def mean_over_captions(
    captions: list[tuple[str, ...]], encode: Callable[[list[str]], Float[Tensor, "N ..."]]
) -> Float[Tensor, "B ..."]:
    """Encode each distinct caption once and average over those of each stimulus."""
    distinct = list(dict.fromkeys(text for texts in captions for text in texts))
    number = {text: row for row, text in enumerate(distinct)}
    encoded = encode(distinct)
    return torch.stack([encoded[[number[text] for text in texts]].mean(dim=0) for texts in captions])
