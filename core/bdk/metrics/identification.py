"""Two-way identification and correlation distance, from features."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from bdk.metrics.correlation import cross_correlation
from bdk.metrics.score import Measurement


def success_matrix(correlation: np.ndarray) -> np.ndarray:
    """Which comparisons each reconstruction wins.

    Args:
        correlation: N x N, row = stimulus, column = reconstruction.

    Returns:
        N x N, True where a distractor stimulus correlates strictly less with the reconstruction than the
        reconstruction's own stimulus does. Ties, the diagonal and undefined correlations lose.
    """
    return correlation < np.diag(correlation)[None, :]


def two_way_rates(correlation: np.ndarray) -> np.ndarray:
    """Share of distractors each reconstruction beats, N numbers 0..1.

    Source: Brain-Diffuser and MindEye: one score per reconstruction, distractors are the other stimuli. (Scoring one
    stimulus against other reconstructions gives other numbers: a constant reconstruction then scores 0, not .5.)
    """
    return success_matrix(correlation).sum(axis=0) / (len(correlation) - 1)


def two_way(stimuli: np.ndarray, reconstructions: np.ndarray) -> Measurement:
    """Two-way identification of reconstructions by their features.

    Args:
        stimuli: N x d features.
        reconstructions: N x d, or N x S x d for S candidates per stimulus, which are scored apart and averaged.

    Returns:
        Share of won comparisons, chance .5.

    Raises:
        ValueError: for fewer than two stimuli.
    """
    if len(stimuli) < 2:
        raise ValueError("two-way identification needs at least two stimuli")
    each = [_two_way_once(stimuli, candidate) for candidate in _candidates(reconstructions)]
    success = np.mean([success for success, _, _ in each], axis=0)
    fit = np.mean([fit for _, fit, _ in each], axis=0)
    n, s = len(stimuli), len(each)
    # whole comparisons are counted, so that one half is one half to the last bit
    value = sum(int(won.sum()) for won, _, _ in each) / (s * n * (n - 1))
    undefined = sum(undefined for _, _, undefined in each)
    note = f"{undefined} reconstructions have flat features and lose every comparison" if undefined else ""
    apart = np.stack([np.diag(one) for _, one, _ in each], axis=1) if s > 1 else None
    own = np.diag(fit).copy()
    return Measurement(value, own, success=success, fit=fit, chance=0.5, note=note, per_candidate=apart)


def _two_way_once(stimuli: np.ndarray, reconstructions: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    correlation = cross_correlation(stimuli, reconstructions)
    undefined = int(np.isnan(correlation).all(axis=0).sum())
    return success_matrix(correlation), beaten_share(correlation), undefined


def beaten_share(correlation: np.ndarray) -> np.ndarray:
    """For every cell, the share of the column's other cells that are strictly smaller; 0 where undefined."""
    # undefined cells beat nothing and are beaten by nothing
    below = rankdata(np.where(np.isnan(correlation), np.inf, correlation), method="min", axis=0) - 1
    return np.where(np.isnan(correlation), 0.0, below / (len(correlation) - 1))


def correlation_distance(stimuli: np.ndarray, reconstructions: np.ndarray) -> Measurement:
    """One minus the correlation of each stimulus' features with its reconstruction's.

    Args:
        stimuli: N x d features.
        reconstructions: N x d, or N x S x d.

    Returns:
        Mean over stimuli, 0..2, smaller is better; chance is the mean over all wrong pairs.
    """
    each = [1.0 - cross_correlation(stimuli, candidate) for candidate in _candidates(reconstructions)]
    undefined = int(sum(np.isnan(np.diag(distance)).sum() for distance in each))
    # an undefined correlation counts as none: distance 1
    fit = np.mean([np.nan_to_num(distance, nan=1.0) for distance in each], axis=0)
    own = np.diag(fit).copy()
    n = len(fit)
    chance = float((fit.sum() - own.sum()) / (n * (n - 1))) if n > 1 else None
    note = f"{undefined} pairs have flat features; their distance counts as 1" if undefined else ""
    apart = np.stack([np.nan_to_num(np.diag(one), nan=1.0) for one in each], axis=1) if len(each) > 1 else None
    return Measurement(float(own.mean()), own, fit=fit, chance=chance, note=note, per_candidate=apart)


def _candidates(features: np.ndarray) -> list[np.ndarray]:
    return [features] if features.ndim == 2 else [features[:, s] for s in range(features.shape[1])]
