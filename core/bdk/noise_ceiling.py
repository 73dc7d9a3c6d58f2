"""How good a score can be, given how noisy the data are: noise ceilings from repeated showings of the same stimulus.

numpy only. Everything here needs repeats; with one showing of each stimulus, signal and noise cannot be told apart
and the functions refuse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bdk.errors import DataError

if TYPE_CHECKING:
    from bdk.metrics.score import Score

SHOWN_ONCE = "Every stimulus was shown once: signal and noise cannot be told apart."


def variance_split(values: np.ndarray, stimuli: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Signal and noise variance of every column, by one-way analysis of variance.

    Args:
        values: trials x V with ``stimuli``, or stimuli x repeats x V without.
        stimuli: which stimulus each trial showed; any labels, any number of repeats each.

    Returns:
        Signal variance (never negative) and noise variance of a single trial, V numbers each.

    Raises:
        DataError: no stimulus was shown twice, or there are fewer than two stimuli.
    """
    trials, labels = _as_trials(values, stimuli)
    counts = np.bincount(labels)
    _require_repeats(counts)
    n, groups = len(trials), len(counts)
    sums = np.zeros((groups, trials.shape[1]))
    np.add.at(sums, labels, trials)
    means = sums / counts[:, None]
    within = ((trials - means[labels]) ** 2).sum(axis=0) / (n - groups)
    grand = trials.mean(axis=0)
    between = (counts[:, None] * (means - grand) ** 2).sum(axis=0) / (groups - 1)
    repeats = (n - (counts**2).sum() / n) / (groups - 1)
    return np.maximum(0.0, (between - within) / repeats), within


