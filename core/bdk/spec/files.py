"""Spec files: bundled ones by name, others by path; ``extends`` is followed here."""

from __future__ import annotations

import importlib.resources
import tomllib
from pathlib import Path

from bdk.errors import SpecError
from bdk.registry import Registry
from bdk.spec.claims import INHERITED
from bdk.spec.grammar import FILE_ONLY, OVERRIDABLE, Raw, merge, unknown


def read(name: str, registry: Registry, *, seen: tuple[str, ...] = (), near: Path | None = None) -> Raw:
    """A spec by bundled name or path, with everything it extends laid under it.

    Raises:
        SpecError: it cannot be found or read, has an unknown key, or extends itself.
    """
    text, where, folder = _text(name, registry, near)
    if where in seen:
        raise SpecError(f"{where} extends itself.", where=" -> ".join((*seen, where)))
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"The spec is not valid TOML: {error}.", where=where, mend="See https://toml.io.") from error
    for key in raw:
        if key not in (*OVERRIDABLE, *FILE_ONLY):
            raise unknown("key", key, (*OVERRIDABLE, *FILE_ONLY), where=where)
    raw.setdefault("name", Path(name).stem)
    parent = raw.pop("extends", None)
    if parent is None:
        return merge({}, raw, where=where)
    if not isinstance(parent, str):
        raise SpecError("extends takes one spec's name or path.", where=where)
    below = read(parent, registry, seen=(*seen, where), near=folder)
    below["claim"] = [{**claim, INHERITED: True} for claim in below.get("claim", []) if isinstance(claim, dict)]
    return merge(below, raw, where=where)


def _text(name: str, registry: Registry, near: Path | None) -> tuple[str, str, Path | None]:
    for path in [Path(name), *([near / name] if near else [])]:
        if path.suffix == ".toml" or path.is_file():
            if not path.is_file():
                continue
            try:
                return path.read_text(encoding="utf-8"), str(path), path.parent
            except (OSError, UnicodeDecodeError) as error:
                raise SpecError(f"The spec cannot be read: {error}", where=str(path)) from error
    if name.endswith(".toml"):
        raise SpecError(
            f"There is no file {name}.", mend="Give a path, or the name of a bundled spec (`bdk list specs`)."
        )
    info = registry.spec(name)
    package, _, inner = info.resource.partition(":")
    return importlib.resources.files(package).joinpath(inner).read_text(encoding="utf-8"), f"bundled spec {name}", None
