"""Intervals and tests for numbers that are means over stimuli. numpy and scipy only, no torch.

What is resampled, and why that is valid, stands with each function. Comparisons between stimuli and reconstructions
are not independent of each other (every picture takes part in 2N - 2 of them), so nothing here counts comparisons.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class TestResult:
    """A one-sided permutation test.

    Args:
        statistic: what was observed.
        p_value: share of reassignments that do at least as well, the observed one included; never 0.
        null_mean: mean of the statistic under reassignment.
        permutations: how many reassignments were drawn.
    """

    __test__ = False  # not a test case, whatever its name

    statistic: float
    p_value: float
    null_mean: float
    permutations: int


@dataclass(frozen=True)
class PairedResult:
    """Two variants on the same stimuli.

    Args:
        difference: mean of ``a - b``.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        p_value: two-sided sign-flip permutation test.
        n: stimuli.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int


@dataclass(frozen=True)
class VarianceParts:
    """Where the variance of a score comes from: variance components of one cell of the table.

    Args:
        seed: between training seeds; NaN with one seed.
        sample: between prior samples of one seed; NaN with one sample.
        stimulus: between stimuli; NaN with one stimulus.
        residual: what is left: stimuli that react differently to seeds and samples.
        score_sd: standard deviation of the mean score if one seed and one sample were drawn anew, stimuli fixed.
    """

    seed: float
    sample: float
    stimulus: float
    residual: float
    score_sd: float


