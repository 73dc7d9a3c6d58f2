"""What must hold of any betas before work begins, and a hash of what they are."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

from bdk.errors import DataError

ROWS_AT_ONCE = 512


def fingerprint(*contents: np.ndarray | str) -> str:
    """sha256 of arrays (type, shape and bytes) and words, in this order."""
    digest = hashlib.sha256()
    for content in contents:
        if isinstance(content, str):
            digest.update(f"word {content}\n".encode())
            continue
        digest.update(f"array {content.dtype.str} {content.shape}\n".encode())
        if content.dtype.kind in "UO":
            digest.update("\n".join(map(str, content.ravel())).encode())
            continue
        for start in range(0, len(content), ROWS_AT_ONCE):
            digest.update(np.ascontiguousarray(content[start : start + ROWS_AT_ONCE]).tobytes())
    return digest.hexdigest()


def require_finite(betas: np.ndarray, *, where: str) -> None:
    """Refuse betas with a NaN or an infinity.

    Raises:
        DataError: the count, and the first trial and voxel.
    """
    bad, first = 0, ""
    for start in range(0, len(betas), ROWS_AT_ONCE):
        wrong = ~np.isfinite(betas[start : start + ROWS_AT_ONCE])
        if wrong.any() and not first:
            trial, voxel = np.argwhere(wrong)[0]
            first = f"trial {start + trial}, voxel {voxel}"
        bad += int(wrong.sum())
    if bad:
        raise DataError(
            f"{bad} of the betas are NaN or infinite (the first: {first}).",
            where=where,
            mend="Take those trials or voxels out; nothing is filled in for them.",
        )


def varying_voxels(betas: np.ndarray, what: Literal["refuse", "drop"], *, where: str) -> np.ndarray:
    """Which voxels vary over the trials, bool V.

    Args:
        betas: trials x V, finite.
        what: ``refuse`` raises if any voxel is constant.
        where: named in the error.

    Raises:
        DataError: constant voxels that should be refused, or no voxel that varies.
    """
    varies = np.zeros(betas.shape[1], dtype=bool)
    for start in range(0, len(betas), ROWS_AT_ONCE):
        varies |= (betas[start : start + ROWS_AT_ONCE] != betas[0]).any(axis=0)
    constant = np.flatnonzero(~varies)
    if len(constant) and (what == "refuse" or not varies.any()):
        raise DataError(
            f"{len(constant)} of {len(varies)} voxels never vary (the first is voxel {constant[0]}).",
            where=where,
            mend='Take them out of the mask, or set data.constant_voxels = "drop".',
        )
    return varies
