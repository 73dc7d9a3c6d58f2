"""NIfTI volumes under a mask, with the voxels in one canonical order.

The order is that of the array (X, Y, Z) that nibabel gives, x slowest and z fastest: the order of ``volume[mask]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bdk.data.files import existing
from bdk.errors import DataError

VOLUMES_AT_ONCE = 50


def open_nifti(path: Path, what: str) -> Any:
    """A NIfTI opened, its numbers not yet read.

    Raises:
        DataError: no such file, or not a NIfTI.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        return nibabel.load(existing(path, what), keep_file_open=True)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise DataError(f"The file for {what} is no readable NIfTI: {error}", where=str(path)) from error


def read_volume(path: Path, what: str) -> np.ndarray:
    """A 3-D volume, in the file's own numbers.

    Raises:
        DataError: not readable, or not 3-D.
    """
    image = open_nifti(path, what)
    volume = _numbers(image, ..., path, what)
    if volume.ndim == 4 and volume.shape[3] == 1:
        volume = volume[..., 0]
    if volume.ndim != 3:
        raise DataError(f"The file for {what} has {volume.ndim} axes; 3 are expected.", where=str(path))
    return volume


def read_mask(path: Path, what: str, *, like: np.ndarray | None = None) -> np.ndarray:
    """Voxels above 0, bool X x Y x Z; -1, which NSD writes outside its cortex, is outside.

    Raises:
        DataError: not readable, of another size than ``like``, or empty.
    """
    mask = read_volume(path, what) > 0
    if like is not None and mask.shape != like.shape:
        raise DataError(f"{what} is {mask.shape}, but the mask is {like.shape}.", where=str(path))
    if not mask.any():
        raise DataError(f"No voxel of {what} is above 0.", where=str(path))
    return mask


def masked_blocks(path: Path, mask: np.ndarray, what: str) -> Iterator[np.ndarray]:
    """Blocks of consecutive volumes under a mask, volumes x V, in the file's own numbers.

    No more than 50 whole volumes are in memory at a time.

    Raises:
        DataError: not 4-D, of another size than the mask, or cut short.
    """
    image = open_nifti(path, what)
    shape = image.shape
    if len(shape) != 4 or shape[:3] != mask.shape:
        raise DataError(
            f"The file for {what} is {shape}, but the mask is {mask.shape}.",
            where=str(path),
            mend="Volumes over time of the mask's size are expected.",
        )
    for start in range(0, shape[3], VOLUMES_AT_ONCE):
        part = (..., slice(start, min(start + VOLUMES_AT_ONCE, shape[3])))
        yield _numbers(image, part, path, what)[mask].T


def read_masked(path: Path, mask: np.ndarray, what: str) -> np.ndarray:
    """All volumes under a mask, volumes x V.

    Raises:
        DataError: as `masked_blocks`.
    """
    return np.concatenate(list(masked_blocks(path, mask, what)))


def _numbers(image: Any, part: Any, path: Path, what: str) -> np.ndarray:
    try:
        return np.asanyarray(image.dataobj[part])
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"The file for {what} is cut short or damaged: {error}", where=str(path)) from error
