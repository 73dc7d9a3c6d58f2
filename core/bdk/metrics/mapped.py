"""Mapped files without their pages: a page that was looked at counts as memory of this process until it is given back.

Where the system keeps files in large pieces, one number maps megabytes around it, so that a column of a feature file
maps the whole file. Columns are therefore read, and pages that were written are given back.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np


def columns(matrix: np.ndarray, start: int, stop: int, dtype: type) -> np.ndarray:
    """Columns ``start`` to ``stop`` of a matrix, N x (stop - start), as numbers in memory.

    Args:
        matrix: N x d array, or a read-only memory map or a view of one, which is then read from its file.
        start: first column.
        stop: one past the last.
        dtype: of the result.
    """
    stop = min(stop, matrix.shape[1])
    place = _place(matrix)
    if place is None:
        return np.asarray(matrix[:, start:stop], dtype=dtype)
    path, offset = place
    block = np.empty((len(matrix), stop - start), dtype=matrix.dtype)
    with path.open("rb", buffering=0) as file:
        for index, row in enumerate(block):
            at = offset + index * matrix.strides[0] + start * matrix.itemsize
            if os.preadv(file.fileno(), [row], at) != row.nbytes:
                raise EOFError(f"{path} ends inside row {index}")
    return np.asarray(block, dtype=dtype)


def leave(matrix: np.ndarray) -> None:
    """Give the pages of a shared memory map back; what was written stays in the file."""
    held = getattr(matrix, "_mmap", None)
    if isinstance(matrix, np.memmap) and matrix.mode != "c" and held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def _place(matrix: np.ndarray) -> tuple[Path, int] | None:
    """File of a mapped matrix and the position of its first number there; None if it cannot be read like that."""
    held = getattr(matrix, "_mmap", None)
    if not isinstance(matrix, np.memmap) or matrix.mode != "r" or held is None or not hasattr(os, "preadv"):
        return None
    path = Path(str(matrix.filename))
    if matrix.ndim != 2 or matrix.strides[1] != matrix.itemsize or matrix.strides[0] < 0 or not path.is_file():
        return None
    begin = np.frombuffer(held, dtype=np.uint8).__array_interface__["data"][0]
    mapped_from = matrix.offset - matrix.offset % mmap.ALLOCATIONGRANULARITY
    return path, mapped_from + matrix.__array_interface__["data"][0] - begin
