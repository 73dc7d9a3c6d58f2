"""Noise ceilings against simulations whose ceiling is known."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.errors import DataError
from bdk.metrics.score import Score
from bdk.noise_ceiling import (
    attainable_correlation,
    attainable_retrieval,
    ncsnr,
    noise_ceiling,
    normalised,
    report,
    variance_split,
)


def simulated(n: int = 400, repeats: int = 3, voxels: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Betas (stimuli x repeats x V) and the true ratio of signal to noise of every voxel."""
    generator = np.random.default_rng(seed)
    ratio = generator.lognormal(np.log(0.36), 0.6, voxels)
    scale = generator.uniform(0.5, 20, voxels)  # betas need not be z-scored
    signal = generator.normal(size=(n, 1, voxels)) * ratio
    return (signal + generator.normal(size=(n, repeats, voxels))) * scale + 7 * scale, ratio


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_the_ceiling_of_a_simulated_brain_is_recovered_within_five_percent(repeats):
    betas, ratio = simulated(n=1500, voxels=200)
    truth = ratio**2 / (ratio**2 + 1 / repeats)
    found = noise_ceiling(ncsnr(betas), repeats)
    assert found.mean() == pytest.approx(truth.mean(), rel=0.05)
    assert np.median(np.abs(found - truth)) < 0.02
    assert np.corrcoef(found, truth)[0, 1] > 0.97


def test_the_ceiling_is_the_correlation_that_the_true_signal_reaches():
    generator = np.random.default_rng(1)
    signal = generator.normal(size=(3000, 1, 20))
    betas = signal + 1.5 * generator.normal(size=(3000, 3, 20))
    reached = [np.corrcoef(signal[:, 0, v], betas[:, :, v].mean(1))[0, 1] ** 2 for v in range(20)]
    assert noise_ceiling(ncsnr(betas), 3).mean() == pytest.approx(np.mean(reached), rel=0.05)


def test_on_z_scored_betas_it_is_the_published_formula():
    betas, _ = simulated(n=2000, voxels=50)
    flat = betas.reshape(-1, 50)
    z = ((flat - flat.mean(0)) / flat.std(0)).reshape(betas.shape)
    noise = z.var(axis=1, ddof=1).mean(axis=0)
    published = np.sqrt(np.maximum(0, 1 - noise) / noise)
    assert ncsnr(z) == pytest.approx(published, abs=0.02)


def test_trials_in_any_order_and_of_any_number_give_the_same():
    betas, _ = simulated(n=60, voxels=10)
    labels = np.repeat([f"s{i}" for i in range(60)], 3)
    order = np.random.default_rng(0).permutation(180)
    shuffled = ncsnr(betas.reshape(180, 10)[order], labels[order])
    assert shuffled == pytest.approx(ncsnr(betas))
    some = np.delete(np.arange(180), [0, 5, 7])
    assert ncsnr(betas.reshape(180, 10)[some], labels[some]) == pytest.approx(ncsnr(betas), rel=0.2, abs=0.1)


def test_noise_alone_has_a_ceiling_near_zero():
    betas = np.random.default_rng(2).normal(size=(500, 3, 100))
    assert noise_ceiling(ncsnr(betas), 3).mean() < 0.05


def test_identical_repeats_have_a_ceiling_of_one():
    betas = np.repeat(np.random.default_rng(3).normal(size=(20, 1, 4)), 3, axis=1)
    assert (ncsnr(betas) > 1e6).all()
    assert noise_ceiling(ncsnr(betas), 1) == pytest.approx(1.0)


def test_single_repeats_are_refused_with_the_reason():
    with pytest.raises(DataError, match="shown once") as raised:
        ncsnr(np.zeros((10, 4)), np.arange(10))
    assert "two or more times" in raised.value.mend
    with pytest.raises(DataError, match="shown once"):
        attainable_correlation(np.zeros((10, 1, 4)))
    assert "shown once" in report(np.zeros((10, 1, 4)), None, 1)["missing"]


def test_labels_and_betas_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="stimulus labels"):
        variance_split(np.zeros((10, 4)), np.arange(9))
    with pytest.raises(DataError, match="stimuli x repeats x V"):
        variance_split(np.zeros((10, 4)))


def test_the_attainable_correlation_of_decoded_features_is_recovered():
    generator = np.random.default_rng(4)
    truth = generator.normal(size=(1500, 1, 30))
    estimates = truth + generator.normal(size=(1500, 3, 30)) * np.linspace(0.5, 3, 30)
    reached = [np.corrcoef(truth[:, 0, p], estimates[:, :, p].mean(1))[0, 1] for p in range(30)]
    assert attainable_correlation(estimates) == pytest.approx(reached, abs=0.08)
    assert attainable_correlation(estimates).mean() == pytest.approx(np.mean(reached), rel=0.02)


def test_the_attainable_retrieval_is_recovered_where_estimates_are_fairly_reliable():
    """A low-dimensional signal, so that noise alone keeps retrieval well below 1."""
    generator = np.random.default_rng(5)
    axes = generator.normal(size=(8, 64)) * (np.arange(1, 9) ** -0.7)[:, None]
    spread = np.sqrt((axes**2).sum() / 64 * 0.7)

    def noise(*shape: int) -> np.ndarray:
        return generator.normal(size=(*shape, 8)) @ axes * 1.5 + 0.3 * spread * generator.normal(size=(*shape, 64))

    clean = generator.normal(size=(400, 8)) @ axes
    estimates = clean[:, None] + noise(400, 3)
    hits = []
    for _ in range(60):
        target = generator.normal(size=(100, 8)) @ axes
        query = target + noise(100, 3).mean(1)
        unit = target / np.linalg.norm(target, axis=1, keepdims=True)
        hits.append(((query @ unit.T).argmax(1) == np.arange(100)).mean())
    found = attainable_retrieval(estimates, pool=100)
    assert 0.2 < np.mean(hits) < 0.8
    assert found == pytest.approx(np.mean(hits), rel=0.05)


def test_repeats_without_signal_have_no_attainable_retrieval():
    estimates = np.random.default_rng(9).normal(size=(40, 3, 10))
    estimates -= estimates.mean(axis=1, keepdims=True)  # repeats that differ more than stimuli do
    with pytest.raises(DataError, match="no signal"):
        attainable_retrieval(estimates)


def test_a_normalised_score_says_its_share_of_the_attainable():
    score = normalised(Score(0.6, chance=0.1, name="image_retrieval"), 0.85, reason="3 repeats")
    assert score.to_json()["of_attainable"] == pytest.approx(0.5 / 0.75)
    assert score.to_json()["ceiling"] == 0.85 and score.to_json()["value"] == 0.6
    distance = normalised(Score(0.7, chance=1.0, direction="down", name="eff"), 0.4)
    assert distance.details["of_attainable"] == pytest.approx(0.5)


def test_a_ceiling_at_chance_normalises_nothing():
    with pytest.raises(DataError, match="not beyond its chance level"):
        normalised(Score(0.6, chance=0.5, name="clip"), 0.5)


def test_the_report_names_its_unit():
    betas, _ = simulated(n=50, voxels=20)
    facts = report(betas, None, 3)
    assert facts["unit"].startswith("share of variance") and facts["voxels"] == 20
    assert facts["ceiling_p10"] <= facts["ceiling_median"] <= facts["ceiling_p90"]
