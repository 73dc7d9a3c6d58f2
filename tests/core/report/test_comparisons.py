"""Sign flips of many pairs at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bdk.report.comparisons import sign_flips
from bdk.statistics import paired_test


def test_sign_flips_agree_with_the_paired_test_of_one_pair():
    generator = np.random.default_rng(1)
    a = generator.normal(size=(3, 60))
    b = a + generator.normal(size=(3, 60)) * 0.6 + np.array([[0.0], [0.15], [0.5]])
    expected = [paired_test(x, y).p_value for x, y in zip(a, b, strict=True)]
    assert sign_flips(a - b) == pytest.approx(expected, abs=0.02)


def test_few_stimuli_are_enumerated():
    differences = np.array([[0.3, -0.1, 0.4, 0.2, 0.05]])
    observed = abs(differences.mean())
    means = [abs(np.dot(signs, differences[0]) / 5) for signs in itertools.product((1, -1), repeat=5)]
    assert sign_flips(differences)[0] == pytest.approx(np.mean(np.array(means) >= observed - 1e-12))


def test_equal_rows_have_a_p_value_of_one():
    assert sign_flips(np.zeros((1, 50)))[0] == 1


def test_under_the_null_five_percent_are_below_five_percent():
    differences = np.random.default_rng(2).normal(size=(800, 40)) * np.linspace(0.1, 3, 40)
    share = (sign_flips(differences, flips=999) < 0.05).mean()
    assert 0.03 < share < 0.07


def test_a_p_value_is_never_zero():
    assert sign_flips(np.ones((1, 100)))[0] > 0
