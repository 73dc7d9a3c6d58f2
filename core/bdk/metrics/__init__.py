"""Metrics of reconstructions, with everything a number needs to be trusted. Importing this package loads no torch and no numpy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdk.metrics.baselines import baseline_scores
    from bdk.metrics.feature_network import FeatureNetwork
    from bdk.metrics.modules import FeatureMetric, ImageMetric
    from bdk.metrics.networks import NetworkSet
    from bdk.metrics.presets import PRESETS
    from bdk.metrics.retrieval import retrieval_scores
    from bdk.metrics.score import Measurement, Score
    from bdk.metrics.suite import TABLE_1, TABLE_2, score_images

__all__ = [
    "PRESETS",
    "TABLE_1",
    "TABLE_2",
    "FeatureMetric",
    "FeatureNetwork",
    "ImageMetric",
    "Measurement",
    "NetworkSet",
    "Score",
    "baseline_scores",
    "retrieval_scores",
    "score_images",
]

_HOMES = {
    "FeatureMetric": "modules",
    "FeatureNetwork": "feature_network",
    "ImageMetric": "modules",
    "Measurement": "score",
    "NetworkSet": "networks",
    "PRESETS": "presets",
    "Score": "score",
    "TABLE_1": "suite",
    "TABLE_2": "suite",
    "baseline_scores": "baselines",
    "retrieval_scores": "retrieval",
    "score_images": "suite",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is first asked for."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
