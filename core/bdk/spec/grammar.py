"""The grammar that spec files, variants, grids and the command line share.

A key is dotted (``encoder.depth``). A key that names a component's section sets its ``use`` (``encoder = "mamba"``).
Choosing another ``use`` drops the old component's options.
"""

from __future__ import annotations

import copy
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from bdk.errors import SpecError

SECTIONS = ("data", "encoder", "prior", "retriever", "fusion", "decoder")
"""Tables that name a part by ``use``."""
GUIDE_KEYS = ("encoder", "prior", "retriever", "fusion", "stage1", "stage2")
"""What may be set for one guide alone."""
SETTINGS = ("stage1", "stage2", "select", "measure")
PLAIN = ("seed", "seeds", "guides")
OVERRIDABLE = (*SECTIONS, *SETTINGS, "guide", *PLAIN)
"""First words of keys that variants, grids and the command line may set."""
FILE_ONLY = (
    "name",
    "label",
    "note",
    "extends",
    "variant",
    "grid",
    "rows",
    "when",
    "defaults",
    "reported",
    "cite",
    "caption",
    "metrics",
    "footnotes",
    "ours",
    "unavailable",
    "claim",
)

NOT_PARTS = {"defaults", "reported", "grid", "rows", "columns"}
"""Tables in which a section's name does not name a part."""

Raw = dict[str, Any]


def parse_value(text: str) -> Any:
    """A command-line value: a TOML value if it reads as one, otherwise the text itself."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def set_key(raw: Raw, key: str, value: Any, *, where: str) -> None:
    """Set one dotted key in place, with the rules of the grammar.

    Raises:
        SpecError: the key's first word is unknown, or the key runs through a plain value.
    """
    words = key.split(".")
    if words[0] not in OVERRIDABLE:
        raise unknown("option", words[0], OVERRIDABLE, where=where)
    overlay: Any = value
    for word in reversed(words):
        overlay = {word: overlay}
    merged = merge(raw, overlay, where=where)
    raw.clear()
    raw.update(merged)


def merge(base: Mapping[str, Any], over: Mapping[str, Any], *, where: str, path: str = "") -> Raw:
    """``base`` with ``over`` laid on it; neither is written.

    Raises:
        SpecError: a table meets a plain value.
    """
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        here = f"{path}{key}"
        if key in SECTIONS and not NOT_PARTS & set(path.split(".")):
            result[key] = _merge_part(as_part(result.get(key), here, where), as_part(value, here, where))
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value, where=where, path=f"{here}.")
        elif isinstance(result.get(key), Mapping) and not isinstance(value, Mapping):
            raise SpecError(f"{here} is a table and cannot be set to {value!r}.", where=where, mend=f"Set {here}.KEY.")
        else:
            result[key] = merge({}, value, where=where, path=f"{here}.") if isinstance(value, Mapping) else value
    return result


def as_part(value: Any, path: str, where: str) -> Raw:
    """A section's table; a bare string is its ``use``."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"use": value}
    if isinstance(value, Mapping):
        return dict(value)
    raise SpecError(f"{path} must be a name or a table, not {value!r}.", where=where, mend=f'Write {path} = "NAME".')


def _merge_part(base: Raw, over: Raw) -> Raw:
    if "use" in over and over["use"] != base.get("use", over["use"]):
        return dict(over)
    return {**base, **over}


def unknown(noun: str, name: str, known: Iterable[str], *, where: str) -> SpecError:
    """The error for a word the grammar does not know; near words are offered."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return SpecError(f"Unknown {noun} {name!r}.", where=where, mend=f"{hint}Known: {', '.join(known)}.")
