"""Correlation of decoded features, its interval, its test and its share of the attainable."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.metrics.decoded_features import BLOCK, attainable_features, correlate, feature_score, features_read
from bdk.statistics import assignment_test, bootstrap_interval


def decoded(n: int = 80, width: int = 30, noise: float = 1.5, seed: int = 0, repeats: int = 3):
    """Estimates from each showing, N x repeats x P, and the truth, N x P."""
    generator = np.random.default_rng(seed)
    axes = generator.normal(size=(6, width))  # features depend on each other, as a picture's do
    truth = generator.normal(size=(n, 6)) @ axes + 3
    return truth[:, None] + noise * generator.normal(size=(n, repeats, width)) * 2.0, truth


@pytest.mark.parametrize("width", [30, BLOCK + 20])
def test_the_score_is_the_mean_of_numpys_correlations_over_stimuli(width):
    shown, truth = decoded(n=12, width=width)
    estimates = shown.mean(axis=1)
    expected = np.mean([np.corrcoef(estimates[:, p], truth[:, p])[0, 1] for p in range(width)])
    score = feature_score(estimates, truth, permutations=9)
    assert score.value == pytest.approx(expected, abs=1e-9)
    assert score.per_stimulus.mean() == pytest.approx(score.value)


def test_the_table_says_what_a_reassignment_would_score():
    shown, truth = decoded(n=12)
    measured, _ = correlate(shown.mean(axis=1), truth)
    order = np.random.default_rng(1).permutation(12)
    moved, _ = correlate(shown.mean(axis=1), truth[order])
    assert measured.fit[order, np.arange(12)].mean() == pytest.approx(moved.value)


def test_features_that_never_vary_are_left_out_and_counted():
    shown, truth = decoded(n=12)
    padded = [np.concatenate([side, np.full((12, 2), 0.5)], axis=1) for side in (shown.mean(axis=1), truth)]
    score = feature_score(*padded, permutations=9)
    assert score.value == pytest.approx(feature_score(shown.mean(axis=1), truth, permutations=9).value)
    assert score.note == "2 of 32 features do not vary and are left out"
    flat = features_read(np.ones((12, 4)), np.ones((12, 4)), None)
    assert flat.value is None and "no feature varies" in flat.missing


def test_the_interval_covers_the_value_of_other_test_sets():
    def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        truth = generator.normal(size=(60, 6)) @ axes
        return truth + 6 * generator.normal(size=truth.shape), truth

    axes = np.random.default_rng(0).normal(size=(6, 30))
    goal = np.mean([correlate(*pair(seed))[0].value for seed in range(1000, 1200)])
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(correlate(*pair(seed))[1], draws=400, seed=seed)
        covered += interval.low <= goal <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_test_is_calibrated_under_the_null():
    p_values = []
    for seed in range(400):
        _, truth = decoded(n=40, seed=seed)
        estimates, _ = decoded(n=40, seed=seed + 5000)
        fit = correlate(estimates.mean(axis=1), truth)[0].fit
        p_values.append(assignment_test(fit, permutations=199, seed=seed).p_value)
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_an_unbiased_reading_of_a_simulated_brain_reaches_its_ceiling_within_five_percent():
    shown, truth = decoded(n=600, width=60, noise=1.5)
    score = features_read(shown.mean(axis=1), truth, shown)
    assert 0.3 < score.value < 0.95
    assert score.details["ceiling"] == pytest.approx(score.value, rel=0.05)
    assert score.details["of_attainable"] == pytest.approx(1.0, abs=0.05)


def test_a_reading_that_loses_half_of_the_signal_has_a_share_below_one():
    shown, truth = decoded(n=600, width=60, noise=0.5)
    other = np.random.default_rng(9).normal(size=truth.shape) * truth.std()
    score = features_read(shown.mean(axis=1) + other, truth, shown + other[:, None])
    assert score.details["of_attainable"] < 0.85  # reliable, and reliably wrong


def test_single_showings_have_a_score_and_the_reason_for_no_ceiling():
    shown, truth = decoded()
    score = features_read(shown[:, 0], truth, None)
    assert score.value is not None and "shown once" in score.details["ceiling_missing"]
    assert "shown once" in features_read(shown[:, 0], truth, shown[:, :1]).details["ceiling_missing"]


def test_features_flat_in_the_truth_do_not_lower_the_ceiling():
    shown, truth = decoded()
    wide = np.concatenate([truth, np.zeros((len(truth), 5))], axis=1)
    more = np.concatenate([shown, np.random.default_rng(2).normal(size=(*shown.shape[:2], 5))], axis=2)
    assert attainable_features(more, wide) == pytest.approx(attainable_features(shown, truth))


def test_noise_alone_is_given_no_ceiling_though_its_cut_off_reliability_is_above_zero():
    noise = np.random.default_rng(3).normal(size=(60, 3, 40))
    truth = np.random.default_rng(4).normal(size=(60, 40))
    assert attainable_features(noise, truth) > 0.1
    score = features_read(noise.mean(axis=1), truth, noise)
    assert "no signal" in score.details["ceiling_missing"] and "of_attainable" not in score.details
