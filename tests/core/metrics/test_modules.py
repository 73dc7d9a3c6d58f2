"""One tester for every metric class: fed in batches, it gives what a slow reference gives on everything at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from bdk.metrics import FeatureNetwork, NetworkSet, modules
from bdk.metrics.plugin import METRICS, VARIANTS
from bdk.metrics.presets import MINDEYE
from bdk.registry import resolve
from scipy.spatial.distance import correlation as scipy_distance
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate


def at(images: Tensor, size: int) -> Tensor:
    based = interpolate(images, size=(256, 256), mode="bilinear")
    return interpolate(based, size=(size, size), mode="bilinear")


def tiny_network(name: str) -> FeatureNetwork:
    """A network small enough for tests: pooled pictures, each of its layers with another grain."""
    grains = {"features.4": 6, "features.11": 5, "avgpool": 4, "embedding": 3}

    def make(device: str) -> Callable[[Tensor], dict[str, Tensor]]:
        return lambda images: {layer: adaptive_avg_pool2d(images, grain) for layer, grain in grains.items()}

    return FeatureNetwork(name, tuple(grains), make, (0.5, 0.4, 0.3), (1.0, 2.0, 3.0), weights_sha256=f"sha-{name}")


@pytest.fixture
def networks() -> NetworkSet:
    return NetworkSet({name: tiny_network(name) for name in set(MINDEYE.networks.values())})


def tiny_features(images: Tensor, size: int, grain: int) -> np.ndarray:
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)
    return adaptive_avg_pool2d((at(images, size) - mean) / std, grain).flatten(1).double().numpy()


def slow_pixcorr(made: Tensor, truth: Tensor) -> float:
    pairs = zip(at(made, 425), at(truth, 425), strict=True)
    return float(np.mean([np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in pairs]))


def slow_ssim(made: Tensor, truth: Tensor) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    grey = [rgb2gray(at(x, 425).permute(0, 2, 3, 1).double().numpy()) for x in (made, truth)]
    return float(np.mean([structural_similarity(a, b, **options) for a, b in zip(*grey, strict=True)]))


def slow_ssim_columns(made: Tensor, truth: Tensor) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    grey = [rgb2gray(at(x, 425).permute(0, 2, 3, 1).double().numpy())[:2] for x in (made, truth)]
    columns = [(a[:, c], b[:, c]) for a, b in zip(*grey, strict=True) for c in range(425)]
    return float(np.mean([structural_similarity(a, b, **options) for a, b in columns]))


def slow_two_way(size: int, grain: int) -> Callable[[Tensor, Tensor], float]:
    def value(made: Tensor, truth: Tensor) -> float:
        n = len(truth)
        r = np.corrcoef(tiny_features(truth, size, grain), tiny_features(made, size, grain))[:n, n:]
        return float(np.mean(np.sum(r < np.diag(r), 0)) / (n - 1))

    return value


def slow_distance(size: int, grain: int) -> Callable[[Tensor, Tensor], float]:
    def value(made: Tensor, truth: Tensor) -> float:
        pairs = zip(tiny_features(truth, size, grain), tiny_features(made, size, grain), strict=True)
        return float(np.mean([scipy_distance(a, b) for a, b in pairs]))

    return value


REFERENCES: dict[str, tuple[Callable[[Tensor, Tensor], float], int]] = {
    "pixcorr": (slow_pixcorr, 8),
    "ssim": (slow_ssim, 8),
    "ssim-2d": (slow_ssim, 8),
    "ssim-columns": (slow_ssim_columns, 2),
    "alex2": (slow_two_way(256, 6), 8),
    "alex5": (slow_two_way(256, 5), 8),
    "incep": (slow_two_way(342, 4), 8),
    "clip": (slow_two_way(224, 3), 8),
    "eff": (slow_distance(255, 4), 8),
    "swav": (slow_distance(224, 4), 8),
}
TARGETS = {info.name: info.target for info in (*METRICS, *VARIANTS)}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_metric_fed_in_batches_equals_its_slow_reference(name, stimuli, reconstructions, networks):
    reference, count = REFERENCES[name]
    metric = resolve(TARGETS[name])(preset="mindeye", networks=networks)
    truth, made = stimuli[:count], reconstructions[:count]
    for start in range(0, count, 3):
        metric.update(made[start : start + 3], truth[start : start + 3])
    assert float(metric.compute()) == pytest.approx(reference(made, truth), abs=2e-6)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_metric_that_was_reset_starts_anew(name, stimuli, reconstructions, networks):
    metric = resolve(TARGETS[name])(preset="mindeye", networks=networks)
    metric.update(stimuli[:2], stimuli[2:4])
    metric.reset()
    metric.update(reconstructions[:2], stimuli[:2])
    again = resolve(TARGETS[name])(preset="mindeye", networks=networks)
    again.update(reconstructions[:2], stimuli[:2])
    assert float(metric.compute()) == float(again.compute())


def test_every_metric_on_offer_has_a_reference_here_or_is_retrieval():
    offered = {info.name for info in (*METRICS, *VARIANTS)}
    assert offered - set(REFERENCES) == {"image_retrieval", "brain_retrieval"}


def test_directions_and_chances_are_those_of_the_literature(stimuli, reconstructions, networks):
    measured = {}
    for info in METRICS:
        if info.level != "retrieval":
            metric = resolve(info.target)(preset="mindeye", networks=networks)
            metric.update(reconstructions, stimuli)
            measured[info.name] = (info.direction, metric.measure().chance)
    assert {name for name, (direction, _) in measured.items() if direction == "down"} == {"eff", "swav"}
    assert {chance for name, (_, chance) in measured.items() if name in ("alex2", "alex5", "incep", "clip")} == {0.5}


def test_retrieval_classes_fed_in_batches_equal_the_function():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(20, 6, generator=generator)
    brain = truth + torch.randn(20, 6, generator=generator)
    from bdk.metrics.retrieval import retrieval_scores

    scores = retrieval_scores(brain, truth, pool=8, seed=3)
    for name, kind in (("image_retrieval", modules.ImageRetrieval), ("brain_retrieval", modules.BrainRetrieval)):
        metric = kind(pool=8, seed=3)
        metric.update(brain[:7], truth[:7])
        metric.update(brain[7:], truth[7:])
        assert float(metric.compute()) == pytest.approx(scores[name].value, abs=1e-6)


def test_a_flat_picture_counts_as_zero_and_is_noted(stimuli):
    metric = modules.PixCorr()
    metric.update(torch.full_like(stimuli, 0.3), stimuli)
    measured = metric.measure()
    assert measured.value == 0.0 and "8 pairs hold a flat picture" in measured.note