def bootstrap_interval(per_stimulus: np.ndarray, *, level: float = LEVEL, draws: int = 2000, seed: int = 0) -> Interval:
    """Bootstrap interval of a mean over stimuli.

    Source: bias-corrected and accelerated, Efron 1987; where that does not exist (nearly all numbers equal), the
    percentile interval of the same resamples.

    Args:
        per_stimulus: N numbers.
        level: coverage asked for.
        draws: resamples.
        seed: of the resampling.

    Returns:
        The interval; NaN for fewer than two stimuli, the value itself if all numbers are equal.
    """
    values = np.asarray(per_stimulus, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) == 0:
        end = float(values.mean()) if len(values) > 1 else float("nan")
        return Interval(end, end, level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns where the corrected interval does not exist; see below
        result = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=draws,
            batch=max(1, 2_000_000 // len(values)),
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    low, high = (float(end) for end in result.confidence_interval)
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = np.quantile(result.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def share_interval(per_stimulus: np.ndarray, *, draws: int = 2000, seed: int = 0) -> Interval:
    """Interval of a share of successes, such as retrieval's.

    A bootstrap of nothing but misses (or hits) knows no spread and would claim certainty; there the exact interval of
    Clopper and Pearson 1934 is given: no hit among 100 still allows 3.6 %.

    Args:
        per_stimulus: N probabilities of success, 0..1.
        draws: resamples.
        seed: of the resampling.

    Returns:
        As `bootstrap_interval`.
    """
    values = np.asarray(per_stimulus, dtype=np.float64)
    if len(values) > 1 and (np.all(values == 0) or np.all(values == 1)):
        ends = stats.binomtest(int(values.sum()), len(values)).proportion_ci(LEVEL, "exact")
        return Interval(float(ends.low), float(ends.high))
    return bootstrap_interval(values, draws=draws, seed=seed)


def bootstrap_pairs(success: np.ndarray, *, level: float = LEVEL, draws: int = 2000, seed: int = 0) -> Interval:
    """Bootstrap interval of two-way identification, resampling stimuli both as targets and as distractors.

    A stimulus that is drawn w times stands w times on either side; a stimulus is never its own distractor. Resampling
    the reconstructions alone would leave out that another test set brings other distractors.

    Args:
        success: N x N share of comparisons won, row = distractor stimulus, column = reconstruction; diagonal unused.
        level: coverage asked for.
        draws: resamples.
        seed: of the resampling.

    Returns:
        Percentile interval; NaN for fewer than three stimuli.
    """
    n = len(success)
    if n < 3:
        return Interval(float("nan"), float("nan"), level)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    won = np.array(success, dtype=np.float64)
    np.fill_diagonal(won, 0.0)
    numbers = np.einsum("bn,bn->b", weights @ won, weights) / (n**2 - (weights**2).sum(axis=1))
    low, high = np.quantile(numbers, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def assignment_test(
    fit: np.ndarray, *, permutations: int = 2000, seed: int = 0, larger_is_better: bool = True
) -> TestResult:
    """Permutation test of "the reconstructions belong to their stimuli".

    If they do not, any assignment of reconstructions to stimuli is as likely as the true one; the statistic is the
    mean of the per-stimulus numbers under an assignment. This holds however the comparisons depend on each other,
    unlike a binomial over N (N - 1) comparisons. Serves two-way identification, retrieval and correlation distance.

    Args:
        fit: N x N, row = stimulus, column = reconstruction: the number that reconstruction would get if it had been
            made for that stimulus; the diagonal is what was observed.
        permutations: random assignments.
        seed: of the assignments.
        larger_is_better: False for distances.

    Returns:
        One-sided test; p = (1 + assignments at least as good) / (1 + permutations).
    """
    fit = np.asarray(fit, dtype=np.float64)
    generator = np.random.default_rng(seed)
    columns = np.arange(len(fit))
    observed = fit.diagonal().mean()
    null = np.concatenate(
        [
            fit[generator.permuted(np.tile(columns, (count, 1)), axis=1), columns].mean(axis=1)
            for count in _chunks(permutations, max(1, 1_000_000 // len(fit)))
        ]
    )
    # equal means may differ in the last bits, since they are summed in another order
    slack = 1e-12 * max(1.0, abs(observed))
    as_good = null >= observed - slack if larger_is_better else null <= observed + slack
    return TestResult(
        float(observed), float((1 + as_good.sum()) / (1 + permutations)), float(null.mean()), permutations
    )


def _chunks(total: int, most: int) -> list[int]:
    return [min(most, total - start) for start in range(0, total, most)]


def paired_test(
    a_per_stimulus: np.ndarray,
    b_per_stimulus: np.ndarray,
    *,
    permutations: int = 9999,
    draws: int = 2000,
    seed: int = 0,
) -> PairedResult:
    """Whether two variants differ on the same stimuli.

    Under the null the two reconstructions of a stimulus may be exchanged, so signs of the differences are flipped at
    random (`scipy.stats.permutation_test`). Exact where each number depends on its own reconstruction alone, as those
    of all image metrics and of image retrieval do. In brain retrieval the other stimuli's estimates are the
    distractors, so there it is an approximation.

    Args:
        a_per_stimulus: N numbers of the first variant.
        b_per_stimulus: N numbers of the second, in the same order.
        permutations: sign flips.
        draws: resamples of the interval.
        seed: of both.

    Returns:
        Mean difference, its interval, and the two-sided p-value.

    Raises:
        ValueError: if the two have different lengths.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (a_per_stimulus, b_per_stimulus))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired variants need the same stimuli; there are {a.shape} and {b.shape}")
    interval = bootstrap_interval(a - b, draws=draws, seed=seed)
    if len(a) < 2 or not np.any(a != b):
        return PairedResult(float((a - b).mean()), interval.low, interval.high, 1.0, len(a))
    result = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=permutations,
        batch=max(1, 2_000_000 // len(a)),
        rng=np.random.default_rng(seed),
    )
    return PairedResult(float((a - b).mean()), interval.low, interval.high, float(result.pvalue), len(a))


def adjust(
    p_values: Sequence[float] | Mapping[str, float], method: Literal["holm", "bonferroni", "bh", "by"] = "holm"
) -> list[float] | dict[str, float]:
    """p-values adjusted for their number.

    Args:
        p_values: a list, or a table by name.
        method: ``holm`` (family-wise, Holm 1979) and ``bonferroni``; ``bh`` and ``by`` control the false discovery
            rate (`scipy.stats.false_discovery_control`).

    Returns:
        Adjusted values, at most 1, in the form they came in.

    Raises:
        ValueError: another method, or a value outside 0..1.
    """
    if isinstance(p_values, Mapping):
        return dict(zip(p_values, _adjusted(list(p_values.values()), method), strict=True))
    return _adjusted(p_values, method)


def _adjusted(p_values: Sequence[float], method: str) -> list[float]:
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values lie in 0..1")
    if method not in ("holm", "bonferroni", "bh", "by"):
        raise ValueError(f"there is no adjustment {method!r}; use holm, bonferroni, bh or by")
    if p.size == 0:
        return []
    if method in ("bh", "by"):
        return [float(x) for x in stats.false_discovery_control(p, method=method)]
    if method == "bonferroni":
        return [float(x) for x in np.minimum(1, p * p.size)]
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    return [float(x) for x in np.minimum(1, stepped)[np.argsort(order)]]


def variance_parts(values: np.ndarray) -> VarianceParts:
    """Variance over training seeds, prior samples and stimuli, apart.

    Balanced random-effects analysis of variance: stimuli are crossed with everything, samples are nested in seeds.
    Negative estimates are set to 0.

    Args:
        values: seeds x samples x stimuli, one score each.

    Returns:
        Variance components of a single score.

    Raises:
        ValueError: for another number of axes.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 3:
        raise ValueError(f"values are seeds x samples x stimuli, not {x.shape}")
    seeds, samples, stimuli = x.shape
    runs = x.mean(axis=2)  # seeds x samples
    of_stimulus = x.mean(axis=(0, 1))
    centred = x - runs[:, :, None] - of_stimulus[None, None, :] + x.mean()
    residual = _mean_square(centred, (seeds * samples - 1) * (stimuli - 1))
    within = _mean_square(stimuli**0.5 * (runs - runs.mean(axis=1, keepdims=True)), seeds * (samples - 1))
    between = _mean_square((samples * stimuli) ** 0.5 * (runs.mean(axis=1) - x.mean()), seeds - 1)
    across = _mean_square((seeds * samples) ** 0.5 * (of_stimulus - x.mean()), stimuli - 1)
    noise = 0.0 if np.isnan(residual) else residual
    sample = _part(within - noise, stimuli)
    below_seed = noise if np.isnan(within) else within
    seed = _part(between - below_seed, samples * stimuli)
    stimulus = _part(across - noise, seeds * samples)
    score_sd = float(np.sqrt(np.nansum([seed, sample, noise / stimuli])))
    return VarianceParts(seed, sample, stimulus, residual, score_sd)


def _mean_square(deviations: np.ndarray, freedom: int) -> float:
    return float((deviations**2).sum() / freedom) if freedom > 0 else float("nan")


def _part(excess: float, count: int) -> float:
    return float("nan") if np.isnan(excess) else max(0.0, excess / count)
