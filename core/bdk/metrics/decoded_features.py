"""How well features are read from the brain: correlation over stimuli, and its share of what the noise allows.

A score of stage I alone, before anything is retrieved or painted. Imports no torch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bdk.errors import DataError
from bdk.metrics.score import Measurement, Score
from bdk.noise_ceiling import SHOWN_ONCE, attainable_correlation, normalised
from bdk.statistics import assignment_test, bootstrap_interval

BLOCK = 4096
"""Features in memory at a time."""
ALPHA = 0.05
NO_SIGNAL = "Showings of one stimulus agree no better than those of different stimuli: no signal, no ceiling."
FROM = "reliability of the encoder's output over showings"


def feature_score(estimates: np.ndarray, truth: np.ndarray, *, seed: int = 0, permutations: int = 2000) -> Score:
    """Correlation over stimuli of each decoded feature with the true one, averaged over features.

    Args:
        estimates: N x P, decoded from the brain; array or memory map.
        truth: N x P, of the stimuli.
        seed: of interval and test.
        permutations: random reassignments of the test.

    Returns:
        Mean correlation, chance 0. Features that do not vary over stimuli are left out, and are counted in the note.
        The interval resamples stimuli by their influence on the mean correlation, means and spreads included.

    Raises:
        ValueError: fewer than three stimuli, sides of different shape, or no feature that varies.
    """
    measured, influence = correlate(estimates, truth)
    assert measured.fit is not None
    interval = bootstrap_interval(influence, seed=seed)
    test = assignment_test(measured.fit, permutations=permutations, seed=seed)
    return Score(
        measured.value,
        interval.low,
        interval.high,
        0.0,
        "up",
        preset="definition",
        n=len(influence),
        per_stimulus=measured.per_stimulus,
        preprocessing="each feature centred and scaled over the test stimuli",
        unit="corr",
        p_value=test.p_value,
        name="features",
        note=measured.note,
        details={"features": int(estimates.shape[1])},
    )


def correlate(estimates: np.ndarray, truth: np.ndarray) -> tuple[Measurement, np.ndarray]:
    """The mean correlation with what a permutation test needs, and each stimulus' influence on it.

    With every feature centred and scaled over stimuli, the mean correlation is the mean over stimuli of the product
    of estimate and truth, averaged over features. So the N x N table of such products says what any reassignment of
    estimates to stimuli would score.

    Args:
        estimates: N x P.
        truth: N x P.

    Returns:
        The measurement, and N numbers whose mean is the value and whose spread is that of its influence function
        (a correlation's is x y - r (x x + y y) / 2).

    Raises:
        ValueError: as `feature_score`.
    """
    if estimates.ndim != 2 or estimates.shape != truth.shape or len(estimates) < 3:
        raise ValueError(f"sides {estimates.shape} and {truth.shape} must be alike, with three stimuli or more")
    n, width = estimates.shape
    fit, shrink, counted = np.zeros((n, n)), np.zeros(n), 0
    for start in range(0, width, BLOCK):
        blocks = [np.asarray(side[:, start : start + BLOCK], dtype=np.float64) for side in (estimates, truth)]
        varies = np.logical_and(*map(_varies, blocks))
        x, y = (_standardised(block[:, varies]) for block in blocks)
        r = (x * y).mean(axis=0)
        fit += y @ x.T
        shrink += (x**2 + y**2) @ r / 2
        counted += int(varies.sum())
    if not counted:
        raise ValueError("no feature varies over the stimuli")
    fit, shrink = fit / counted, shrink / counted
    own = np.diag(fit).copy()
    value = float(own.mean())
    left_out = width - counted
    note = f"{left_out} of {width} features do not vary and are left out" if left_out else ""
    return Measurement(value, own, fit=fit, chance=0.0, note=note), own - shrink + value


def attainable_features(shown: np.ndarray, truth: np.ndarray) -> float:
    """Highest mean correlation that the reliability of the estimates allows.

    Args:
        shown: N x repeats x P, estimates from one showing each; array or memory map.
        truth: N x P, of the stimuli; features that do not vary are left out, as in the score.

    Returns:
        Mean over features of `bdk.noise_ceiling.attainable_correlation`, for estimates averaged over the repeats.

    Raises:
        DataError: one showing only.
    """
    parts = []
    for start in range(0, shown.shape[2], BLOCK):
        block = np.asarray(shown[:, :, start : start + BLOCK], dtype=np.float64)
        kept = _varies(block.reshape(-1, block.shape[2])) & _varies(np.asarray(truth[:, start : start + BLOCK]))
        parts.append(attainable_correlation(block[:, :, kept]) if kept.any() else np.array([]))
    return float(np.concatenate(parts).mean())


def features_read(estimates: np.ndarray, truth: np.ndarray, shown: np.ndarray | None, *, seed: int = 0) -> Score:
    """The feature score with its noise ceiling, or with the reason why there is none.

    Args:
        estimates: N x P, decoded from betas averaged over showings.
        truth: N x P, of the stimuli.
        shown: N x repeats x P, decoded from one showing each; None if every stimulus was shown once.
        seed: of interval and test.
    """
    try:
        score = feature_score(estimates, truth, seed=seed)
    except ValueError as error:
        return Score(None, preset="definition", unit="corr", name="features", n=len(truth), missing=f"{error}")
    if shown is None:
        return replace(score, details={**score.details, "ceiling_missing": SHOWN_ONCE})
    try:
        if shown.shape[1] > 1 and agreement(shown, seed=seed) > ALPHA:
            return replace(score, details={**score.details, "ceiling_missing": NO_SIGNAL})
        return normalised(score, attainable_features(shown, truth), reason=FROM)
    except DataError as error:
        return replace(score, details={**score.details, "ceiling_missing": error.what})


def agreement(shown: np.ndarray, *, seed: int = 0) -> float:
    """p-value of "showings of one stimulus agree": first showing against the mean of the others, by reassignment.

    Reliabilities are cut off at 0, so that even noise alone has a small positive ceiling; this tells it from signal.

    Args:
        shown: N x repeats x P, repeats above 1.
        seed: of the test.
    """
    return float(feature_score(shown[:, 0], np.asarray(shown[:, 1:]).mean(axis=1), seed=seed).p_value or 0.0)


def _varies(rows: np.ndarray) -> np.ndarray:
    """Which features are not the same for all stimuli."""
    return (rows != rows[:1]).any(axis=0)


def _standardised(block: np.ndarray) -> np.ndarray:
    block = block - block.mean(axis=0)
    return block / np.sqrt((block**2).mean(axis=0))
