"""Which neighbours each estimate is refined with."""

from __future__ import annotations

import numpy as np
import pytest
from bdk.refine import Neighbourhood, pool
from bdk.runs import execute
from bdk.sizes import sizes_of
from safetensors.numpy import load_file

from tests.tiny import UNPAINTED, spec


def test_pooled_neighbours_are_ranked_over_all_samples_and_stand_once():
    ids = np.array([[[7, 3], [3, 9]], [[-1, -1], [5, -1]]])
    scores = np.array([[[0.9, 0.5], [0.6, 0.7]], [[-np.inf, -np.inf], [0.1, -np.inf]]])
    assert pool(ids, scores).tolist() == [[7, 9, 3, -1], [5, -1, -1, -1]]


class Retrieved:
    """Stands for a retrieve step: two stimuli, some searches for each, two neighbours a search."""

    def __init__(self, searches: int) -> None:
        ids = np.arange(2 * searches * 2).reshape(2, searches, 2)
        self.arrays = {
            "test_ids.npy": ids,
            "test_scores.npy": -ids / 100.0,
            "token_ids.npy": np.arange(ids.size),
            "tokens.npy": np.arange(ids.size, dtype=np.float32)[:, None, None] * np.ones((1, 3, 4), np.float32),
        }

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name]


@pytest.mark.parametrize(
    ("searches", "expected"),
    [
        (1, [[0, 1], [0, 1], [2, 3], [2, 3]]),  # the encoder's word, or a guide without a prior: one search for all
        (2, [[0, 1], [2, 3], [4, 5], [6, 7]]),  # one search a sample
        (3, [[0, 1], [2, 3], [6, 7], [8, 9]]),  # another guide's prior draws more
    ],
)
def test_every_estimate_has_neighbours_of_its_own_stimulus_however_often_that_was_searched_for(searches, expected):
    neighbourhood = Neighbourhood(Retrieved(searches), 3, 4)
    ids = neighbourhood.of("test", samples=2)
    assert ids.tolist() == expected and neighbourhood.k() == 2
    tokens, present = neighbourhood.look_up(ids, 4)
    assert present.all() and tokens[:, :, 0, 0].tolist() == expected


def test_pooled_estimates_of_a_stimulus_share_all_of_its_neighbours():
    neighbourhood = Neighbourhood(Retrieved(3), 3, 4, pooled=True)
    assert neighbourhood.k() == 6
    assert neighbourhood.of("test", samples=2).tolist() == [list(range(6))] * 2 + [list(range(6, 12))] * 2


def test_a_fusion_module_has_a_branch_for_every_neighbour_and_the_plan_knows_its_size(tmp_path, registry):
    rows = '[[variant]]\nname = "own"\n[[variant]]\nname = "pooled"\n"stage2.neighbours" = "pooled"\n'
    overrides = [*UNPAINTED, ("guides", "image"), ("encoder", "ridge"), ("retriever.k", "3")]
    finished = execute([spec(tmp_path, rows)], out=tmp_path / "run", overrides=overrides)
    sizes = sizes_of(finished.plan, registry, finished.store)
    for planned, k in zip(finished.plan.runs, (3, 2 * 3), strict=True):
        artifact = finished.store.need(planned.keys["refine.image"], "refine")
        weights = load_file(artifact.path / "model.safetensors")
        assert len(weights["gates.narrow"]) == k + 1
        assert sizes[artifact.key]["parameters"] == sum(value.size for value in weights.values())
        assert np.isfinite(artifact.array("test_refined.npy")).all()
