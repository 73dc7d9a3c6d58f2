"""From one spec to its rows: variants, grids and seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdk.errors import SpecError
from bdk.spec.grammar import Raw

ROW_KEYS = ("name", "label", "reported", "ours", "note", "run", "guides", "columns")
"""Keys of a variant that describe the row; all others are overrides."""


@dataclass
class Row:
    """One row of a sweep before its options are checked."""

    name: str
    label: str
    base: Raw
    overrides: tuple[tuple[str, Any], ...] = ()
    reported: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    ours: bool = False
    note: str = ""
    run: bool = True


def rows(raw: Raw, *, where: str) -> list[Row]:
    """All rows of a spec, in the order they are written.

    Raises:
        SpecError: two rows share a name, or a grid is not a table of lists.
    """
    base = {key: value for key, value in raw.items() if key not in ("variant", "grid")}
    found = [*_variants(raw, base, where), *_grid(raw, base, where)]
    if not found:
        found = [Row(str(raw["name"]), str(raw.get("label", raw["name"])), base, reported=raw.get("reported", {}))]
    names = [row.name for row in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SpecError(f"Two rows are called {sorted(twice)[0]!r}.", where=where, mend="Give every variant its own name.")
    return found


def swept_keys(raw: Raw) -> set[str]:
    """Keys that variants or the grid set; the command line may not."""
    keys = {key for variant in raw.get("variant", ()) for key in _flat(variant) if key.split(".")[0] not in ROW_KEYS}
    keys |= {key for variant in raw.get("variant", ()) for key in variant if key == "guides"}
    return keys | set(raw.get("grid", {}))


def _variants(raw: Raw, base: Raw, where: str) -> Iterator[Row]:
    variants = raw.get("variant", [])
    if not isinstance(variants, list):
        raise SpecError("Variants are written as [[variant]] tables.", where=where)
    for number, variant in enumerate(variants, 1):
        name = str(variant.get("name", f"variant-{number}"))
        yield Row(
            name,
            str(variant.get("label", name)),
            base,
            tuple((key, value) for key, value in variant.items() if key not in ROW_KEYS or key == "guides"),
            variant.get("reported", {}),
            variant.get("columns", {}),
            bool(variant.get("ours", False)),
            str(variant.get("note", "")),
            bool(variant.get("run", True)),
        )


def _grid(raw: Raw, base: Raw, where: str) -> Iterator[Row]:
    grid = raw.get("grid", {})
    if not isinstance(grid, Mapping) or not all(isinstance(values, list) and values for values in grid.values()):
        raise SpecError('A grid is a table of lists: fusion = ["average", "ram"].', where=where)
    if not grid:
        return
    for values in itertools.product(*grid.values()):
        name = "-".join(str(value) for value in values)
        about = raw.get("rows", {}).get(name, {})
        reported = raw.get("reported", {}).get(name, {})
        yield Row(
            name,
            str(about.get("label", name)),
            base,
            tuple(zip(grid, values, strict=True)),
            reported,
            {},
            bool(about.get("ours", False)),
            str(about.get("note", "")),
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


