"""Retrieval against slow loops over pools."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bdk.errors import SpecError
from bdk.metrics.retrieval import retrieval_scores, retrieve, rivals, spread_of_samples, success_probability
from bdk.statistics import share_interval


def embeddings(n: int, width: int = 12, noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(n, width))
    return truth + noise * generator.normal(size=truth.shape), truth


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def slow_top1(queries: np.ndarray, candidates: np.ndarray) -> float:
    hits = 0
    for i, query in enumerate(queries):
        own = cosine(query, candidates[i])
        hits += all(cosine(query, other) < own for j, other in enumerate(candidates) if j != i)
    return hits / len(queries)


def test_image_retrieval_gives_the_brain_and_finds_the_image():
    brain, truth = embeddings(40)
    scores = retrieval_scores(brain, truth)
    assert scores["image_retrieval"].value == pytest.approx(slow_top1(brain, truth))
    assert scores["brain_retrieval"].value == pytest.approx(slow_top1(truth, brain))
    assert scores["image_retrieval"].value != scores["brain_retrieval"].value


def test_compat_mindeye_swaps_the_names_and_says_so():
    brain, truth = embeddings(40)
    plain, swapped = retrieval_scores(brain, truth), retrieval_scores(brain, truth, compat="mindeye")
    assert swapped["image_retrieval"].value == plain["brain_retrieval"].value
    assert swapped["image_retrieval"].preset == "mindeye" and plain["image_retrieval"].preset == "definition"
    assert swapped["image_retrieval"].details["given"] == "image"


def test_the_pool_is_everything_when_there_are_fewer_items():
    scores = retrieval_scores(*embeddings(40), pool=300)
    assert scores["image_retrieval"].chance == 1 / 40
    assert scores["image_retrieval"].details["pool"] == 40
    assert scores["image_retrieval"].details["draws"] is None


def test_the_exact_mean_over_pools_is_that_of_all_pools():
    brain, truth = embeddings(8, noise=2.0, seed=3)
    hits = []
    for pool in itertools.combinations(range(8), 4):
        chosen = list(pool)
        hits.append(slow_top1(brain[chosen], truth[chosen]))
    exact = retrieve(brain, truth, "image", pool=4, draws=None, seed=0)
    assert exact.value == pytest.approx(np.mean(hits), abs=1e-12)


def test_drawn_pools_approach_the_exact_mean():
    brain, truth = embeddings(60, noise=1.5, seed=4)
    drawn = retrieve(brain, truth, "image", pool=10, draws=400, seed=0).value
    exact = retrieve(brain, truth, "image", pool=10, draws=None, seed=0).value
    assert abs(drawn - exact) < 0.01


def test_pools_depend_on_the_seed_alone():
    brain, truth = embeddings(60, noise=1.5, seed=5)
    one, again, other = (retrieve(brain, truth, "image", pool=10, draws=7, seed=s).value for s in (1, 1, 2))
    assert one == again != other


def test_a_tie_is_a_miss():
    truth = np.eye(4)
    truth[1] = truth[0]
    assert retrieval_scores(truth, truth)["image_retrieval"].value == pytest.approx(0.5)


def test_rivals_count_equal_and_larger_others():
    assert rivals(np.array([[3.0, 1.0, 3.0, 5.0]])).tolist() == [[2, 3, 2, 0]]


def test_success_is_certain_without_rivals_and_impossible_with_a_full_pool():
    assert success_probability(np.array([0]), 10, 4)[0] == pytest.approx(1.0)
    assert success_probability(np.array([9]), 10, 4)[0] == 0.0
    assert success_probability(np.array([1]), 10, 10)[0] == 0.0


def test_a_planted_effect_has_a_small_p_value_and_noise_has_not():
    brain, truth = embeddings(80, noise=2.0, seed=6)
    assert retrieval_scores(brain, truth)["image_retrieval"].p_value < 0.01
    noise = np.random.default_rng(7).normal(size=truth.shape)
    assert retrieval_scores(noise, truth)["image_retrieval"].p_value > 0.05


def test_no_hit_at_all_is_no_certainty():
    """Clopper and Pearson: none of 50 still allows 7.1 %."""
    truth = np.eye(50)
    scores = retrieval_scores(np.roll(truth, 1, axis=0), truth)["image_retrieval"]
    assert (scores.value, scores.low) == (0.0, 0.0) and scores.high == pytest.approx(0.0711, abs=1e-4)
    perfect = retrieval_scores(truth, truth)["image_retrieval"]
    assert (perfect.value, perfect.high) == (1.0, 1.0) and perfect.low == pytest.approx(1 - 0.0711, abs=1e-4)


@pytest.mark.parametrize("finds", ["image", "brain"])
def test_the_interval_covers_the_value_of_other_test_sets(finds):
    """Distractors are drawn anew with the stimuli, and some draw all queries to themselves."""

    def measured(seed: int):
        brain, truth = embeddings(60, width=20, noise=2.0, seed=seed)
        hub = np.random.default_rng(0).normal(size=20)
        return retrieve(brain + np.random.default_rng(seed).normal(size=(60, 1)) * hub, truth, finds, **protocol)

    protocol = {"pool": 30, "draws": None, "seed": 0}
    goal = np.mean([measured(seed).value for seed in range(1000, 1150)])
    covered = 0
    for seed in range(150):
        interval = share_interval(measured(seed).per_stimulus, draws=400, seed=seed)
        covered += interval.low <= goal <= interval.high
    assert 0.90 <= covered / 150 <= 0.99


def test_the_spread_between_prior_samples_is_told_apart_from_that_between_stimuli():
    brain, truth = embeddings(60, noise=1.5)
    alike = np.repeat(brain[:, None], 4, axis=1)
    same = spread_of_samples(alike, truth, "image", pool=60)
    assert same["sd_between_samples"] == pytest.approx(0.0, abs=1e-9) and same["samples"] == 4
    assert same["one_sample"] == pytest.approx(retrieval_scores(brain, truth)["image_retrieval"].value)
    # independent samples: accuracies of whole sets of samples spread as predicted from one set
    noise = np.random.default_rng(1).normal(size=(60, 4, truth.shape[1]))
    drawn = spread_of_samples(truth[:, None] + 1.5 * noise, truth, "image", pool=60)
    values = []
    for seed in range(40):
        again = truth + 1.5 * np.random.default_rng(seed + 9).normal(size=truth.shape)
        values.append(retrieve(again, truth, "image", pool=60, draws=None, seed=0).value)
    assert drawn["sd_between_samples"] == pytest.approx(np.std(values), rel=0.5)


def test_token_tensors_are_flattened():
    brain, truth = embeddings(20)
    folded = retrieval_scores(brain.reshape(20, 3, 4), truth.reshape(20, 3, 4))
    assert folded["image_retrieval"].value == retrieval_scores(brain, truth)["image_retrieval"].value


def test_an_unknown_compat_and_a_single_item_are_refused():
    with pytest.raises(SpecError, match="compat"):
        retrieval_scores(*embeddings(4), compat="other")
    with pytest.raises(SpecError, match="two or more"):
        retrieval_scores(*embeddings(1))
