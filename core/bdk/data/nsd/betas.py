"""One session's betas under a mask, by either of NSD's file formats, in one canonical order of voxels.

The order is that of the NIfTI array (X, Y, Z), x slowest. The hdf5 files come from MATLAB, so that h5py shows their
axes turned round: trials x Z x Y x X.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bdk.data.nsd.layout import SCALE, TRIALS_PER_SESSION
from bdk.data.volumes import VOLUMES_AT_ONCE, masked_blocks
from bdk.errors import DataError

DATASET = "betas"


def read_session(path: Path, mask: np.ndarray) -> np.ndarray:
    """Betas of one session in percent signal change.

    Args:
        path: ``betas_sessionNN.nii.gz`` or ``.hdf5``.
        mask: bool X x Y x Z.

    Returns:
        float32, 750 trials x V.

    Raises:
        DataError: another number of trials or other volumes than the mask's, not int16, or a file cut short.
    """
    stored = _read_hdf5(path, mask) if path.suffix == ".hdf5" else _read_nifti(path, mask)
    if len(stored) != TRIALS_PER_SESSION:
        raise DataError(
            f"The session has {len(stored)} trials, not {TRIALS_PER_SESSION}.",
            where=str(path),
            mend="Download the file again.",
        )
    if stored.dtype != np.int16:
        raise DataError(
            f"Betas are stored as {stored.dtype}, not int16, so their scale is not known.",
            where=str(path),
            mend="Use the 1.8 mm volumes as NSD distributes them.",
        )
    return stored.astype(np.float32) / np.float32(SCALE)


def _read_nifti(path: Path, mask: np.ndarray) -> np.ndarray:
    return np.concatenate(list(masked_blocks(path, mask, "betas")))


def _read_hdf5(path: Path, mask: np.ndarray) -> np.ndarray:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if DATASET not in file:
                raise DataError(f"The file has no dataset {DATASET!r}.", where=str(path))
            betas = file[DATASET]
            if betas.ndim != 4 or betas.shape[:0:-1] != mask.shape:
                raise DataError(
                    f"The file is {betas.shape}, but the mask is {mask.shape}; trials x Z x Y x X is expected.",
                    where=str(path),
                )
            return _by_voxel(betas, mask) if _holds_time_courses(betas) else _by_volume(betas, mask)
    except OSError as error:
        raise DataError(
            f"The file is cut short or damaged: {error}", where=str(path), mend="Download the file again."
        ) from error


def _holds_time_courses(betas: Any) -> bool:
    """Whether a chunk is all trials of one voxel, as MATLAB wrote NSD's files: then only masked voxels are read."""
    return betas.chunks is not None and betas.chunks[0] == betas.shape[0]


def _by_voxel(betas: Any, mask: np.ndarray) -> np.ndarray:
    x, y, z = np.nonzero(mask)
    out = np.empty((betas.shape[0], len(x)), dtype=betas.dtype)
    for voxel in range(len(x)):
        out[:, voxel] = betas[:, z[voxel], y[voxel], x[voxel]]
    return out


def _by_volume(betas: Any, mask: np.ndarray) -> np.ndarray:
    parts = []
    for start in range(0, betas.shape[0], VOLUMES_AT_ONCE):
        parts.append(betas[start : start + VOLUMES_AT_ONCE].transpose(0, 3, 2, 1)[:, mask])
    return np.concatenate(parts)
