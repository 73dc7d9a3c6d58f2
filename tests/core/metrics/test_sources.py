"""Pictures from arrays, and presets' resizes against torchvision and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bdk.errors import DataError, UnknownNameError
from bdk.metrics.presets import BRAIN_DIFFUSER, MINDEYE, preset_named
from bdk.metrics.resize import first_steps, resize
from bdk.metrics.sources import ArrayPictures, IndexedPictures, as_candidates, as_pictures
from PIL import Image
from torchvision.transforms.functional import InterpolationMode
from torchvision.transforms.functional import resize as torchvision_resize


def test_bytes_and_floats_of_one_picture_are_the_same(stimuli):
    pixels = (stimuli * 255).round().byte()
    channels_last = pixels.permute(0, 2, 3, 1).numpy()
    one, two = as_pictures(pixels).picture(3), as_pictures(channels_last).picture(3)
    assert torch.equal(one, two)
    assert torch.equal(one, as_pictures(pixels.float() / 255).picture(3))


def test_objects_with_items_are_pictures(stimuli):
    items = list((stimuli * 255).round().byte().permute(0, 2, 3, 1).numpy())
    pictures = IndexedPictures(items, rows=(2, 0))
    assert len(pictures) == 2
    assert torch.equal(pictures.picture(0), as_pictures(np.stack(items)).picture(2))


def test_five_axes_are_candidates(stimuli):
    pictures, candidates = as_candidates(torch.stack([stimuli, 1 - stimuli], dim=1))
    assert candidates == 2 and len(pictures) == 16
    assert torch.allclose(pictures.picture(5), 1 - stimuli[2])


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda x: x * 255, "0..255"),
        (lambda x: x * 2 - 1, "-1..1"),
        (lambda x: torch.where(x > 0.5, torch.nan, x), "NaN"),
        (lambda x: (x * 255).to(torch.int32), "int32"),
    ],
)
def test_pictures_of_unknown_scale_are_refused_with_the_reason(stimuli, spoil, word):
    with pytest.raises(DataError) as raised:
        as_pictures(spoil(stimuli)).picture(1)
    assert word in str(raised.value)


def test_a_slight_overshoot_is_clamped(stimuli):
    assert as_pictures(stimuli * 1.1).picture(0).max() == 1.0


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (0, 3, 8, 8), (3,)])
def test_arrays_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match="shape"):
        ArrayPictures(np.zeros(shape, dtype=np.uint8))


def test_fingerprints_follow_the_contents(stimuli):
    changed = stimuli.clone()
    changed[0, 0, 0, 0] = 0.123
    assert as_pictures(stimuli).fingerprint() == as_pictures(stimuli.clone()).fingerprint()
    assert as_pictures(stimuli).fingerprint() != as_pictures(changed).fingerprint()


def test_bilinear_is_torchvisions_without_antialiasing(stimuli):
    expected = torchvision_resize(stimuli, [24, 24], InterpolationMode.BILINEAR, antialias=False)
    smoothed = torchvision_resize(stimuli, [24, 24], InterpolationMode.BILINEAR, antialias=True)
    assert torch.allclose(resize(stimuli, 24, "bilinear"), expected, atol=1e-6)
    assert torch.allclose(resize(stimuli, 24, "bilinear-antialias"), smoothed, atol=1e-6)
    assert not torch.allclose(expected, smoothed, atol=1e-3)


@pytest.mark.parametrize(("how", "filter_"), [("pil-bilinear", "BILINEAR"), ("pil-bicubic", "BICUBIC")])
def test_pillow_filters_are_pillows(stimuli, how, filter_):
    pixels = (stimuli[0] * 255).round().byte().permute(1, 2, 0).numpy()
    expected = np.asarray(Image.fromarray(pixels).resize((24, 24), Image.Resampling[filter_]))
    ours = (resize(stimuli[:1], 24, how)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(ours, expected)


def test_mindeye_goes_by_way_of_256_and_brain_diffuser_by_way_of_eight_bits(stimuli):
    assert first_steps(stimuli, MINDEYE).shape[-1] == 256
    eight = first_steps(stimuli, BRAIN_DIFFUSER)
    assert eight.shape[-1] == 64 and torch.equal((eight * 255).round() / 255, eight)


def test_presets_differ_in_what_the_field_confuses():
    assert (MINDEYE.ssim, BRAIN_DIFFUSER.ssim) == ("2d", "columns")
    assert (MINDEYE.networks["eff"], BRAIN_DIFFUSER.networks["eff"]) == ("efficientnet-b1-v2", "efficientnet-b1-v1")


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="mind-eye") as raised:
        preset_named("mind-eye")
    assert "mindeye, brain-diffuser" in str(raised.value)
