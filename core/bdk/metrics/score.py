"""What a metric returns: a number with everything that is needed to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Measurement:
    """What a metric found, before intervals and tests are added.

    Args:
        value: the number.
        per_stimulus: N numbers whose mean is the value; None if the value is no mean over stimuli.
        success: N x N, row = stimulus, column = reconstruction: share (0..1) of the comparisons "this distractor
            stimulus against the reconstruction's own" that were won; its mean off the diagonal is the value.
        fit: N x N, row = stimulus, column = reconstruction: what the per-stimulus number would be had the
            reconstruction been made for that stimulus. Its diagonal is ``per_stimulus``; the permutation test
            reads the rest.
        chance: expected value of reconstructions that know nothing; None if not known.
        note: what a reader must know, such as the number of flat pictures.
        per_candidate: N x S, the per-stimulus numbers of each candidate apart; None with one candidate.
    """

    value: float
    per_stimulus: np.ndarray | None = None
    success: np.ndarray | None = None
    fit: np.ndarray | None = None
    chance: float | None = None
    note: str = ""
    per_candidate: np.ndarray | None = None


@dataclass(frozen=True)
class Score:
    """One number of a table.

    Values are kept in the metric's natural unit: two-way identification and retrieval are fractions 0..1, printed
    in percent, as papers do.

    Args:
        value: the number; None if it could not be computed.
        low: lower end of the 95 % bootstrap interval over stimuli.
        high: upper end of it.
        chance: what reconstructions that know nothing score.
        direction: ``up`` if larger is better.
        preset: which published recipe the preprocessing follows.
        network: feature network, with the layer; empty for pixel metrics.
        weights_sha256: checksum of that network's weights file.
        n: stimuli.
        per_stimulus: one number per stimulus, for paired tests; not written to JSON.
        preprocessing: every resize, crop and normalisation, in words.
        unit: of ``value``: ``corr``, ``index``, ``fraction`` (0..1) or ``correlation_distance``.
        missing: why there is no value; empty if there is one.
        p_value: permutation test against chance, one-sided; None where there is no such test.
        name: key in ``metrics.json``.
        stand_in_for: the published network that ``network`` stands in for; empty if it is the published one.
        candidates: S, reconstructions per stimulus that were averaged over.
        note: what else a reader must know.
        stamps: marks that must stand beside the number wherever it is shown, such as ``oracle``.
        details: further facts of the protocol (pool, draws, seed, tie rule).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    direction: Direction = "up"
    preset: str = ""
    network: str = ""
    weights_sha256: str = ""
    n: int = 0
    per_stimulus: np.ndarray | None = None
    preprocessing: str = ""
    unit: str = ""
    missing: str = ""
    p_value: float | None = None
    name: str = ""
    stand_in_for: str = ""
    candidates: int = 1
    note: str = ""
    stamps: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The entry of ``metrics.json``: plain numbers and words, no arrays, nothing empty but ``value``."""
        entry: dict[str, Any] = {"value": _finite(self.value)}
        for key in ("low", "high", "chance", "p_value"):
            entry[key] = _finite(getattr(self, key))
        for key in ("direction", "unit", "preset", "network", "weights_sha256", "n", "preprocessing"):
            entry[key] = getattr(self, key)
        for key in ("missing", "stand_in_for", "note"):
            if getattr(self, key):
                entry[key] = getattr(self, key)
        if self.candidates > 1:
            entry["candidates"] = self.candidates
        if self.stamps:
            entry["stamps"] = list(self.stamps)
        return entry | self.details

    def stamped(self, *marks: str) -> Score:
        """The same number with marks that must be shown beside it."""
        return replace(self, stamps=tuple(dict.fromkeys((*self.stamps, *marks))))

    def printed(self, digits: int | None = None) -> str:
        """The value as a table shows it: percentages with one decimal, everything else with three."""
        if self.value is None:
            return "missing"
        if self.unit == "fraction":
            return f"{100 * self.value:.{1 if digits is None else digits}f}"
        return f"{self.value:.{3 if digits is None else digits}f}"

    @property
    def column(self) -> tuple[str, str, str, str]:
        """What two numbers must share to stand in one column: metric, preset, network and its weights."""
        return self.name, self.preset, self.network, self.weights_sha256


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
