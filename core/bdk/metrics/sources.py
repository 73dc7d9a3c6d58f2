"""Pictures from anywhere, one at a time, in one form: float 3 x H x W, values 0..1.

A source is asked for single pictures, so nothing needs to fit in memory. Tensors, arrays and the image sources of
data sets are wrapped here; files are read by `bdk.evaluate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.errors import DataError

MAX_PIXELS = 36_000_000
"""Pixels of one picture above which it is refused: decoded, as floats and resized it would take more than 1.5 GB."""
SLACK = 0.25
"""How far floats may stick out of 0..1 before we doubt their scale; decoders overshoot a little, and are clamped."""


@runtime_checkable
class Pictures(Protocol):
    """N pictures, each of any size."""

    @property
    def costly(self) -> bool:
        """Whether reading a picture is slow, so that prepared ones are worth keeping on disk."""
        ...

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        """One picture, values 0..1."""
        ...

    def fingerprint(self) -> str:
        """sha256 that changes with the contents."""
        ...


class ArrayPictures:
    """Pictures of an array, memory map or tensor.

    Args:
        pixels: N x 3 x H x W or N x H x W x 3, uint8 or float 0..1; N x H x W grey pictures are repeated three times.
        label: what to call them in errors.

    Raises:
        DataError: another shape or type, or nothing in it.
    """

    costly = False

    def __init__(self, pixels: np.ndarray | Tensor, label: str = "images") -> None:
        self.pixels, self.label = pixels, label
        shape = tuple(pixels.shape)
        if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and 3 not in (shape[1], shape[3])):
            raise DataError(
                f"The {label} have shape {shape}.", mend="N x 3 x H x W or N x H x W x 3 is expected, N above 0."
            )
        self._channels_last = len(shape) == 4 and shape[1] != 3

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        raw = self.pixels[index]
        tensor = raw.detach().cpu() if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))
        if tensor.ndim == 2:
            tensor = tensor.expand(3, *tensor.shape)
        elif self._channels_last:
            tensor = tensor.permute(2, 0, 1)
        return as_unit(tensor, f"{self.label}, picture {index}")

    def fingerprint(self) -> str:
        sha = hashlib.sha256(f"{tuple(self.pixels.shape)}{self.pixels.dtype}".encode())
        for row in self.pixels:
            sha.update(np.ascontiguousarray(row.detach().cpu() if isinstance(row, Tensor) else row).data)
        return sha.hexdigest()


@dataclass(frozen=True)
class IndexedPictures:
    """Pictures of any object with a length whose items are pictures, such as a data set's image source.

    Args:
        items: ``items[i]`` is uint8 H x W x 3, or float 3 x H x W in 0..1.
        rows: which of them, in which order; None for all.
        label: what to call them in errors.
    """

    items: Any
    rows: Sequence[int] | None = None
    label: str = "images"
    costly: bool = True

    def __len__(self) -> int:
        return len(self.items) if self.rows is None else len(self.rows)

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        raw = self.items[index if self.rows is None else int(self.rows[index])]
        tensor = raw if isinstance(raw, Tensor) else torch.from_numpy(np.array(raw))
        if tensor.ndim == 3 and tensor.shape[0] != 3:
            tensor = tensor.permute(2, 0, 1)
        return as_unit(tensor, f"{self.label}, picture {index}")

    def fingerprint(self) -> str:
        sha = hashlib.sha256()
        for index in range(len(self)):
            sha.update(self.picture(index).numpy().tobytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class Repeated:
    """One picture, as often as there are stimuli; networks see it once.

    Args:
        image: float 3 x H x W, 0..1.
        times: how often.
    """

    image: Float[Tensor, "3 H W"]
    times: int
    costly: bool = False

    def __len__(self) -> int:
        return self.times

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        """The picture, whatever the index."""
        return self.image

    def fingerprint(self) -> str:
        """sha256 of the picture and its number."""
        return hashlib.sha256(self.image.numpy().tobytes() + str(self.times).encode()).hexdigest()

    @property
    def single(self) -> ArrayPictures:
        """The picture once."""
        return ArrayPictures(self.image[None])


def as_unit(pixels: Tensor, where: str) -> Float[Tensor, "3 H W"]:
    """Check one picture and bring it to float32 in 0..1; uint8 is divided by 255.

    Raises:
        DataError: not a number somewhere, floats that are no 0..1, or a type that leaves the scale open.
    """
    if pixels.ndim != 3 or pixels.shape[0] != 3:
        raise DataError(f"A picture has shape {tuple(pixels.shape)}.", where=where, mend="3 x H x W is expected.")
    if pixels.dtype == torch.uint8:
        return pixels.float().div_(255)
    if not pixels.dtype.is_floating_point:
        raise DataError(
            f"Pixels are {pixels.dtype}, whose scale is not known.", where=where, mend="Use uint8, or floats in 0..1."
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int((~torch.isfinite(pixels)).sum())
        raise DataError(
            f"{bad} of {pixels.numel()} numbers are NaN or infinite.",
            where=where,
            mend="Leave the stimulus out on both sides, or decode it again.",
        )
    if low < -SLACK or high > 1 + SLACK:
        raise DataError(
            f"Floats run from {low:.4g} to {high:.4g}; 0..1 is expected.", where=where, mend=_scale_hint(low, high)
        )
    return pixels.float() if low >= 0 and high <= 1 else pixels.float().clamp(0, 1)


def _scale_hint(low: float, high: float) -> str:
    if high > 2:
        return "They look like 0..255: save them as uint8, or divide by 255."
    return "They look like -1..1: use (x + 1) / 2." if low < -SLACK else "Scale them to 0..1."


def as_pictures(images: Any, label: str = "images") -> Pictures:
    """Wrap whatever holds N pictures.

    Raises:
        DataError: it cannot be read as N pictures.
    """
    if isinstance(images, (Tensor, np.ndarray)):
        return ArrayPictures(images, label)
    if isinstance(images, Pictures):
        return images
    return IndexedPictures(images, label=label)


def as_candidates(images: Any, label: str = "reconstructions") -> tuple[Pictures, int]:
    """Wrap reconstructions, which may be S candidates per stimulus.

    Args:
        images: N x 3 x H x W, or N x S x 3 x H x W, or anything `as_pictures` takes; a source may say its
            ``candidates``, and then holds N * S pictures, stimulus by stimulus.

    Returns:
        N * S pictures, and S.
    """
    if isinstance(images, (Tensor, np.ndarray)) and images.ndim == 5:
        flat = images.reshape(-1, *images.shape[2:])
        return ArrayPictures(flat, label), int(images.shape[1])
    return as_pictures(images, label), int(getattr(images, "candidates", 1))
