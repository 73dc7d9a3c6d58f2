"""Selecting one of several candidates: what a peek at the stimulus is worth, and that only the oracle can peek."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from bdk import selection
from bdk.metrics.identification import two_way
from bdk.selection import ORACLE_STAMP, select_brain, select_first, select_oracle, select_random
from bdk.statistics import bootstrap_pairs

N, S, LATENT, WORLDS = 100, 4, 10, 20


class World:
    """Stimuli and candidates without any brain signal, seen by one network that selects and another that scores."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        stimuli, candidates, brain = normal(N, LATENT), normal(N, S, LATENT), normal(N, LATENT)
        selecting, scoring = normal(LATENT, 64), normal(LATENT, 300)
        self.seen = {n: torch.relu(x @ selecting) for n, x in (("s", stimuli), ("c", candidates), ("b", brain))}
        self.features = {n: torch.relu(x @ scoring) for n, x in (("s", stimuli), ("c", candidates))}
        self.generator = generator

    def choose(self, rule: str, count: int = S) -> torch.Tensor:
        candidates = self.seen["c"][:, :count]
        if rule == "brain":
            return select_brain(candidates, self.seen["b"])
        if rule == "oracle":
            return select_oracle(candidates, self.seen["s"])
        return select_first(candidates) if rule == "first" else select_random(candidates, self.generator)

    def score(self, chosen: torch.Tensor):
        return two_way(self.features["s"].numpy(), self.features["c"][torch.arange(N), chosen].numpy())


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [World(seed) for seed in range(WORLDS)]


def test_without_brain_signal_the_oracle_of_four_lifts_two_way_far_above_chance(worlds):
    measured = [world.score(world.choose("oracle")) for world in worlds]
    assert 0.7 < np.mean([each.value for each in measured]) < 0.85
    assert all(bootstrap_pairs(each.success, draws=500).low > 0.5 for each in measured)


@pytest.mark.parametrize("rule", ["brain", "first", "random"])
def test_without_brain_signal_honest_rules_stay_at_chance_within_their_interval(worlds, rule):
    measured = [world.score(world.choose(rule)) for world in worlds]
    intervals = [bootstrap_pairs(each.success, draws=500) for each in measured]
    assert abs(np.mean([each.value for each in measured]) - 0.5) < 0.02
    assert sum(interval.low <= 0.5 <= interval.high for interval in intervals) >= 17


def test_the_lift_grows_with_the_number_of_candidates(worlds):
    means = [np.mean([w.score(w.choose("oracle", count)).value for w in worlds]) for count in (1, 2, 4)]
    assert means[0] < means[1] - 0.05 and means[1] < means[2] - 0.05


def test_only_the_oracle_can_be_given_the_stimulus():
    for name in ("select_brain", "select_first", "select_random"):
        assert "stimulus" not in inspect.signature(getattr(selection, name)).parameters
    assert "stimulus" in inspect.signature(select_oracle).parameters
    assert "oracle" in ORACLE_STAMP


def test_the_brain_rule_takes_the_candidate_nearest_in_angle():
    candidates = torch.tensor([[[1.0, 0.0], [0.0, 5.0], [9.0, 9.0]]])
    assert select_brain(candidates, torch.tensor([[0.1, 1.0]])).tolist() == [1]
    assert select_brain(candidates, torch.tensor([[1.0, 0.9]])).tolist() == [2]


def test_random_choices_depend_on_the_generator_alone():
    candidates = torch.zeros(50, 4, 2)
    one, two = (select_random(candidates, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert set(one.tolist()) == {0, 1, 2, 3}


@pytest.mark.slow
def test_the_lift_is_there_with_real_networks_and_drawn_pictures():
    """Chosen by the tiny CLIP, scored by EfficientNet-Lite0: candidates are scenes that have nothing to do with it."""
    from bdk.demo.clip import TinyClip
    from bdk.demo.scenes import draw_scene, render
    from bdk.metrics import NetworkSet, score_images

    n = 60
    stimuli = np.stack([render(draw_scene(i)) for i in range(n)])
    candidates = np.stack([[render(draw_scene(1000 + S * i + s)) for s in range(S)] for i in range(n)])
    clip = TinyClip.load()
    seen = clip.image_embedding(stimuli)
    options = clip.image_embedding(candidates.reshape(-1, *stimuli.shape[1:])).reshape(n, S, -1)
    networks = NetworkSet.demo()
    values = {}
    for rule, chosen in {"oracle": select_oracle(options, seen), "first": select_first(options)}.items():
        made = candidates[np.arange(n), chosen.numpy()]
        values[rule] = score_images(stimuli, made, networks=networks, metrics=["eff", "clip"])
    assert values["oracle"]["clip"].value > 0.75 and values["oracle"]["clip"].p_value < 0.01
    assert values["oracle"]["eff"].p_value < 0.05
    assert values["first"]["clip"].low <= 0.5 <= values["first"]["clip"].high
