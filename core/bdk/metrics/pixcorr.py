"""PixCorr: Pearson correlation of two pictures over all pixels and colours."""

from __future__ import annotations

import numpy as np


def pixcorr(stimuli: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Correlation of each stimulus with its reconstruction.

    Source: MindEye and Brain-Diffuser, `numpy.corrcoef` of the flattened pictures.

    Args:
        stimuli: B x 3 x H x W (or B x anything), values 0..1.
        reconstructions: of the same shape.

    Returns:
        B numbers, float64, -1..1; NaN where one of the two pictures is flat, since correlation is not defined there.
    """
    a = stimuli.reshape(len(stimuli), -1).astype(np.float64)
    b = reconstructions.reshape(len(reconstructions), -1).astype(np.float64)
    flat = is_flat(a.min(axis=1), a.max(axis=1)) | is_flat(b.min(axis=1), b.max(axis=1))
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    product = np.einsum("bd,bd->b", a, b)
    length = np.sqrt(np.einsum("bd,bd->b", a, a) * np.einsum("bd,bd->b", b, b))
    return np.where(flat, np.nan, product / np.where(flat, 1.0, length))


def is_flat(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether values from ``low`` to ``high`` are all the same, but for what rounding in float32 leaves of them."""
    return high - low <= 1e-6 * np.maximum(np.abs(low), np.abs(high))
