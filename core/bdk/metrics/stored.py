"""Pictures that lie as numbers in a file, read one at a time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.metrics.sources import MAX_PIXELS, as_unit


@dataclass(frozen=True)
class RawRows:
    """Equal rows, one after the other from ``offset`` on, C order.

    They are read and not mapped: a map counts as memory of this process as long as its pages stay, which for a set
    of large pictures is several gigabytes.

    Args:
        path: the file.
        offset: bytes before the first row.
        row: shape of one row.
        dtype: of its numbers, with their byte order.
        is_bfloat16: whether the numbers, which numpy then knows as uint16, are bfloat16.
    """

    path: Path
    offset: int
    row: tuple[int, ...]
    dtype: np.dtype
    is_bfloat16: bool = False

    def __call__(self, index: int) -> np.ndarray | Tensor:
        """One row."""
        count = math.prod(self.row)
        start = self.offset + index * count * self.dtype.itemsize
        numbers = np.fromfile(self.path, dtype=self.dtype, count=count, offset=start)
        if len(numbers) != count:
            raise EOFError(f"the file ends inside row {index}")
        if self.is_bfloat16:
            return torch.from_numpy(numbers.view(np.int16)).view(torch.bfloat16).reshape(self.row)
        return numbers.reshape(self.row)


@dataclass(frozen=True)
class StoredPictures:
    """Pictures of an array in a file, N or N x S of them, read one by one.

    Args:
        read: ``read(i)`` reads picture i of the N * S: 3 x H x W or H x W x 3.
        shape: of the whole array.
        path: the file.
        label: what to call them in errors.
    """

    read: Callable[[int], Any]
    shape: tuple[int, ...]
    path: Path
    label: str = "images"
    costly: bool = True

    def __post_init__(self) -> None:
        if len(self.shape) not in (4, 5) or 0 in self.shape or 3 not in (self.shape[-1], self.shape[-3]):
            raise DataError(
                f"The {self.label} have shape {self.shape}.",
                where=str(self.path),
                mend="N x 3 x H x W or N x H x W x 3 is expected, or N x S x ... for S candidates per stimulus.",
            )
        if math.prod(self.shape[-3:]) > 3 * MAX_PIXELS:
            raise DataError(
                f"The {self.label} have shape {self.shape}; at most {MAX_PIXELS:,} pixels of a picture are read.",
                where=str(self.path),
                mend="Scale them down first.",
            )

    @property
    def candidates(self) -> int:
        """S."""
        return self.shape[1] if len(self.shape) == 5 else 1

    def __len__(self) -> int:
        return self.shape[0] * self.candidates

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        """One picture, values 0..1.

        Raises:
            DataError: NaN, another scale, a type that leaves the scale open, or the file ends too soon.
        """
        try:
            tensor = _as_tensor(self.read(index), self.path)
        except (EOFError, OSError, ValueError, RuntimeError) as error:
            raise unreadable(self.path, error) from error
        if self.shape[-3] != 3:
            tensor = tensor.permute(2, 0, 1)
        return as_unit(tensor, f"{self.label}, picture {index} of {self.path.name}")

    def fingerprint(self) -> str:
        """sha256 of the file and the shape."""
        return hashlib.sha256(f"{file_digest(self.path)}{self.shape}".encode()).hexdigest()

    def check(self) -> None:
        """Read every picture once.

        Raises:
            DataError: as `picture`.
        """
        for index in range(len(self)):
            self.picture(index)


def _as_tensor(row: Any, path: Path) -> Tensor:
    if isinstance(row, Tensor):
        return row
    array = np.array(row)
    if array.dtype.kind not in "fiub":
        raise DataError(f"The array holds {array.dtype}, not numbers.", where=str(path))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64)
    return torch.from_numpy(array)


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a file that is damaged or holds what is not read."""
    what = " ".join(str(error).split())[:200]
    hint = "Arrays of objects are not read; save plain numbers." if "allow_pickle" in what else "Write it again."
    return DataError(f"{path.name} cannot be read: {what}.", where=str(path), mend=hint)
