"""Loss curves: what each training's loss did, as points to draw and as words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bdk.artifacts import Artifact
from bdk.report.records import Line

BINS = 120
ROWS = 8
"""Lines of the table that stands under a curve."""


@dataclass(frozen=True)
class Curve:
    """The loss of one training.

    Args:
        label: the step's.
        labels: rows of the sweep that share it.
        steps: first step of each bin.
        losses: mean loss of each bin.
        total: optimiser steps.
        per_bin: steps of one bin.
        lowest: smallest bin and its step.
    """

    label: str
    labels: tuple[str, ...]
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    total: int
    per_bin: int
    lowest: tuple[float, int]

    @property
    def is_log(self) -> bool:
        """Whether the axis of losses is logarithmic: if they span more than a factor of eight."""
        return min(self.losses) > 0 and max(self.losses) > 8 * min(self.losses)

    @property
    def words(self) -> str:
        """What the curve shows, for those who do not see it."""
        went = "fell" if self.losses[-1] < self.losses[0] else "rose" if self.losses[-1] > self.losses[0] else "stayed"
        averaged = f" Each point is the mean of {self.per_bin} steps." if self.per_bin > 1 else ""
        return (
            f"Over {self.total} steps the loss {went} from {self.losses[0]:.4g} to {self.losses[-1]:.4g}; "
            f"lowest {self.lowest[0]:.4g}, from step {self.lowest[1]} on.{averaged}"
        )

    @property
    def excerpt(self) -> list[tuple[int, float]]:
        """Some points, evenly spread, first and last included."""
        last = len(self.steps) - 1
        places = sorted({round(i * last / max(1, ROWS - 1)) for i in range(ROWS)})
        return [(self.steps[place], self.losses[place]) for place in places]


def build_curves(lines: Sequence[Line]) -> list[Curve]:
    """Every distinct training of the rows' first seeds; closed forms have none."""
    holders: dict[str, list[str]] = {}
    artifacts: dict[str, Artifact] = {}
    for line in lines:
        for record in line.records[:1]:
            for _, artifact in record.trained():
                holders.setdefault(artifact.key, []).append(line.label)
                artifacts.setdefault(artifact.key, artifact)
    curves = [_curve(artifacts[key], tuple(labels)) for key, labels in holders.items()]
    return [curve for curve in curves if curve is not None]


def _curve(artifact: Artifact, labels: tuple[str, ...]) -> Curve | None:
    rows: list[Mapping[str, float]] = artifact.json("losses.json") if artifact.has("losses.json") else []
    rows = [row for row in rows if math.isfinite(row.get("loss", math.nan))]
    if not rows:
        return None
    per_bin = math.ceil(len(rows) / BINS)
    bins = [rows[start : start + per_bin] for start in range(0, len(rows), per_bin)]
    steps = tuple(int(part[0]["step"]) for part in bins)
    losses = tuple(statistics.fmean(row["loss"] for row in part) for part in bins)
    lowest = min(zip(losses, steps, strict=True))
    return Curve(artifact.recipe["label"], labels, steps, losses, len(rows), per_bin, lowest)
