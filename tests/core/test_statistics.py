"""Intervals and tests: calibrated under the null, awake to planted effects."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.metrics.identification import correlation_distance, two_way
from bdk.metrics.retrieval import retrieve
from bdk.statistics import (
    adjust,
    assignment_test,
    bootstrap_interval,
    bootstrap_pairs,
    paired_test,
    variance_parts,
)
from scipy import stats

NULL_DRAWS, PERMUTATIONS = 400, 199


def null_pair(seed: int, n: int = 100, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Features of stimuli and of reconstructions that know nothing of them, with hubs on both sides."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=width)
    sides = (generator.normal(size=(n, width)) + generator.normal(size=(n, 1)) * shared for _ in range(2))
    return tuple(sides)


def binomial_p(value: float, n: int) -> float:
    """The p-value of Brain-Diffuser's evaluation script: a binomial over all comparisons."""
    total = n * (n - 1)
    return float(1 - stats.binom.cdf(value * total, total, 0.5))


def test_the_two_way_test_is_calibrated_and_a_binomial_over_comparisons_is_not():
    ours, binomial = [], []
    for seed in range(NULL_DRAWS):
        measured = two_way(*null_pair(seed))
        ours.append(assignment_test(measured.fit, permutations=PERMUTATIONS, seed=seed).p_value)
        binomial.append(binomial_p(measured.value, 100))
    assert 0.03 <= np.mean(np.array(ours) <= 0.05) <= 0.07
    assert np.mean(np.array(binomial) <= 0.05) > 0.2


@pytest.mark.parametrize("finds", ["image", "brain"])
def test_the_retrieval_test_is_calibrated(finds):
    p_values = []
    for seed in range(NULL_DRAWS):
        measured = retrieve(*null_pair(seed, n=60), finds, pool=30, draws=None, seed=seed)
        p_values.append(assignment_test(measured.fit, permutations=PERMUTATIONS, seed=seed).p_value)
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_the_distance_test_is_calibrated():
    p_values = []
    for seed in range(NULL_DRAWS):
        fit = correlation_distance(*null_pair(seed, n=60)).fit
        test = assignment_test(fit, permutations=PERMUTATIONS, seed=seed, larger_is_better=False)
        p_values.append(test.p_value)
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_a_planted_effect_is_found():
    found = []
    for seed in range(20):
        stimuli, noise = null_pair(seed)
        found.append(assignment_test(two_way(stimuli, noise + 0.6 * stimuli).fit, seed=seed).p_value)
    assert np.mean(np.array(found) < 0.01) == 1.0


def test_a_permutation_p_value_is_never_zero_and_never_above_one():
    fit = np.eye(6)
    assert assignment_test(fit, permutations=99).p_value >= 1 / 100
    assert assignment_test(np.zeros((6, 6)), permutations=99).p_value == 1.0


def test_the_assignment_test_agrees_with_all_assignments_of_a_small_table():
    import itertools

    fit = np.random.default_rng(1).random((6, 6))
    means = [fit[list(order), range(6)].mean() for order in itertools.permutations(range(6))]
    exact = np.mean(np.array(means) >= fit.diagonal().mean() - 1e-12)
    assert assignment_test(fit, permutations=20_000).p_value == pytest.approx(exact, abs=0.01)


def test_the_paired_test_is_calibrated():
    p_values = []
    for seed in range(NULL_DRAWS):
        generator = np.random.default_rng(seed)
        stimulus = generator.exponential(size=40)
        a, b = (stimulus + generator.exponential(size=40) for _ in range(2))
        p_values.append(paired_test(a, b, permutations=PERMUTATIONS, draws=10, seed=seed).p_value)
    assert 0.03 <= np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_a_paired_difference_is_found_where_stimuli_differ_more_than_variants():
    generator = np.random.default_rng(0)
    stimulus = generator.normal(size=100) * 5
    a, b = stimulus + 0.3 + 0.5 * generator.normal(size=100), stimulus + 0.5 * generator.normal(size=100)
    result = paired_test(a, b)
    assert result.p_value < 0.01 and result.low > 0
    assert result.difference == pytest.approx((a - b).mean())
    assert stats.ttest_ind(a, b).pvalue > 0.3  # the unpaired test would miss it


def test_equal_variants_have_no_difference():
    same = np.arange(5.0)
    assert paired_test(same, same).p_value == 1.0


