"""What the paper printed, and where it does not add up: `bdk/specs/paper_tables.toml`, read."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from bdk.errors import UnknownNameError


@dataclass(frozen=True)
class Slip:
    """One thing of the paper that does not add up.

    Args:
        id: such as ``I4``; specs name it in ``footnotes``.
        kind: such as ``claim against table``.
        where: place in the paper.
        text: what is said and what is so.
        at: cells it stands beside, as (table, row, metric); an empty word means all.
    """

    id: str
    kind: str
    where: str
    text: str
    at: tuple[tuple[str, str, str], ...]

    def stands_at(self, table: str, row: str, metric: str) -> bool:
        """Whether it belongs to exactly this cell, row (empty metric) or table (empty row and metric)."""
        return (table, row, metric) in self.at


@cache
def _raw() -> dict[str, Any]:
    text = importlib.resources.files("bdk.specs").joinpath("paper_tables.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def published_rows(table: str) -> dict[str, dict[str, float]]:
    """The numbers of one of the paper's tables, by row and metric, as printed (percentages are percent).

    Raises:
        UnknownNameError: the paper has no such table.
    """
    raw = _raw()
    tables = [name for name in raw if name.startswith("table")]
    if table not in tables:
        raise UnknownNameError(f"The paper has no table {table!r}.", mend=f"Its tables: {', '.join(tables)}.")
    rows: Mapping[str, Mapping[str, Any]] = raw[table]["rows"]
    return {name: {key: value for key, value in row.items() if key != "label"} for name, row in rows.items()}


def slips(ids: Iterable[str]) -> list[Slip]:
    """The paper's slips of these ids, in their order.

    Raises:
        UnknownNameError: there is no such id.
    """
    known: Mapping[str, Mapping[str, Any]] = _raw()["inconsistency"]
    found = []
    for id in ids:
        if id not in known:
            raise UnknownNameError(
                f"There is no footnote {id!r}.", where="footnotes", mend=f"Footnotes: {', '.join(known)}."
            )
        entry = known[id]
        at = tuple(tuple(place.split("/")) for place in entry["at"])
        found.append(Slip(id, entry["kind"], entry["where"], entry["text"], at))  # type: ignore[arg-type]
    return found
