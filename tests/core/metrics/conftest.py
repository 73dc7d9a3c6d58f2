"""Pictures for the metric tests: smooth random fields, so that correlations and structure mean something."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter


def smooth_pictures(n: int, size: int, seed: int) -> torch.Tensor:
    """N pictures of smooth colour, float 0..1."""
    noise = np.random.default_rng(seed).random((n, 3, size, size))
    smooth = gaussian_filter(noise, (0, 0, size / 16, size / 16))
    low = smooth.min(axis=(1, 2, 3), keepdims=True)
    high = smooth.max(axis=(1, 2, 3), keepdims=True)
    return torch.from_numpy(((smooth - low) / (high - low)).astype(np.float32))


@pytest.fixture(scope="session")
def stimuli() -> torch.Tensor:
    return smooth_pictures(8, 64, 0)


@pytest.fixture(scope="session")
def reconstructions(stimuli: torch.Tensor) -> torch.Tensor:
    return (0.6 * stimuli + 0.4 * smooth_pictures(8, 64, 1)).clamp(0, 1)
