"""One number of a table: its seeds averaged, with everything that must stand beside it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Mark = Literal["", "best", "second"]
ALPHA = 0.05
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Column:
    """A metric as one recipe and one network measure it; other recipes are other columns.

    Args:
        metric: key in ``metrics.json``.
        label: heading.
        direction: ``up`` if larger is better.
        unit: ``fraction`` (0..1) is kept as it is and printed in percent, as papers do.
        preset: recipe of the preprocessing.
        network: feature network; empty for pixel metrics; the pool for retrieval.
        stand_in_for: the published network that it stands in for.
        weights: checksum of the network's weights.
        level: ``low``, ``high`` or ``retrieval``.
        is_split: whether the metric has more than one column.
    """

    metric: str
    label: str
    direction: str = "up"
    unit: str = ""
    preset: str = ""
    network: str = ""
    stand_in_for: str = ""
    weights: str = ""
    level: str = ""
    is_split: bool = False

    @property
    def heading(self) -> str:
        """Label with its arrow, and the recipe where there are several."""
        recipe = f" ({', '.join(filter(None, [self.preset, self.network]))})" if self.is_split else ""
        return f"{self.label}{recipe} {'↓' if self.direction == 'down' else '↑'}"

    @property
    def scale(self) -> float:
        """Factor between the number kept and the number printed."""
        return 100.0 if self.unit == "fraction" else 1.0

    @property
    def digits(self) -> int:
        """Decimals printed."""
        return 1 if self.unit == "fraction" else 3

    def printed(self, value: float | None, *, signed: bool = False) -> str:
        """A value as the table shows it."""
        if value is None or not math.isfinite(value):
            return "–"
        text = f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"
        # a rounded zero has no sign
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", MINUS)

    def cited(self, value: float, *, signed: bool = False) -> str:
        """A number of the literature, which is kept as it was printed: percentages are percent."""
        return f"{value:{'+' if signed else ''}.{self.digits}f}".replace("-", MINUS)


@dataclass(frozen=True)
class Cell:
    """One number.

    Args:
        value: mean over seeds; None if there is none.
        low: lower end of the 95 % interval over stimuli, averaged over seeds.
        high: upper end of it.
        spread: standard deviation between seeds; None with one seed.
        seeds: how many seeds were averaged.
        chance: what these reconstructions would score by chance, where the table's chance row says otherwise.
        attainable: share of what the noise ceiling allows, 0 at chance to 1 at the ceiling; None if not known.
        at_chance: whether the number cannot be told from chance.
        missing: why there is no value.
        paper: the paper's number, as printed there; never mixed with ours.
        mark: ``best`` or ``second`` where the paired test supports it.
        notes: marks of footnotes on our number.
        paper_notes: marks of footnotes on the paper's.
        stamps: what must stand beside this number.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    seeds: int = 0
    chance: float | None = None
    attainable: float | None = None
    at_chance: bool = False
    missing: str = ""
    paper: float | None = None
    mark: Mark = ""
    notes: tuple[int, ...] = ()
    paper_notes: tuple[int, ...] = ()
    stamps: tuple[str, ...] = ()

    def interval(self, column: Column) -> str:
        """The interval as printed; empty if there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"[{column.printed(self.low)}, {column.printed(self.high)}]"

    @property
    def attainable_text(self) -> str:
        """The share of the attainable as printed; empty if it is not known."""
        return "" if self.attainable is None else f"{100 * self.attainable:.0f} % of ceiling"

    def chance_text(self, column: Column) -> str:
        """The row's own chance level as printed; empty where the chance row holds for it."""
        return "" if self.chance is None else f"own chance {column.printed(self.chance)}"

    def spread_text(self, column: Column) -> str:
        """The spread between seeds as printed; empty with one seed."""
        return "" if self.spread is None else f"± {column.printed(self.spread)}"


def said(value: object) -> str:
    """A value of the spec's own columns, in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def average(entries: Sequence[Mapping[str, Any]]) -> Cell:
    """The cell of some seeds' entries of ``metrics.json``; seeds without a value are left out and counted."""
    found = [entry for entry in entries if entry.get("value") is not None]
    stamps = tuple(dict.fromkeys(str(stamp) for entry in entries for stamp in entry.get("stamps", ())))
    if not found:
        reasons = dict.fromkeys(str(entry.get("missing", "not measured")) for entry in entries)
        return Cell(missing="; ".join(reasons) or "not measured", stamps=stamps)
    values = [float(entry["value"]) for entry in found]
    return Cell(
        value=_same_or_mean(values),
        low=_mean(found, "low"),
        high=_mean(found, "high"),
        spread=statistics.stdev(values) if len(values) > 1 else None,
        seeds=len(values),
        chance=_mean(found, "chance"),
        attainable=_mean(found, "of_attainable"),
        at_chance=all(_at_chance(entry) for entry in found),
        stamps=stamps,
    )


def _mean(entries: Sequence[Mapping[str, Any]], key: str) -> float | None:
    numbers = [entry.get(key) for entry in entries]
    return None if None in numbers else _same_or_mean([float(x) for x in numbers if x is not None])


def _same_or_mean(numbers: Sequence[float]) -> float:
    """The mean; of equal numbers that number, to the last bit."""
    return numbers[0] if len(set(numbers)) == 1 else statistics.fmean(numbers)


def _at_chance(entry: Mapping[str, Any]) -> bool:
    """By the permutation test where there is one, else by the interval."""
    if entry.get("p_value") is not None:
        return bool(entry["p_value"] > ALPHA)
    low, high, chance = (entry.get(key) for key in ("low", "high", "chance"))
    return low is not None and high is not None and chance is not None and low <= chance <= high
