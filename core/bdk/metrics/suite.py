"""All metrics of a table in one go: pictures are read in batches, every network sees each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from bdk import registry
from bdk.components import MetricInfo
from bdk.errors import WeightsMissingError
from bdk.metrics.feature_cache import FeatureCache
from bdk.metrics.networks import NetworkSet
from bdk.metrics.pairs import ImagePairs
from bdk.metrics.plugin import METRICS, VARIANTS
from bdk.metrics.presets import Preset, preset_named
from bdk.metrics.score import Measurement, Score
from bdk.statistics import Interval, assignment_test, bootstrap_interval, bootstrap_pairs, variance_parts

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
    made = {info.name: _make(info, recipe, networks) for info in infos}
    with FeatureCache(feature_cache) as cache:
        pairs = ImagePairs(stimuli, reconstructions, recipe, cache)
        _feed([metric for metric in made.values() if _wants(metric) == "pixels"], pairs)
        scores: dict[str, Score] = {}
        for network, group in _by_network(infos, made):
            scores |= {info.name: _scored(info, made[info.name], pairs, seed, permutations) for info in group}
            networks.release(network)
    return {info.name: scores[info.name] for info in infos}


def assemble(
    info: MetricInfo, measured: Measurement, *, preset: str, seed: int, permutations: int, **facts: Any
) -> Score:
    """Add interval, test and the spread between candidates to a measurement.

    Args:
        info: the metric.
        measured: what it found.
        preset: recipe of the preprocessing.
        seed: of the resampling.
        permutations: random reassignments of the test.
        facts: further fields of the score.
    """
    interval = _interval(measured, seed)
    p_value = None
    if measured.fit is not None and len(measured.fit) > 1:
        better = info.direction == "up"
        p_value = assignment_test(measured.fit, permutations=permutations, seed=seed, larger_is_better=better).p_value
    details = {}
    if measured.per_candidate is not None:
        details["sd_between_candidates"] = variance_parts(measured.per_candidate.T[None]).score_sd
    return Score(
        measured.value,
        interval.low if interval else None,
        interval.high if interval else None,
        measured.chance,
        info.direction,
        preset=preset,
        per_stimulus=measured.per_stimulus,
        unit=info.unit,
        p_value=p_value,
        name=info.name,
        note=measured.note,
        details=details,
        **facts,
    )


def _interval(measured: Measurement, seed: int) -> Interval | None:
    if measured.success is not None:
        return bootstrap_pairs(measured.success, seed=seed)
    return None if measured.per_stimulus is None else bootstrap_interval(measured.per_stimulus, seed=seed)


def missing(info: MetricInfo, preset: str, why: str, n: int = 0) -> Score:
    """The entry of a metric that could not be computed."""
    return Score(None, direction=info.direction, preset=preset, unit=info.unit, name=info.name, n=n, missing=why)


def _info(name: str) -> MetricInfo:
    """A built-in metric, or an installed one."""
    built_in = {info.name: info for info in (*METRICS, *VARIANTS)}
    return built_in[name] if name in built_in else registry.load().metric(name)


def _make(info: MetricInfo, preset: Preset, networks: NetworkSet) -> Any:
    """The metric object, or the score that says why there is none."""
    try:
        metric = registry.resolve(info.target, owner=registry.owner_of(info))(preset=preset, networks=networks)
        if metric.wants == "embeddings":
            return missing(info, preset.name, "Retrieval scores need embeddings decoded from the brain, not pictures.")
        if metric.wants == "features":
            metric.tap  # noqa: B018  (raises where the weights are missing)
    except WeightsMissingError as error:
        return missing(info, preset.name, _reason(error))
    return metric


def _reason(error: WeightsMissingError) -> str:
    return " ".join(filter(None, [error.what, error.mend]))


def _wants(metric: Any) -> str:
    """What a metric is fed with; nothing if there is only a reason why it is missing."""
    return "" if isinstance(metric, Score) else metric.wants


def _by_network(infos: Sequence[MetricInfo], made: Mapping[str, Any]) -> Iterator[tuple[str, list[MetricInfo]]]:
    """Metrics by the network they read, so that one network is used up before the next is loaded."""

    def network(info: MetricInfo) -> str:
        return made[info.name].tap.network.name if _wants(made[info.name]) == "features" else ""

    for name, group in groupby(sorted(infos, key=network), network):
        yield name, list(group)


def _feed(metrics: Sequence[Any], pairs: ImagePairs) -> None:
    for stimuli, reconstructions in pairs.pixel_batches() if metrics else ():
        for metric in metrics:
            metric.take(stimuli, reconstructions)


def _scored(info: MetricInfo, metric: Any, pairs: ImagePairs, seed: int, permutations: int) -> Score:
    if isinstance(metric, Score):
        return replace(metric, n=len(pairs))
    options: dict[str, Any] = {"preset": pairs.preset.name, "seed": seed, "permutations": permutations}
    facts: dict[str, Any] = {"n": len(pairs), "candidates": pairs.candidates}
    if metric.wants == "pixels":
        steps = f"{pairs.preset.pixel_steps}{metric.last_step}"
        return assemble(info, metric.measure(), preprocessing=steps, **options, **facts)
    if len(pairs) < 2:
        return missing(info, pairs.preset.name, "At least two stimuli are needed to compare pairs.", len(pairs))
    return _scored_features(info, metric, pairs, {**options, **facts})


def _scored_features(info: MetricInfo, metric: Any, pairs: ImagePairs, options: dict[str, Any]) -> Score:
    tap = metric.tap
    try:
        stimuli, reconstructions = pairs.features(tap.network, tap.layer)
    except WeightsMissingError as error:
        return missing(info, pairs.preset.name, _reason(error), len(pairs))
    return assemble(
        info,
        metric.from_features(stimuli, reconstructions),
        preprocessing=tap.network.preprocessing(pairs.preset),
        network=tap.label,
        weights_sha256=tap.network.weights_sha256,
        stand_in_for=tap.network.stand_in_for,
        **options,
    )
