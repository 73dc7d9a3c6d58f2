"""Retrieval against slow loops over pools."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bdk.errors import SpecError
from bdk.metrics.retrieval import retrieval_scores, retrieve, rivals, success_probability


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


def test_token_tensors_are_flattened():
    brain, truth = embeddings(20)
    folded = retrieval_scores(brain.reshape(20, 3, 4), truth.reshape(20, 3, 4))
    assert folded["image_retrieval"].value == retrieval_scores(brain, truth)["image_retrieval"].value


def test_an_unknown_compat_and_a_single_item_are_refused():
    with pytest.raises(SpecError, match="compat"):
        retrieval_scores(*embeddings(4), compat="other")
    with pytest.raises(SpecError, match="two or more"):
        retrieval_scores(*embeddings(1))
