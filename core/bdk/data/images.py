"""Where the pictures of a stimulus table come from: an array, files, or an hdf5 brick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image, UnidentifiedImageError

from bdk.errors import DataError


@runtime_checkable
class ImageSource(Protocol):
    """The picture of every stimulus, by row of the stimulus table."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray:
        """One picture, uint8 H x W x 3."""
        ...

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Pictures of several rows, uint8 B x H x W x 3, in the order asked for."""
        ...


@dataclass(frozen=True)
class ArrayImages:
    """Pictures held in one array, which may be a memory map.

    Args:
        pixels: uint8, N x H x W x 3.
    """

    pixels: np.ndarray

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[3] != 3 or self.pixels.dtype != np.uint8:
            raise DataError(
                f"Images are {self.pixels.dtype} {self.pixels.shape}; uint8, N x H x W x 3 is expected.",
                mend="Store 8-bit RGB pictures, channels last.",
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.pixels[index])

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return np.asarray(self.pixels[np.asarray(indices, dtype=np.int64)])


@dataclass(frozen=True)
class FileImages:
    """Pictures in files, read when asked for, centre-cropped to a square and resized.

    Args:
        paths: one file per row.
        size: side in pixels of what is returned.
    """

    paths: tuple[Path, ...]
    size: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        path = self.paths[index]
        try:
            with Image.open(path) as picture:
                return square(picture.convert("RGB"), self.size)
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"A picture cannot be read: {error}.", where=str(path)) from error

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return np.stack([self[int(i)] for i in indices])


@dataclass(frozen=True)
class Hdf5Images:
    """Pictures in an hdf5 brick, opened for each read, so that it can be sent to another process.

    Args:
        path: the file.
        dataset: name of the brick in it: N x H x W x 3, uint8 or float 0..1; or N x 3 x H x W.
        rows: row of the brick of every stimulus.
    """

    path: Path
    dataset: str
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.batch([index])[0]

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        import h5py

        wanted = np.asarray([self.rows[int(i)] for i in indices], dtype=np.int64)
        unique, back = np.unique(wanted, return_inverse=True)
        with h5py.File(self.path, "r") as file:
            return _channels_last_bytes(file[self.dataset][unique])[back]


@dataclass(frozen=True)
class ChosenImages:
    """Some rows of another source.

    Args:
        images: that source.
        rows: its rows, in the order of this one.
    """

    images: ImageSource
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.images[int(self.rows[index])]

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        return self.images.batch(self.rows[np.asarray(indices, dtype=np.int64)])


def square(picture: Image.Image, size: int) -> np.ndarray:
    """Centre-crop to a square and resize with a Lanczos filter; uint8 size x size x 3."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    cropped = picture.crop((left, top, left + side, top + side))
    return np.asarray(cropped if side == size else cropped.resize((size, size), Image.Resampling.LANCZOS))


def _channels_last_bytes(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] != 3:
        pixels = np.moveaxis(pixels, 1, -1)
    if pixels.dtype == np.uint8:
        return pixels
    return np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
