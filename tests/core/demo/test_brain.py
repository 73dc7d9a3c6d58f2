"""The simulated brain: seeded, noisy as NSD is, and blind to the tiny CLIP."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from bdk.demo.brain import AREAS, VOXELS, simulate
from bdk.demo.dataset import render_all
from bdk.demo.stimuli import stimuli
from bdk.demo.vision import GRID, MAPS, attribute_vectors, feature_maps

SCENES = stimuli(60, 20)
IMAGES = render_all(SCENES)


def _by_repeat(simulated, stimuli_shown: int) -> np.ndarray:
    ordered = np.empty((simulated.trial_repeat.max() + 1, stimuli_shown, simulated.betas.shape[1]), np.float32)
    ordered[simulated.trial_repeat, simulated.trial_stimulus] = simulated.betas
    return ordered


def test_subjects_have_a_tenth_of_nsds_voxels_and_every_voxel_one_area():
    for subject, voxels in VOXELS.items():
        simulated = simulate(subject, IMAGES[:8], SCENES[:8], repeats=1)
        assert simulated.betas.shape == (8, voxels)
        assert simulated.betas.dtype == np.float32
        assert (np.sum(list(simulated.rois.values()), axis=0) == 1).all()
        assert set(simulated.rois) == set(AREAS)


def test_every_stimulus_is_shown_once_per_repeat():
    simulated = simulate("subj01", IMAGES, SCENES, voxels=50)
    pairs = set(zip(simulated.trial_stimulus.tolist(), simulated.trial_repeat.tolist(), strict=True))
    assert len(pairs) == len(simulated.betas) == 3 * len(SCENES)


def test_betas_are_seeded():
    first, again, other = (simulate("subj01", IMAGES, SCENES, voxels=50, seed=seed).betas for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_train_and_test_may_be_simulated_apart():
    # Without noise, a stimulus's response does not depend on what else is shown.
    whole = _by_repeat(simulate("subj01", IMAGES, SCENES, 1, snr_scale=1e6, voxels=50), len(SCENES))[0]
    part = _by_repeat(simulate("subj01", IMAGES[60:], SCENES[60:], 1, snr_scale=1e6, voxels=50), 20)[0]
    gaps = whole[60:] - part
    assert np.abs(gaps - gaps.mean(0)).max() < 1e-3


def test_parts_that_show_different_things_have_different_noise():
    first = simulate("subj01", IMAGES[:20], SCENES[:20], 1, snr_scale=1e-4, voxels=50).betas
    second = simulate("subj01", IMAGES[20:40], SCENES[20:40], 1, snr_scale=1e-4, voxels=50).betas
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2


def test_the_ncsnr_is_the_one_that_the_repeats_show():
    scenes = stimuli(300, 0)
    simulated = simulate("subj01", render_all(scenes), scenes, voxels=200)
    ordered = _by_repeat(simulated, 300)
    noise = ordered.var(axis=0, ddof=1).mean(0)
    signal = np.clip(ordered.mean(0).var(axis=0, ddof=1) - noise / 3, 0, None)
    estimate, truth = np.sqrt(signal / noise), simulated.ncsnr
    assert np.corrcoef(estimate, truth)[0, 1] > 0.9
    assert abs(np.median(estimate) - np.median(truth)) < 0.08


def test_a_grating_excites_the_filter_of_its_orientation_most():
    wave = np.sin(2 * np.pi * 6 * np.arange(64) / 64) * 100 + 128
    upright = np.repeat(np.tile(wave, (64, 1))[..., None], 3, axis=-1).astype(np.uint8)
    maps = feature_maps(np.stack([upright, upright.transpose(1, 0, 2)])).mean(-1)
    assert maps.shape == (2, MAPS)
    assert maps[0, :6].argmax() == 0
    assert maps[1, :6].argmax() == 3


def test_features_have_the_promised_shapes():
    assert feature_maps(IMAGES[:3]).shape == (3, MAPS, GRID * GRID)
    assert attribute_vectors(SCENES[:3]).sum(axis=1).min() >= 5


def test_the_brain_never_loads_a_network():
    code = "import sys, bdk.demo.brain; sys.exit(any(name in sys.modules for name in ('torch', 'bdk.demo.clip')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_subject_and_missing_scenes_are_refused():
    with pytest.raises(ValueError, match="Known: subj01"):
        simulate("subj03", IMAGES, SCENES)
    with pytest.raises(ValueError, match="one scene per picture"):
        simulate("subj01", IMAGES, SCENES[:-1])
