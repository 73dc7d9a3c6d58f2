"""The two numbers that the field calls SSIM.

All published code shares one call, ``structural_similarity(grey, grey, multichannel=True, ...)``. scikit-image up to
0.17 took the columns of the grey picture for channels and averaged one-dimensional SSIMs; from 0.20 on the keyword
is swallowed without a word and the usual two-dimensional SSIM comes out. Same code, same pictures, two numbers.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from bdk.metrics.presets import SsimVariant

LUMA = np.array([0.2125, 0.7154, 0.0721])
"""Weights of red, green and blue in scikit-image's ``rgb2gray`` (ITU-R BT.709)."""
SIGMA, TRUNCATE, BORDER = 1.5, 3.5, 5
"""Width of the Gaussian window in pixels, its cut in widths, and the border that is left out of the mean."""
C1, C2 = 0.01**2, 0.03**2
"""Stabilisers for a data range of 1 (Wang et al. 2004, K1 = .01 and K2 = .03)."""


def grey(images: np.ndarray) -> np.ndarray:
    """Luma of B x 3 x H x W pictures, float64 B x H x W."""
    return np.einsum("bchw,c->bhw", images.astype(np.float64), LUMA)


def ssim(stimuli: np.ndarray, reconstructions: np.ndarray, variant: SsimVariant = "2d") -> np.ndarray:
    """Structural similarity of each stimulus and its reconstruction.

    Source: Wang et al. 2004 with a Gaussian window, population covariances and a data range of 1, as scikit-image
    computes it. ``2d``: a two-dimensional window; ``columns``: every column is a signal of its own, windowed along
    its length.

    Args:
        stimuli: B x 3 x H x W, values 0..1, H and W above 10.
        reconstructions: of the same shape.
        variant: which of the two.

    Returns:
        B numbers, float64, -1..1.

    Raises:
        ValueError: if the pictures are smaller than the window.
    """
    if min(stimuli.shape[-2:]) < 2 * BORDER + 1:
        raise ValueError(f"SSIM needs pictures of at least {2 * BORDER + 1} x {2 * BORDER + 1} pixels")
    return np.array([_ssim_of_pair(a, b, variant) for a, b in zip(grey(stimuli), grey(reconstructions), strict=True)])


def _ssim_of_pair(x: np.ndarray, y: np.ndarray, variant: SsimVariant) -> float:
    axes = (0, 1) if variant == "2d" else (0,)
    mean_x, mean_y = _window(x, axes), _window(y, axes)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    # only the sum of the two variances enters, so one window serves both
    variances = _window(x * x + y * y, axes) - squares
    covariance = _window(x * y, axes) - product
    likeness = (2 * product + C1) * (2 * covariance + C2)
    likeness /= (squares + C1) * (variances + C2)
    return float(likeness.mean())


def _window(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Gaussian mean around every pixel, without the border, along the given axes."""
    for axis in axes:
        values = gaussian_filter1d(values, SIGMA, axis=axis, truncate=TRUNCATE, mode="reflect")
        values = values[BORDER:-BORDER] if axis == 0 else values[:, BORDER:-BORDER]
    return values
