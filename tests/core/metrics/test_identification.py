"""Two-way identification and correlation distance against the published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.metrics.correlation import DOUBLE_BELOW, cross_correlation, paired_correlation
from bdk.metrics.identification import correlation_distance, two_way, two_way_rates
from bdk.metrics.mapped import columns
from scipy.spatial.distance import correlation as scipy_distance


def published_two_way(stimuli: np.ndarray, reconstructions: np.ndarray) -> float:
    """Brain-Diffuser's and MindEye's formula."""
    n = len(stimuli)
    r = np.corrcoef(stimuli, reconstructions)[:n, n:]
    return float(np.mean(np.sum(r < np.diag(r), 0)) / (n - 1))


def features(n: int, width: int, seed: int, noise: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=width) + 5  # a large common mean, as rectified features have
    truth = generator.normal(size=(n, width)) + shared
    return truth.astype(np.float32), (truth + noise * generator.normal(size=truth.shape)).astype(np.float32)


@pytest.mark.parametrize("width", [40, 5000, DOUBLE_BELOW + 2500])
def test_cross_correlation_is_the_block_of_numpys_matrix(width):
    a, b = features(30, width, seed=width)
    expected = np.corrcoef(a, b)[:30, 30:]
    assert np.abs(cross_correlation(a, b) - expected).max() < 1e-6


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_cross_correlation_does_not_depend_on_the_block(block):
    a, b = features(12, 40, seed=1)
    assert np.allclose(cross_correlation(a, b, block=block), cross_correlation(a, b), atol=1e-12)


@pytest.mark.parametrize("candidate", [None, 1])
def test_cross_correlation_of_a_mapped_file_is_that_of_its_numbers(tmp_path, candidate):
    a, b = features(12, 9000, seed=3)
    stored = b if candidate is None else np.stack([-b, b], axis=1)
    np.save(tmp_path / "b.npy", stored)
    mapped = np.load(tmp_path / "b.npy", mmap_mode="r")
    mapped = mapped if candidate is None else mapped[:, candidate]
    assert np.array_equal(cross_correlation(a, mapped), cross_correlation(a, b))
    assert np.array_equal(mapped, b)  # and it can still be read


def test_columns_of_a_mapped_file_and_of_its_views_are_its_numbers(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(6, 3, 50)).astype(np.float32)
    np.save(tmp_path / "x.npy", numbers)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for view, expected in ((mapped[:, 1], numbers[:, 1]), (mapped.reshape(18, 50), numbers.reshape(18, 50))):
        assert np.array_equal(columns(view, 10, 30, np.float64), expected[:, 10:30])
        assert np.array_equal(columns(view, 40, 90, np.float32), expected[:, 40:])
    assert np.array_equal(columns(mapped[::2, 2, 5:], 1, 4, np.float32), numbers[::2, 2, 6:9])
    assert np.array_equal(columns(mapped[::-1, 0], 1, 4, np.float32), numbers[::-1, 0, 1:4])


def test_cross_correlation_of_one_row_repeated_is_that_of_the_row():
    a, b = features(12, 60, seed=4)
    repeated = np.broadcast_to(b[:1], (12, 60))
    assert np.allclose(cross_correlation(a, repeated), cross_correlation(a, np.array(repeated)), atol=1e-12)


def test_cross_correlation_survives_a_mean_a_million_times_the_spread():
    a, b = features(20, 3000, seed=2)
    expected = np.corrcoef(a.astype(np.float64), b.astype(np.float64))[:20, 20:]
    moved = cross_correlation(a.astype(np.float64) + 1e6, b.astype(np.float64) + 1e6)
    assert np.abs(moved - expected).max() < 1e-6


def test_cross_correlation_refuses_matrices_of_different_width():
    with pytest.raises(ValueError, match="same number of features"):
        cross_correlation(np.zeros((3, 4)), np.zeros((3, 5)))


@pytest.mark.parametrize("width", [16, 900, DOUBLE_BELOW + 100])
def test_two_way_is_the_published_formula(width):
    truth, made = features(40, width, seed=width, noise=width**0.5 / 2)
    measured = two_way(truth, made)
    assert 0.5 < measured.value < 1.0
    assert abs(measured.value - published_two_way(truth, made)) < 1e-5


def test_two_way_scores_reconstructions_among_stimuli_and_not_the_other_way():
    generator = np.random.default_rng(3)
    truth = generator.normal(size=(50, 30))
    hubs = truth * generator.uniform(0.1, 3, size=(50, 1)) + generator.normal(size=30) * 2
    made = hubs + generator.normal(size=truth.shape)
    turned = published_two_way(made, truth)
    assert abs(two_way(truth, made).value - turned) > 0.01
    assert abs(two_way(truth, made).value - published_two_way(truth, made)) < 1e-12


def test_the_same_reconstruction_for_every_stimulus_scores_exactly_one_half():
    truth, made = features(25, 200, seed=4)
    constant = np.repeat(made[:1], 25, axis=0)
    measured = two_way(truth, constant)
    assert measured.value == 0.5
    turned = cross_correlation(truth, constant).T
    assert two_way_rates(turned).mean() == 0.0  # the row-wise variant would give 0


def test_ties_lose():
    truth, made = features(6, 50, seed=5)
    truth[1] = truth[0]
    rates = two_way(truth, made).per_stimulus
    assert rates[0] <= 4 / 5 and rates[1] <= 4 / 5


def test_a_reconstruction_with_flat_features_loses_every_comparison_and_is_counted():
    truth, made = features(6, 50, seed=6)
    made[2] = 0.1
    measured = two_way(truth, made)
    assert measured.per_stimulus[2] == 0.0
    assert measured.note.startswith("1 reconstructions have flat features")
    with np.errstate(invalid="ignore", divide="ignore"):
        assert abs(measured.value - published_two_way(truth, made)) < 1e-12


def test_two_way_of_a_single_stimulus_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        two_way(np.ones((1, 4)), np.ones((1, 4)))


def test_candidates_are_scored_apart_and_averaged():
    truth, first = features(20, 60, seed=7, noise=5)
    _, second = features(20, 60, seed=8, noise=5)
    both = two_way(truth, np.stack([first, second], axis=1))
    assert both.value == pytest.approx((two_way(truth, first).value + two_way(truth, second).value) / 2)
    assert both.per_stimulus.mean() == pytest.approx(both.value)


def test_success_off_the_diagonal_averages_to_the_value():
    truth, made = features(20, 60, seed=9, noise=6)
    measured = two_way(truth, made)
    assert measured.success.sum() / (20 * 19) == pytest.approx(measured.value)
    assert not np.diag(measured.success).any()


@pytest.mark.parametrize("width", [64, DOUBLE_BELOW + 64])
def test_correlation_distance_is_scipys(width):
    truth, made = features(15, width, seed=10)
    expected = [scipy_distance(a.astype(float), b.astype(float)) for a, b in zip(truth, made, strict=True)]
    assert np.abs(correlation_distance(truth, made).per_stimulus - expected).max() < 1e-6


def test_chance_of_the_distance_is_the_mean_over_wrong_pairs():
    truth, made = features(9, 64, seed=11)
    wrong = [scipy_distance(truth[i], made[j]) for i in range(9) for j in range(9) if i != j]
    assert correlation_distance(truth, made).chance == pytest.approx(np.mean(wrong), abs=1e-6)


def test_paired_correlation_is_the_diagonal():
    a, b = features(9, 64, seed=12)
    assert np.allclose(paired_correlation(a, b, rows_at_once=4), np.diag(cross_correlation(a, b)))
