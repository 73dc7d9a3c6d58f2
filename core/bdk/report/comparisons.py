"""Paired comparisons of rows, and the marks of a table that they support."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bdk.report.cells import ALPHA, Column, Mark
from bdk.report.records import Line

FLIPS = 9999
CHUNK = 1000


@dataclass(frozen=True)
class Difference:
    """A paired difference between two rows in one metric.

    Args:
        metric: key of the metric.
        difference: mean over stimuli, in the metric's unit.
        low: lower end of its 95 % interval over stimuli.
        high: upper end of it.
        p_value: two-sided sign-flip test over stimuli, seeds averaged first.
        p_adjusted: the same after Holm over the tests that are read together.
        n: stimuli.
    """

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    n: int


@dataclass(frozen=True)
class Comparison(Difference):
    """Two rows on the same stimuli, first - second; Holm over all pairs of the metric.

    Args:
        first: name of a row.
        second: name of a row further down.
    """

    first: str
    second: str

    def better(self, direction: str) -> str:
        """Name of the row that the test supports; empty if it supports neither."""
        if self.p_adjusted >= ALPHA or self.difference == 0:
            return ""
        return self.first if (self.difference > 0) == (direction == "up") else self.second


def comparable(lines: Sequence[Line]) -> list[Line]:
    """Rows that may be compared: finished, not chosen by oracle; none at all if their data or splits differ."""
    rows = [line for line in lines if line.records and not line.is_oracle]
    conditions = {record.condition for line in rows for record in line.records}
    return rows if len(conditions) == 1 else []


def compare(lines: Sequence[Line], columns: Sequence[Column]) -> list[Comparison]:
    """Every pair of rows in every metric that has one column and per-stimulus numbers, seeds averaged first."""
    rows = comparable(lines)
    found: list[Comparison] = []
    for column in columns:
        numbers = {} if column.is_split else per_stimulus(rows, column.metric)
        if len(numbers) > 1:
            found += _pairs(column.metric, numbers)
    return found


def per_stimulus(lines: Sequence[Line], metric: str) -> dict[str, np.ndarray]:
    """Scores of each test stimulus, averaged over seeds, by row; rows without them are left out."""
    found = {}
    for line in lines:
        parts = [record.measured(metric) for record in line.records]
        whole = [part for part in parts if part is not None and np.isfinite(part).all()]
        if len(whole) == len(parts):
            found[line.name] = np.mean(np.stack(whole), axis=0)
    return found


def _pairs(metric: str, numbers: Mapping[str, np.ndarray]) -> list[Comparison]:
    from bdk.statistics import bootstrap_interval

    pairs = list(itertools.combinations(numbers, 2))
    differences = np.stack([numbers[a] - numbers[b] for a, b in pairs])
    p_values = sign_flips(differences)
    adjusted = holm(p_values.tolist())
    found = []
    for (a, b), difference, p, q in zip(pairs, differences, p_values, adjusted, strict=True):
        ends = bootstrap_interval(difference)
        found.append(
            Comparison(metric, float(difference.mean()), ends.low, ends.high, float(p), float(q), len(difference), a, b)
        )
    return found


def holm(p_values: list[float]) -> list[float]:
    """The p-values after Holm's adjustment."""
    from bdk.statistics import adjust

    adjusted = adjust(p_values, "holm")
    assert isinstance(adjusted, list)
    return adjusted


def sign_flips(differences: np.ndarray, *, flips: int = FLIPS, seed: int = 0) -> np.ndarray:
    """Two-sided paired permutation test of many pairs at once; all share the same sign flips.

    The test of `bdk.statistics.paired_test`, of which a table needs hundreds: one matrix product instead of a loop.

    Args:
        differences: pairs x N.
        flips: random flips; all of them are enumerated if there are no more.
        seed: of the flips.

    Returns:
        One p-value a pair: (1 + flips at least as far from 0) / (1 + flips); the plain share when enumerated.
    """
    pairs, n = differences.shape
    observed = np.abs(differences.mean(axis=1))
    slack = 1e-12 * np.maximum(1.0, observed)
    exact = 2**n <= flips if n < 63 else False
    count, drawn = np.zeros(pairs), 0
    for signs in _signs(n, flips, seed, exact):
        count += (np.abs(signs @ differences.T / n) >= observed - slack).sum(axis=0)
        drawn += len(signs)
    return count / drawn if exact else (1 + count) / (1 + drawn)


def _signs(n: int, flips: int, seed: int, exact: bool):
    """Blocks of sign flips, rows of +1 and -1."""
    if exact:
        yield np.array(list(itertools.product((1.0, -1.0), repeat=n)))
        return
    generator = np.random.default_rng(seed)
    for start in range(0, flips, CHUNK):
        yield generator.integers(0, 2, size=(min(CHUNK, flips - start), n)) * 2.0 - 1.0


def marks(
    comparisons: Sequence[Comparison], columns: Sequence[Column], lines: Sequence[Line]
) -> dict[tuple[str, str], Mark]:
    """Which numbers may be called best and second, by (row, metric).

    The leader is best if it beats every other row; its p-value is the largest of those. The next row is second if
    the leader is best and it beats every row below. All claims of the table share one Holm adjustment.
    """
    claims: dict[tuple[str, str], float] = {}
    for column in columns:
        order = [] if column.is_split else _ranking(comparable(lines), column)
        for place, name in enumerate(order[:2]):
            if below := order[place + 1 :]:
                claims[name, column.metric] = max(_p_value(comparisons, column.metric, name, other) for other in below)
    adjusted = holm(list(claims.values()))
    supported = {claim for claim, p in zip(claims, adjusted, strict=True) if p < ALPHA}
    return {claim: mark for column in columns for claim, mark in _given(claims, supported, column.metric)}


def _ranking(lines: Sequence[Line], column: Column) -> list[str]:
    means = {name: float(numbers.mean()) for name, numbers in per_stimulus(lines, column.metric).items()}
    return sorted(means, key=lambda name: means[name], reverse=column.direction == "up")


def _given(
    claims: Mapping[tuple[str, str], float], supported: set[tuple[str, str]], metric: str
) -> list[tuple[tuple[str, str], Mark]]:
    words: tuple[Mark, Mark] = ("best", "second")
    found: list[tuple[tuple[str, str], Mark]] = []
    for claim, mark in zip([claim for claim in claims if claim[1] == metric], words, strict=False):
        if claim not in supported:
            break
        found.append((claim, mark))
    return found


def _p_value(comparisons: Sequence[Comparison], metric: str, a: str, b: str) -> float:
    return next(c.p_value for c in comparisons if c.metric == metric and {c.first, c.second} == {a, b})