def test_pairs_of_different_length_are_refused():
    with pytest.raises(ValueError, match="same stimuli"):
        paired_test(np.ones(3), np.ones(4))


def test_bootstrap_intervals_cover_the_mean_as_often_as_they_say():
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(size=80)
        interval = bootstrap_interval(values, draws=500, seed=seed)
        covered += interval.low <= 1.0 <= interval.high
    assert 0.90 <= covered / 200 <= 0.98


def test_the_interval_of_two_way_covers_the_value_of_other_test_sets():
    """Stimuli and distractors are drawn anew for each test set; the truth is the mean over many of them."""

    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        stimuli, noise = null_pair(seed, n=40)
        return stimuli, noise + 0.3 * stimuli

    truth = np.mean([two_way(*draw(seed)).value for seed in range(1000, 1300)])
    covered = 0
    for seed in range(200):
        interval = bootstrap_pairs(two_way(*draw(seed)).success, draws=400, seed=seed)
        covered += interval.low <= truth <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_pair_bootstrap_is_that_of_explicit_resampling():
    success = np.random.default_rng(0).random((12, 12)) < 0.7
    np.fill_diagonal(success, False)
    slow = []
    weights = np.random.default_rng(5).multinomial(12, np.full(12, 1 / 12), size=300)
    for counts in weights:
        drawn = np.repeat(np.arange(12), counts)
        pairs = [success[i, j] for i in drawn for j in drawn if i != j]
        slow.append(np.mean(pairs))
    interval = bootstrap_pairs(success, draws=300, seed=5)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(slow, [0.025, 0.975]))


def test_intervals_of_too_few_stimuli_are_not_numbers():
    assert np.isnan(bootstrap_interval(np.array([0.5])).low)
    assert np.isnan(bootstrap_pairs(np.zeros((2, 2))).low)


def test_the_interval_of_equal_numbers_is_that_number():
    interval = bootstrap_interval(np.full(9, 0.25))
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_holm_is_the_stepwise_definition():
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjust(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_false_discovery_control_is_scipys():
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjust(p, "bh") == pytest.approx(stats.false_discovery_control(p, method="bh"))


def test_adjusted_tables_keep_their_names_and_never_exceed_one():
    adjusted = adjust({"a": 0.4, "b": 0.6, "c": 0.9})
    assert set(adjusted) == {"a", "b", "c"} and max(adjusted.values()) == 1.0
    assert adjust([]) == []


def test_an_unknown_adjustment_and_impossible_p_values_are_refused():
    with pytest.raises(ValueError, match="holm"):
        adjust([0.1], "sidak")
    with pytest.raises(ValueError, match=r"0\.\.1"):
        adjust([1.5])


def test_holm_keeps_the_family_wise_error():
    wrong = 0
    for seed in range(500):
        p = np.random.default_rng(seed).random(6)
        wrong += min(adjust(list(p))) <= 0.05
    assert wrong / 500 <= 0.08


def test_variance_parts_recover_planted_components():
    planted = {"seed": 0.5, "sample": 0.2, "stimulus": 1.0, "residual": 0.3}
    found = []
    for draw in range(30):
        generator = np.random.default_rng(draw)
        seeds, samples, stimuli = 12, 6, 60
        values = (
            planted["seed"] ** 0.5 * generator.normal(size=(seeds, 1, 1))
            + planted["sample"] ** 0.5 * generator.normal(size=(seeds, samples, 1))
            + planted["stimulus"] ** 0.5 * generator.normal(size=(1, 1, stimuli))
            + planted["residual"] ** 0.5 * generator.normal(size=(seeds, samples, stimuli))
        )
        parts = variance_parts(values)
        found.append([parts.seed, parts.sample, parts.stimulus, parts.residual])
    assert np.mean(found, axis=0) == pytest.approx(list(planted.values()), rel=0.15)


def test_variance_of_one_seed_or_one_sample_is_not_claimed():
    values = np.random.default_rng(0).normal(size=(1, 1, 20))
    parts = variance_parts(values)
    assert np.isnan(parts.seed) and np.isnan(parts.sample) and parts.stimulus > 0


def test_variance_parts_want_three_axes():
    with pytest.raises(ValueError, match="seeds x samples x stimuli"):
        variance_parts(np.zeros((3, 4)))