def ncsnr(betas: np.ndarray, stimuli: np.ndarray | None = None) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio of every voxel: standard deviation of the signal over that of the noise.

    Source: Allen et al. 2022 (NSD), who z-score betas per session and take the signal variance as one minus the noise
    variance. Ours does not need the z-score: the signal variance is the variance between stimuli less the share that
    noise adds to it. On z-scored betas the two agree.

    Args:
        betas: trials x V with ``stimuli``, or stimuli x repeats x V.
        stimuli: which stimulus each trial showed.

    Returns:
        V numbers, 0 or more; without bound where repeats are identical.

    Raises:
        DataError: no stimulus was shown twice.
    """
    signal, noise = variance_split(betas, stimuli)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(signal / noise)
    return np.where(signal == 0, 0.0, ratio)


def noise_ceiling(ncsnr: np.ndarray, n_repeats: float = 1.0) -> np.ndarray:
    """Share of the variance of a mean over repeats that is signal: the highest R-squared that a model can reach.

    Source: Allen et al. 2022, NC = ncsnr^2 / (ncsnr^2 + 1 / n), as a fraction instead of a percentage. Its square root
    is the highest correlation.

    Args:
        ncsnr: from `ncsnr`.
        n_repeats: trials that were averaged.

    Returns:
        Numbers 0..1.

    Raises:
        ValueError: if ``n_repeats`` is not above 0.
    """
    if n_repeats <= 0:
        raise ValueError("a mean is taken over one or more repeats")
    squared = np.square(np.asarray(ncsnr, dtype=np.float64))
    return np.where(np.isinf(squared), 1.0, squared / (np.where(np.isinf(squared), 0, squared) + 1 / n_repeats))


def attainable_correlation(estimates: np.ndarray, n_repeats: int | None = None) -> np.ndarray:
    """Highest correlation with the truth that each decoded feature can reach, from estimates made of single repeats.

    A feature decoded from noisy betas is itself noisy; its correlation with anything is at most the square root of
    its reliability (Spearman 1904). The reliability of a mean over ``n_repeats`` comes from the same split of
    variance as the voxels' ceiling.

    Args:
        estimates: stimuli x repeats x P, decoded from one repeat each.
        n_repeats: repeats averaged in the score that is to be normalised; all of them by default.

    Returns:
        P numbers, 0..1.

    Raises:
        DataError: one repeat only.
    """
    estimates = np.asarray(estimates)
    ceiling = noise_ceiling(ncsnr(estimates), n_repeats or estimates.shape[1])
    return np.sqrt(ceiling)


def attainable_retrieval(
    estimates: np.ndarray, *, pool: int = 300, n_repeats: int | None = None, simulations: int = 40, seed: int = 0
) -> float:
    """Highest top-1 retrieval that estimates of this reliability allow: how often a noisy estimate finds its own
    noise-free copy among those of ``pool`` stimuli.

    Signal and noise covariance are split as in `variance_split`, in the space that the trials span; noise-free
    estimates are drawn from the one (normal), noise from the residuals of the repeats, and both are retrieved by
    cosine. On simulated estimates this is within 5 % of the true ceiling for 300 stimuli whose single-repeat
    reliability is .3 or more; below .15 it may be off by a third, mostly upwards.

    Args:
        estimates: stimuli x repeats x P, decoded from one repeat each.
        pool: candidates of each search, at most the number of stimuli.
        n_repeats: repeats averaged in the score that is to be normalised; all of them by default.
        simulations: pools that are drawn.
        seed: of the drawing.

    Returns:
        Accuracy 0..1.

    Raises:
        DataError: one repeat only, fewer than 8 stimuli, or repeats without any signal.
    """
    estimates = np.asarray(estimates)
    if estimates.ndim != 3 or len(estimates) < 8:
        raise DataError("The ceiling of retrieval needs at least 8 stimuli, as stimuli x repeats x P.")
    n, repeats, _ = estimates.shape
    _require_repeats(np.full(n, repeats))
    trials = _coordinates(estimates.reshape(n * repeats, -1)).reshape(n, repeats, -1)
    means = trials.mean(axis=1)
    noise = ((trials - means[:, None]) * np.sqrt(repeats / (repeats - 1))).reshape(n * repeats, -1)
    spread = _signal_spread(means, noise, repeats)
    generator = np.random.default_rng(seed)
    size, averaged = min(pool, n), n_repeats or repeats
    return float(np.mean([_simulated_top1(spread, noise, size, averaged, generator) for _ in range(simulations)]))


def normalised(score: Score, ceiling: float, *, reason: str = "") -> Score:
    """A score as a share of what is attainable, from 0 at chance to 1 at the ceiling.

    Args:
        score: with its chance level.
        ceiling: highest value the data allow, in the score's unit.
        reason: what the ceiling was computed from.

    Returns:
        The same score with ``ceiling`` and ``of_attainable`` among its details; value and interval are untouched.

    Raises:
        DataError: the ceiling does not lie beyond chance, so there is nothing to normalise by.
    """
    chance = score.chance or 0.0
    gap = ceiling - chance if score.direction == "up" else chance - ceiling
    if not gap > 0:
        raise DataError(
            f"The ceiling {ceiling:.4g} of {score.name or 'this score'} is not beyond its chance level {chance:.4g}.",
            mend="The repeats hold no signal; report the score without normalising it.",
        )
    if score.value is None:
        return score
    share = (score.value - chance) / (ceiling - chance)
    facts = {"ceiling": float(ceiling), "of_attainable": float(share)}
    return replace(score, details={**score.details, **facts, **({"ceiling_from": reason} if reason else {})})


def report(betas: np.ndarray, stimuli: np.ndarray | None, n_repeats: float) -> dict[str, float | int | str]:
    """Noise ceiling of a data set in a few numbers, for ``metrics.json``.

    Args:
        betas: trials x V, or stimuli x repeats x V.
        stimuli: which stimulus each trial showed.
        n_repeats: trials averaged in the betas that are decoded.

    Returns:
        Deciles and median over voxels of the ceiling (share of variance), or ``missing`` with the reason.
    """
    try:
        ratio = ncsnr(betas, stimuli)
    except DataError as error:
        return {"missing": error.what}
    low, median, high = np.quantile(noise_ceiling(ratio, n_repeats), [0.1, 0.5, 0.9])
    return {
        "ncsnr_median": float(np.median(ratio)),
        "n_repeats": float(n_repeats),
        "ceiling_p10": float(low),
        "ceiling_median": float(median),
        "ceiling_p90": float(high),
        "voxels": len(ratio),
        "unit": "share of variance of the mean over repeats",
    }


def _coordinates(rows: np.ndarray) -> np.ndarray:
    """Centred rows in an orthonormal basis of the space they span; inner products are kept."""
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(rows.dtype)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    kept = values > 1e-10 * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def _signal_spread(means: np.ndarray, noise: np.ndarray, repeats: int) -> np.ndarray:
    """A square root of the signal's covariance: that of the means less the noise's share, made positive."""
    covariance = means.T @ means / (len(means) - 1) - noise.T @ noise / len(noise) / repeats
    total = np.trace(covariance)
    if total <= 0:
        raise DataError("The repeats of the estimates hold no signal: they vary no less than different stimuli do.")
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0.0)
    return vectors * np.sqrt(values * total / values.sum())


def _simulated_top1(
    spread: np.ndarray, noise: np.ndarray, pool: int, repeats: int, generator: np.random.Generator
) -> float:
    clean = generator.normal(size=(pool, spread.shape[1])) @ spread.T
    drawn = noise[generator.integers(len(noise), size=(repeats, pool))].sum(axis=0) / repeats
    target = clean / np.linalg.norm(clean, axis=1, keepdims=True)
    return float((((clean + drawn) @ target.T).argmax(axis=1) == np.arange(pool)).mean())


def _as_trials(values: np.ndarray, stimuli: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, dtype=np.float64)
    if stimuli is None:
        if values.ndim != 3:
            raise DataError(f"Without stimulus labels, stimuli x repeats x V is expected, not {values.shape}.")
        n, repeats, _ = values.shape
        return values.reshape(n * repeats, -1), np.repeat(np.arange(n), repeats)
    labels = np.unique(np.asarray(stimuli), return_inverse=True)[1].ravel()
    if values.ndim != 2 or len(values) != len(labels):
        raise DataError(f"There are {len(labels)} stimulus labels for betas of shape {values.shape}.")
    return values, labels


def _require_repeats(counts: np.ndarray) -> None:
    if len(counts) < 2:
        raise DataError("A noise ceiling needs at least two stimuli.")
    if counts.max() < 2:
        raise DataError(
            SHOWN_ONCE,
            mend="Use the subset of stimuli that were shown two or more times, or report scores without a ceiling.",
        )
