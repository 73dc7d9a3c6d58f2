"""All metrics of a table in one go: pictures are read in batches, every network sees each of them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bdk.components import MetricInfo
from bdk.errors import BdkError, WeightsMissingError
from bdk.metrics.feature_cache import FeatureCache
from bdk.metrics.networks import NetworkSet
from bdk.metrics.pairs import ImagePairs
from bdk.metrics.plugin import METRICS, VARIANTS
from bdk.metrics.presets import Preset, preset_named
from bdk.metrics.score import Measurement, Score
from bdk.statistics import assignment_test, bootstrap_interval, bootstrap_pairs

TABLE_1 = ("pixcorr", "ssim", "alex2", "alex5", "incep", "clip", "eff", "swav")
"""The eight numbers of the field's main table, in its order."""
TABLE_2 = ("image_retrieval", "brain_retrieval")
"""The two retrieval scores; they need brain embeddings, see `bdk.metrics.retrieval_scores`."""


def score_images(
    stimuli: Any,
    reconstructions: Any,
    *,
    preset: str | Preset = "mindeye",
    networks: NetworkSet | None = None,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    feature_cache: Path | None = None,
    permutations: int = 2000,
) -> dict[str, Score]:
    """Score reconstructions against stimuli.

    Args:
        stimuli: N pictures: array or tensor N x 3 x H x W or N x H x W x 3 (uint8, or float 0..1), or anything whose
            items are pictures; nothing is loaded before it is needed.
        reconstructions: the same, or N x S x 3 x H x W for S candidates per stimulus, which are scored apart and
            averaged.
        preset: ``mindeye`` or ``brain-diffuser``.
        networks: the networks at hand; by default those of the local weights manifest.
        metrics: names; by default the eight of Table 1. Installed metrics of other packages go by their names.
        seed: of intervals and tests.
        feature_cache: folder in which features are kept between calls; by default a temporary one.
        permutations: random reassignments of each test.

    Returns:
        A `Score` per metric; one that could not be computed has no value and says why.

    Raises:
        UnknownNameError: no metric or preset of that name.
        DataError: pictures that cannot be read, are not 0..1, or do not match in number.
    """
    recipe = preset_named(preset)
    networks = networks or NetworkSet.from_manifest()
    infos = [_info(name) for name in metrics or TABLE_1]
    with FeatureCache(feature_cache) as cache:
        pairs = ImagePairs(stimuli, reconstructions, recipe, cache)
        made = {info.name: _make(info, recipe, networks) for info in infos}
        pixel = {n: m for n, m in made.items() if not isinstance(m, Score) and m.wants == "pixels"}
        _feed(pixel.values(), pairs)
        scores = {}
        for info in infos:
            metric = made[info.name]
            scores[info.name] = (
                metric if isinstance(metric, Score) else _scored(info, metric, pairs, seed, permutations)
            )
            if not isinstance(metric, Score) and metric.wants == "features" and not _needed_later(info, infos, made):
                metric.tap.network.release()
    return scores


def assemble(
    info: MetricInfo, measured: Measurement, *, preset: str, seed: int, permutations: int = 2000, **facts: Any
) -> Score:
    """Add interval and test to a measurement."""
    low = high = p_value = None
    if measured.success is not None:
        interval = bootstrap_pairs(measured.success, seed=seed)
        low, high = interval.low, interval.high
    elif measured.per_stimulus is not None:
        interval = bootstrap_interval(measured.per_stimulus, seed=seed)
        low, high = interval.low, interval.high
    if measured.fit is not None and len(measured.fit) > 1:
        better = info.direction == "up"
        p_value = assignment_test(measured.fit, permutations=permutations, seed=seed, larger_is_better=better).p_value
    return Score(
        measured.value,
        low,
        high,
        measured.chance,
        info.direction,
        preset=preset,
        per_stimulus=measured.per_stimulus,
        unit=info.unit,
        p_value=p_value,
        name=info.name,
        note=measured.note,
        **facts,
    )


def missing(info: MetricInfo, preset: str, why: str, n: int = 0) -> Score:
    """The entry of a metric that could not be computed."""
    return Score(None, direction=info.direction, preset=preset, unit=info.unit, name=info.name, n=n, missing=why)


def _info(name: str) -> MetricInfo:
    built_in = {info.name: info for info in (*METRICS, *VARIANTS)}
    if name in built_in:
        return built_in[name]
    from bdk import registry

    return registry.load().metric(name)


def _make(info: MetricInfo, preset: Preset, networks: NetworkSet) -> Any:
    """The metric object, or the score that says why there is none."""
    from bdk.registry import owner_of, resolve

    try:
        metric = resolve(info.target, owner=owner_of(info))(preset=preset, networks=networks)
        if metric.wants == "embeddings":
            return missing(info, preset.name, "Retrieval scores need embeddings decoded from the brain, not pictures.")
        if metric.wants == "features":
            _ = metric.tap
    except WeightsMissingError as error:
        return missing(info, preset.name, " ".join(filter(None, [error.what, error.mend])))
    return metric


def _feed(metrics: Any, pairs: ImagePairs) -> None:
    metrics = list(metrics)
    if not metrics:
        return
    for stimuli, reconstructions in pairs.pixel_batches():
        for metric in metrics:
            metric.take(stimuli, reconstructions)


def _scored(info: MetricInfo, metric: Any, pairs: ImagePairs, seed: int, permutations: int) -> Score:
    facts: dict[str, Any] = {
        "n": len(pairs),
        "candidates": pairs.candidates,
        "seed": seed,
        "permutations": permutations,
    }
    name = pairs.preset.name
    if metric.wants == "pixels":
        variant = getattr(metric, "described", "")
        steps = pairs.preset.pixel_steps + (f" > {variant}" if variant else "")
        return assemble(info, metric.measure(), preset=name, preprocessing=steps, **facts)
    tap = metric.tap
    if info.direction == "up" and len(pairs) < 2:
        return missing(info, name, "Two-way identification needs at least two stimuli.", len(pairs))
    try:
        stimuli, reconstructions = pairs.features(tap.network, tap.layer)
    except WeightsMissingError as error:
        return missing(info, name, " ".join(filter(None, [error.what, error.mend])), len(pairs))
    score = assemble(
        info,
        metric.from_features(stimuli, reconstructions),
        preset=name,
        preprocessing=tap.network.preprocessing(pairs.preset),
        network=tap.label,
        weights_sha256=tap.network.weights_sha256,
        stand_in_for=tap.network.stand_in_for,
        **facts,
    )
    return replace(score, details={"resampled": "stimuli"})


def _needed_later(info: MetricInfo, infos: Sequence[MetricInfo], made: dict[str, Any]) -> bool:
    later = infos[list(infos).index(info) + 1 :]
    network = made[info.name].tap.network
    return any(
        not isinstance(made[i.name], Score) and made[i.name].wants == "features" and made[i.name].tap.network is network
        for i in later
    )
