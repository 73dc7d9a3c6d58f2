"""Claims that a table is asked about: which row should be better than which others, and who says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bdk.errors import SpecError
from bdk.registry import Registry
from bdk.spec.grammar import Raw, unknown

KEYS = ("text", "source", "better", "than", "metrics", "ours")
INHERITED = "inherited"
"""Set by `bdk.spec.files` on claims of a spec that is extended."""


@dataclass(frozen=True)
class Claim:
    """One claim, as ``[[claim]]`` states it.

    Args:
        text: in words.
        source: where it is made, such as ``section 5.3``.
        better: name of the row that should be better.
        than: names of the rows that it should be better than.
        metrics: in which metrics; empty means all of the table.
        ours: whether the paper does not make it.
    """

    text: str
    source: str
    better: str
    than: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    ours: bool = False


def read_claims(raw: Raw, names: Collection[str], registry: Registry, where: str) -> tuple[Claim, ...]:
    """The claims of a spec.

    Args:
        raw: the spec.
        names: its rows.
        registry: knows the metrics.
        where: its name, for messages.

    Returns:
        The spec's own claims, or those of the spec it extends as far as their rows are here.

    Raises:
        SpecError: a claim lacks a word, or names a row or a metric that is not there.
    """
    entries = raw.get("claim", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SpecError("Claims are written as [[claim]] tables.", where=where)
    found = [_claim(dict(entry), names, registry, f"{where}, claim {n}") for n, entry in enumerate(entries, 1)]
    return tuple(claim for claim in found if claim is not None)


def _claim(entry: dict[str, Any], names: Collection[str], registry: Registry, where: str) -> Claim | None:
    inherited = bool(entry.pop(INHERITED, False))
    for key in entry:
        if key not in KEYS:
            raise unknown("key of a claim", key, KEYS, where=where)
    for key in ("text", "better", "than"):
        if not entry.get(key):
            raise SpecError(f"The claim has no {key!r}.", where=where, mend='Write better = "ROW" and than = ["ROW"].')
    than = (entry["than"],) if isinstance(entry["than"], str) else tuple(entry["than"])
    if inherited:
        than = tuple(name for name in than if name in names)
        if entry["better"] not in names or not than:
            return None
    for name in (entry["better"], *than):
        if name not in names:
            raise unknown("row", name, names, where=where)
    for name in entry.get("metrics", ()):
        registry.metric(name)
    return Claim(
        str(entry["text"]),
        str(entry.get("source", "")),
        str(entry["better"]),
        than,
        tuple(entry.get("metrics", ())),
        bool(entry.get("ours", False)),
    )
