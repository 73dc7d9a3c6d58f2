"""Rows that every table carries: what one gets without reading the brain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.metrics.score import Score
from bdk.metrics.sources import IndexedPictures, Pictures, Repeated, as_pictures
from bdk.metrics.suite import score_images

MEAN, NEAREST, CHANCE = "mean image", "nearest training image", "chance"


def mean_image(training: Any, size: int | None = None) -> Float[Tensor, "3 H W"]:
    """Mean of training stimuli, picture by picture.

    Args:
        training: anything that holds pictures.
        size: side to which pictures are brought first; by default that of the first, if all agree.

    Returns:
        Values 0..1.
    """
    from bdk.metrics.resize import resize

    pictures = as_pictures(training, "training stimuli")
    first = pictures.picture(0)
    side = size or max(first.shape[-2:])
    total = torch.zeros(3, side, side, dtype=torch.float64)
    for index in range(len(pictures)):
        total += resize(pictures.picture(index)[None], side, "bilinear")[0]
    return (total / len(pictures)).float()


def nearest_training_images(
    training: Any, estimates: np.ndarray, training_embeddings: np.ndarray
) -> tuple[Pictures, np.ndarray]:
    """For every test stimulus, the training stimulus whose embedding is nearest to the one decoded from the brain.

    Args:
        training: training stimuli, anything that holds pictures.
        estimates: N x P, decoded from the brain (never the test stimuli's own embeddings).
        training_embeddings: M x P.

    Returns:
        The N pictures, and their rows among the training stimuli.
    """
    rows = np.asarray((_unit(estimates) @ _unit(training_embeddings).T).argmax(axis=1))
    return chosen(training, rows), rows


def chosen(training: Any, rows: np.ndarray) -> Pictures:
    """Training pictures by row, for ids found elsewhere."""
    pictures = as_pictures(training, "training stimuli")
    return IndexedPictures(_Items(pictures), tuple(int(row) for row in rows), "training stimuli", pictures.costly)


def baseline_scores(
    stimuli: Any, training: Any, *, nearest_rows: np.ndarray | None = None, **options: Any
) -> dict[str, dict[str, Score]]:
    """Baseline rows of a table.

    Args:
        stimuli: the N test stimuli.
        training: the training stimuli.
        nearest_rows: row of the nearest training stimulus for each test stimulus, found from the brain; leave out
            if there is none.
        options: of `score_images`: preset, networks, metrics, seed, feature_cache.

    Returns:
        Scores by metric, by row: ``chance``, ``mean image``, ``nearest training image``.
    """
    n = len(as_pictures(stimuli, "stimuli"))
    rows = {MEAN: score_images(stimuli, Repeated(mean_image(training), n), **options)}
    if nearest_rows is not None:
        rows[NEAREST] = score_images(stimuli, chosen(training, nearest_rows), **options)
    return {CHANCE: chance_row(rows[NEAREST] if NEAREST in rows else rows[MEAN]), **rows}


def chance_row(scores: dict[str, Score]) -> dict[str, Score]:
    """What pictures that know nothing of their stimulus score.

    Args:
        scores: of any row; each knows its own chance level: .5 for two-way identification, 1 / pool for retrieval,
            and the mean over wrong pairs for correlations and distances.

    Returns:
        Scores without intervals and tests.
    """
    blank: dict[str, Any] = {"low": None, "high": None, "p_value": None, "per_stimulus": None}
    return {name: replace(score, value=score.chance, **blank) for name, score in scores.items()}


class _Items:
    """Pictures by index, for `IndexedPictures`."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Tensor:
        return self._pictures.picture(index)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
