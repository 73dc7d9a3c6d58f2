"""From one spec to its rows: variants, grids and seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdk.errors import SpecError
from bdk.spec.grammar import OVERRIDABLE, Raw, merge

ROW_KEYS = ("name", "label", "reported", "ours", "note", "run", "guides", "columns", "spec")
"""Keys of a variant that describe the row; all others are overrides."""
SHARED = (*OVERRIDABLE, "when", "defaults")
"""What a sweep says for all of its rows, those that take another spec included."""
Read = Callable[[str], Raw]


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


def rows(raw: Raw, *, where: str, read: Read) -> list[Row]:
    """All rows of a spec, in the order they are written.

    Args:
        raw: the spec.
        where: its name, for messages.
        read: reads another spec that a row names (``spec = "mindeye"``).

    Raises:
        SpecError: two rows share a name, a grid is not a table of lists, or a row names a spec that is a sweep.
    """
    base = {key: value for key, value in raw.items() if key not in ("variant", "grid")}
    found = [*_variants(raw, base, where, read), *_grid(raw, base, where)]
    if not found:
        found = [_single(raw, base)]
    names = [row.name for row in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SpecError(
            f"Two rows are called {sorted(twice)[0]!r}.", where=where, mend="Give every variant its own name."
        )
    return found


def swept_keys(raw: Raw) -> set[str]:
    """Keys that variants or the grid set; the command line may not."""
    keys = {key for variant in raw.get("variant", ()) for key in _flat(variant) if key.split(".")[0] not in ROW_KEYS}
    keys |= {key for variant in raw.get("variant", ()) for key in variant if key == "guides"}
    return keys | set(raw.get("grid", {}))


def _single(raw: Raw, base: Raw) -> Row:
    name = str(raw["name"])
    return Row(name, str(raw.get("label", name)), base, reported=raw.get("reported", {}), note=str(raw.get("note", "")))


def _variants(raw: Raw, base: Raw, where: str, read: Read) -> Iterator[Row]:
    variants = raw.get("variant", [])
    if not isinstance(variants, list):
        raise SpecError("Variants are written as [[variant]] tables.", where=where)
    for number, variant in enumerate(variants, 1):
        name = str(variant.get("name", f"variant-{number}"))
        about, start = _start(variant, base, f"{where}, row {name!r}", read)
        yield Row(
            name,
            str(variant.get("label", about.get("label", name))),
            start,
            tuple((key, value) for key, value in variant.items() if key not in ROW_KEYS or key == "guides"),
            variant.get("reported", {}),
            variant.get("columns", {}),
            bool(variant.get("ours", False)),
            str(variant.get("note", about.get("note", ""))),
            bool(variant.get("run", True)),
        )


def _start(variant: Raw, base: Raw, where: str, read: Read) -> tuple[Raw, Raw]:
    """What a row's overrides are laid on: the sweep, or the spec that the row names with the sweep laid on it.

    Returns:
        That spec's own words (label, note; nothing for a row of the sweep itself), and the tables.
    """
    if "spec" not in variant:
        return {}, base
    other = read(str(variant["spec"]))
    if other.get("variant") or other.get("grid"):
        raise SpecError(f"{variant['spec']!r} is a sweep itself.", where=where, mend="Name a spec of a single run.")
    shared = {key: value for key, value in base.items() if key in SHARED}
    return other, merge(other, shared, where=where)


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
