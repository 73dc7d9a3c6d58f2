"""Z-scoring of betas, per voxel, in blocks of voxels so that a whole experiment fits in memory."""

from __future__ import annotations

import numpy as np

from bdk.errors import DataError

TRIALS_AT_ONCE = 750


def zscored(
    betas: np.ndarray, groups: np.ndarray | None, is_train: np.ndarray, *, where: str, out: np.ndarray | None = None
) -> np.ndarray:
    """Subtract the mean and divide by the standard deviation of every voxel.

    Args:
        betas: trials x V, any float or integer type.
        groups: run or session of each trial, each z-scored by itself (standard deviation over n); None to
            take mean and standard deviation (over n - 1) of the training trials for all trials.
        is_train: bool, which trials may be learnt from; used only without groups.
        where: named in errors.
        out: float32 trials x V to write to, which may be ``betas`` itself; a new array if None.

    Returns:
        float32 trials x V.

    Raises:
        DataError: a voxel is constant over the trials it is z-scored on.
    """
    out = np.empty(betas.shape, dtype=np.float32) if out is None else out
    if groups is None:
        mean, std = moments(betas, np.flatnonzero(is_train), ddof=1)
        _refuse_constant(std, "the training trials", where)
        _apply(betas, np.arange(len(betas)), mean, std, out)
        return out
    for group in np.unique(groups):
        trials = np.flatnonzero(groups == group)
        mean, std = moments(betas, trials, ddof=0)
        _refuse_constant(std, f"run {group}", where)
        _apply(betas, trials, mean, std, out)
    return out


def moments(betas: np.ndarray, trials: np.ndarray, *, ddof: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every voxel over some trials, in float64, in two streamed passes."""
    count = len(trials)
    if count <= ddof:
        raise DataError(f"{count} trials are too few to z-score by.", mend="Z-score by session or run, or not at all.")
    blocks = [trials[start : start + TRIALS_AT_ONCE] for start in range(0, count, TRIALS_AT_ONCE)]
    mean = sum(betas[block].sum(axis=0, dtype=np.float64) for block in blocks) / count
    squares = sum(np.square(betas[block] - mean).sum(axis=0) for block in blocks)
    return mean, np.sqrt(squares / (count - ddof))


def _apply(betas: np.ndarray, trials: np.ndarray, mean: np.ndarray, std: np.ndarray, out: np.ndarray) -> None:
    for start in range(0, len(trials), TRIALS_AT_ONCE):
        block = trials[start : start + TRIALS_AT_ONCE]
        out[block] = (betas[block] - mean) / std


def _refuse_constant(std: np.ndarray, over: str, where: str) -> None:
    constant = np.flatnonzero(~(std > 1e-12))
    if len(constant):
        raise DataError(
            f"{len(constant)} voxels do not vary over {over} (the first is voxel {constant[0]}).",
            where=f"data set {where!r}",
            mend='Take them out of the mask, or set constant_voxels = "drop" where the data set offers it.',
        )
