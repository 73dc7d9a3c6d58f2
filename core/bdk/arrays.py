"""Large arrays on disk, written piece by piece."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np


def new_array(path: Path, dtype: type | np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """A ``.npy`` file of zeros to write into, mapped into memory; its room on the disk is taken now.

    Without that, a disk that fills up later ends the whole process by a signal, and no error can be told.

    Raises:
        OSError: the disk has not that much room.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array
