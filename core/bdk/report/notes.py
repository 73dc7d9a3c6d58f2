"""Footnotes of a table, and the remarks that say how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bdk.report.cells import Column
from bdk.report.records import Condition, Line

if TYPE_CHECKING:
    from bdk.report.table import Row


@dataclass
class Notes:
    """Footnotes numbered in order of appearance; equal texts share a number."""

    texts: dict[int, str] = field(default_factory=dict)

    def mark(self, text: str) -> int:
        """The number of a footnote; a new one is added."""
        for number, known in self.texts.items():
            if known == text:
                return number
        self.texts[len(self.texts) + 1] = text
        return len(self.texts)


def how_to_read(
    rows: Sequence[Row], columns: Sequence[Column], conditions: Mapping[str, Condition], is_compared: bool
) -> list[str]:
    """What the numbers, marks and letters of a table mean, as far as they occur."""
    found = [_conditions(conditions)] if conditions else []
    found += _numbers(rows)
    found += _marks(rows, len(conditions), is_compared)
    found += _recipes(columns)
    if any(cell.paper is not None for row in rows for cell in row.cells):
        found.append(
            "Numbers labelled paper are carried over from the publication as printed there; they were measured on "
            "other data, take no part in any comparison and never bear a mark."
        )
    if any(row.ours for row in rows):
        found.append("Rows marked ours are not in the paper.")
    return found


def measured_remarks(lines: Sequence[Line], columns: Sequence[Column]) -> list[str]:
    """What the measurements say of themselves: embedding scored in retrieval, noise ceiling, audits that were clean."""
    records = [record for line in lines for record in line.records]
    entries = [r.scores["metrics"].get(c.metric, {}) for c in columns if c.level == "retrieval" for r in records]
    scored = dict.fromkeys(str(entry["network"]) for entry in entries if entry.get("network"))
    found = [f"Retrieval is scored by: {next(iter(scored))}."] if len(scored) == 1 else []
    found += dict.fromkeys(text for r in records if (text := _ceiling(r.scores.get("ceiling") or {})))
    found += dict.fromkeys(text for r in records if (text := _features(r.scores.get("features") or {})))
    clean = [audit["summary"] for r in records for audit in r.scores.get("audits", ()) if not audit["matches"]]
    return found + [f"Near-duplicates: {text}." for text in dict.fromkeys(clean)]


def _ceiling(facts: Mapping[str, object]) -> str:
    if facts.get("missing"):
        return f"No noise ceiling: {facts['missing']}"
    if "voxels_median" not in facts:
        return ""
    shares = " / ".join(f"{facts[key]:.2f}" for key in ("voxels_p10", "voxels_median", "voxels_p90"))
    return f"Noise ceiling of the voxels, 10th / 50th / 90th percentile of explainable variance: {shares}."


def _features(guides: Mapping[str, Mapping[str, Any]]) -> str:
    """How well stage I reads the features of each guide."""
    texts = []
    for guide, facts in guides.items():
        if facts.get("value") is not None:
            ends = "" if facts.get("low") is None else f" [{facts['low']:.3f}, {facts['high']:.3f}]"
            share = facts.get("of_attainable")
            of = "" if share is None else f", {100 * share:.0f} % of the attainable {facts['ceiling']:.3f}"
            texts.append(f"{guide} {facts['value']:.3f}{ends}{of}")
    return f"Features read by stage I, mean correlation over test stimuli: {'; '.join(texts)}." if texts else ""


def _conditions(conditions: Mapping[str, Condition]) -> str:
    if len(conditions) == 1:
        return f"Data: {next(iter(conditions.values()))}."
    listed = "; ".join(f"({letter}) {condition}" for letter, condition in conditions.items())
    return f"Rows differ in data or split and are not comparable with each other: {listed}. The column Data says which."


def _numbers(rows: Sequence[Row]) -> list[str]:
    cells = [cell for row in rows for cell in row.cells]
    found = []
    if any(cell.low is not None for cell in cells):
        found.append("In brackets: 95 % bootstrap interval over test stimuli.")
    if any(cell.spread is not None for cell in cells):
        found.append(
            "Seeds are averaged; ± is the standard deviation between them, and intervals are the mean of theirs."
        )
    if any(cell.at_chance for row in rows if row.kind == "run" for cell in row.cells):
        found.append(
            "°: cannot be told from chance. Some metrics have a chance of their own in every row, as scores of wrong "
            "pairs depend on what the pictures look like; it is told where it differs from the chance row."
        )
    if any(row.is_oracle for row in rows):
        found.append(
            "Rows stamped oracle chose their pictures with the stimulus itself and take no part in comparisons."
        )
    return found


def _marks(rows: Sequence[Row], conditions: int, is_compared: bool) -> list[str]:
    if sum(row.kind == "run" for row in rows) < 2:
        return []
    if conditions > 1:
        return ["Nothing is marked best or second, since the rows differ in data or split."]
    if not is_compared:
        return []
    return [
        "Bold: better than every other row; underlined: behind that one and better than all the rest; both only where "
        "a paired sign-flip test over stimuli supports it (p < .05 after Holm over all marks of the table). The test "
        "speaks of these trained models; what another training seed would change, it does not see."
    ]


def _recipes(columns: Sequence[Column]) -> list[str]:
    pictures = [column for column in columns if column.level != "retrieval"]
    presets = dict.fromkeys(column.preset for column in pictures if column.preset)
    users: dict[str, list[str]] = {}
    for column in columns:
        if column.network and not column.is_split:
            is_pool = column.level == "retrieval"
            name = f"top 1 {column.network}" if is_pool else column.network
            name += f", standing in for {column.stand_in_for}" if column.stand_in_for else ""
            users.setdefault(name, []).append(column.label)
    networks = [f"{name} ({', '.join(labels)})" for name, labels in users.items()]
    found = [f"Preprocessing of the metrics: {', '.join(presets)}."] if presets else []
    return [*found, f"Networks and pools: {'; '.join(networks)}."] if networks else found
