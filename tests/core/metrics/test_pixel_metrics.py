"""PixCorr and both SSIMs against numpy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.metrics.pixcorr import pixcorr
from bdk.metrics.ssim import grey, ssim
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

OPTIONS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}


def skimage_grey(images) -> np.ndarray:
    return rgb2gray(images.double().permute(0, 2, 3, 1).numpy())


def test_pixcorr_is_numpys_correlation_of_flattened_pictures(stimuli, reconstructions):
    expected = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(stimuli, reconstructions, strict=True)]
    assert np.abs(pixcorr(stimuli.numpy(), reconstructions.numpy()) - expected).max() < 1e-6


def test_pixcorr_of_a_flat_picture_is_not_a_number(stimuli):
    flat = np.full_like(stimuli.numpy(), 0.1)
    assert np.isnan(pixcorr(stimuli.numpy(), flat)).all()


def test_two_dimensional_ssim_is_scikit_images(stimuli, reconstructions):
    pairs = zip(skimage_grey(stimuli), skimage_grey(reconstructions), strict=True)
    expected = [structural_similarity(a, b, **OPTIONS) for a, b in pairs]
    assert np.abs(ssim(stimuli.numpy(), reconstructions.numpy(), "2d") - expected).max() < 1e-6


def test_columns_ssim_is_the_mean_of_one_dimensional_ssims_of_columns(stimuli, reconstructions):
    expected = [
        np.mean([structural_similarity(a[:, c], b[:, c], **OPTIONS) for c in range(a.shape[1])])
        for a, b in zip(skimage_grey(stimuli), skimage_grey(reconstructions), strict=True)
    ]
    assert np.abs(ssim(stimuli.numpy(), reconstructions.numpy(), "columns") - expected).max() < 1e-6


def test_the_two_ssims_are_different_numbers(stimuli, reconstructions):
    two, columns = (ssim(stimuli.numpy(), reconstructions.numpy(), v).mean() for v in ("2d", "columns"))
    assert abs(two - columns) > 0.01


def test_ssim_of_a_picture_with_itself_is_one(stimuli):
    assert np.allclose(ssim(stimuli.numpy(), stimuli.numpy(), "2d"), 1.0)


def test_ssim_refuses_pictures_smaller_than_its_window(stimuli):
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(stimuli[..., :10, :10].numpy(), stimuli[..., :10, :10].numpy())


def test_grey_is_scikit_images_rgb2gray(stimuli):
    assert np.abs(grey(stimuli.numpy()) - skimage_grey(stimuli)).max() < 1e-12
