"""Scores side by side: recipes and networks never share a column, and nothing is shown without its marks. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bdk.metrics.score import Score


@dataclass(frozen=True)
class Column:
    """One column: all its numbers share metric, preset, network and weights.

    Args:
        name: metric.
        heading: the metric's name, with preset and network where another column of that metric differs in them.
        scores: by row.
    """

    name: str
    heading: str
    scores: Mapping[str, Score]


def side_by_side(rows: Mapping[str, Mapping[str, Score]]) -> list[Column]:
    """Arrange scores of several rows in columns that are comparable downwards.

    Args:
        rows: scores by metric, by row.

    Returns:
        Columns in the order of first appearance; a metric measured in two ways has two columns.
    """
    groups: dict[tuple[str, str, str, str], dict[str, Score]] = {}
    for row, scores in rows.items():
        for score in scores.values():
            groups.setdefault(_kind(score, groups), {})[row] = score
    ways: dict[str, int] = {}
    for key in groups:
        ways[key[0]] = ways.get(key[0], 0) + 1
    order = list(dict.fromkeys(key[0] for key in groups))
    keys = sorted(groups, key=lambda key: order.index(key[0]))
    return [Column(key[0], _heading(key, ways[key[0]]), groups[key]) for key in keys]


def _kind(score: Score, groups: Mapping[tuple[str, str, str, str], object]) -> tuple[str, str, str, str]:
    """A score without a value has no network; it stands in the first column of its metric and preset."""
    if score.value is not None:
        return score.column
    same = (key for key in groups if key[:2] == (score.name, score.preset))
    return next(same, score.column)


def _heading(key: tuple[str, str, str, str], ways: int) -> str:
    name, preset, network, _ = key
    if ways == 1:
        return name
    return f"{name} [{preset} {network}]" if network else f"{name} [{preset}]"


def score_lines(scores: Mapping[str, Score]) -> list[str]:
    """One table of one row's scores, for a terminal: value, interval, chance, p, and what it was measured with."""
    cells = [("metric", "value", "95 %", "chance", "p", "measured with"), *(_cells(*item) for item in scores.items())]
    widths = [max(len(row[i]) for row in cells) for i in range(5)]
    return ["  ".join([*map(str.ljust, row[:5], widths), row[5]]).rstrip() for row in cells]


def _cells(name: str, score: Score) -> tuple[str, str, str, str, str, str]:
    if score.value is None:
        return name, "missing", "", "", "", score.missing
    value = score.printed() + _arrow(score)
    return name, value, _interval(score), _plain(score, score.chance), _p(score), _with(score)


def _arrow(score: Score) -> str:
    return "" if score.direction == "up" else " (less is better)"


def _interval(score: Score) -> str:
    if score.low is None or score.high is None or score.low != score.low:
        return ""
    return f"{_plain(score, score.low)} to {_plain(score, score.high)}"


def _plain(score: Score, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if score.unit == "fraction" else f"{value:.3f}"


def _p(score: Score) -> str:
    return "" if score.p_value is None else f"{score.p_value:.4f}"


def _with(score: Score) -> str:
    parts = [score.network]
    if score.stand_in_for:
        parts.append(f"STAND-IN for {score.stand_in_for}")
    if score.weights_sha256:
        parts.append(f"sha256 {score.weights_sha256[:8]}")
    parts += [*score.stamps, score.note]
    return "; ".join(filter(None, parts))
