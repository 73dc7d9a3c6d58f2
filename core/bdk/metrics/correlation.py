"""Correlation of every row of one matrix with every row of another, block by block.

``numpy.corrcoef`` stacks both matrices, casts them to float64 and forms a 2N x 2N product, of which three quarters
are thrown away. Here one N x M product is formed from blocks of features, so that the matrices may lie on disk.
"""

from __future__ import annotations

import numpy as np

from bdk.metrics.mapped import columns
from bdk.metrics.pixcorr import is_flat, pixcorr

BLOCK = 4096
"""Features that are in memory at a time, of both matrices."""
DOUBLE_BELOW = 16_384
"""Features up to which products are formed in float64; wider matrices use float32 blocks, summed in float64."""


def cross_correlation(a: np.ndarray, b: np.ndarray, *, block: int = BLOCK) -> np.ndarray:
    """Pearson correlation of each row of ``a`` with each row of ``b``.

    Each block is centred by its own row means before the product, and the means' share is added at the end (the
    pairwise update of Chan, Golub and LeVeque 1983), so one reading of the data is enough and nothing cancels.

    Args:
        a: N x d, array or memory map.
        b: M x d.
        block: features read at a time.

    Returns:
        N x M, float64, -1..1; NaN in the row or column of a flat (constant) vector.

    Raises:
        ValueError: if the widths differ.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"matrices {a.shape} and {b.shape} do not have the same number of features")
    if len(b) > 1 and b.strides[0] == 0:  # one row, as often as there are stimuli
        return np.repeat(cross_correlation(a, b[:1], block=block), len(b), axis=1)
    width = a.shape[1]
    dtype = np.float64 if width <= DOUBLE_BELOW else np.float32
    product = np.zeros((len(a), len(b)))
    rows = _RowSums(len(a)), _RowSums(len(b))
    for start in range(0, width, block):
        parts = [columns(m, start, start + block, dtype) for m in (a, b)]
        centred = [sums.take(part) for sums, part in zip(rows, parts, strict=True)]
        product += centred[0] @ centred[1].T
    mean_a, mean_b = rows[0].offsets(), rows[1].offsets()
    product += (mean_a * rows[0].counts) @ mean_b.T
    length = np.sqrt(np.outer(rows[0].squares(), rows[1].squares()))
    undefined = np.logical_or.outer(rows[0].is_flat, rows[1].is_flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(undefined, np.nan, np.clip(product / length, -1.0, 1.0))


def paired_correlation(a: np.ndarray, b: np.ndarray, *, rows_at_once: int = 64) -> np.ndarray:
    """Pearson correlation of row i of ``a`` with row i of ``b``, in float64.

    Args:
        a: N x d, array or memory map.
        b: N x d.
        rows_at_once: rows in memory at a time.

    Returns:
        N numbers; NaN where one of the two rows is flat.
    """
    steps = range(0, len(a), rows_at_once)
    return np.concatenate(
        [pixcorr(np.asarray(a[i : i + rows_at_once]), np.asarray(b[i : i + rows_at_once])) for i in steps]
    )


class _RowSums:
    """Running sums of the rows of a matrix that comes in blocks of columns."""

    def __init__(self, rows: int) -> None:
        self._means: list[np.ndarray] = []
        self._counts: list[int] = []
        self._inner = np.zeros(rows)
        self._low = np.full(rows, np.inf)
        self._high = np.full(rows, -np.inf)

    def take(self, part: np.ndarray) -> np.ndarray:
        """Note a block, and return it centred by its row means."""
        mean = part.mean(axis=1, dtype=np.float64)
        np.minimum(self._low, part.min(axis=1), out=self._low)
        np.maximum(self._high, part.max(axis=1), out=self._high)
        centred = part - mean[:, None].astype(part.dtype)
        self._inner += np.einsum("nd,nd->n", centred, centred)
        # the mean that was really taken off, after rounding to the block's precision
        self._means.append(mean.astype(part.dtype).astype(np.float64))
        self._counts.append(part.shape[1])
        return centred

    @property
    def counts(self) -> np.ndarray:
        """Columns of each block."""
        return np.array(self._counts, dtype=np.float64)

    def offsets(self) -> np.ndarray:
        """Block means less the whole mean, rows x blocks."""
        means = np.stack(self._means, axis=1)
        return means - (means @ self.counts)[:, None] / self.counts.sum()

    def squares(self) -> np.ndarray:
        """Sum of squares about the whole mean."""
        return self._inner + self.offsets() ** 2 @ self.counts

    @property
    def is_flat(self) -> np.ndarray:
        """Rows whose numbers are all equal."""
        return is_flat(self._low, self._high)
