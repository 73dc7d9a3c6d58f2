"""A short name for the contents of a data source, so that changed files give new keys."""

from __future__ import annotations

import importlib.resources
import json
from functools import cache
from pathlib import Path
from typing import Any

from bdk.canonical import digest, file_digest
from bdk.spaces import Space
from bdk.weights import Manifest

MANIFEST = "manifest.json"
BIG = 256 << 20
"""Bytes above which a file's size and time of change stand for its contents."""


def source_fingerprint(part: Any) -> str:
    """Hash of every file that a data set, or the options of a component, name as their source.

    They may have a method ``sources() -> list[Path]``: files, or folders with a ``manifest.json`` that holds
    checksums. What has none is decided by its options alone.
    """
    sources = getattr(part, "sources", None)
    return digest([path_fingerprint(Path(path)) for path in sources()]) if sources else ""


def space_fingerprint(space: Space) -> str:
    """Hash of what computes a space: shipped files, and the checksum of its weights in the manifest, if they are
    there."""
    named = [space.options[key] for key in ("weights",) if isinstance(space.options.get(key), str)]
    entries = Manifest.load().entries if named else {}
    shipped = [path_fingerprint(shipped_path(resource)) for resource in space.resources]
    return digest([shipped, [entries[name].sha256 for name in named if name in entries]])


def weights_fingerprint() -> str:
    """Hash of all weights in the manifest: a metric that was missing is measured once its network is there."""
    return digest({name: entry.sha256 for name, entry in Manifest.load().entries.items()})


def shipped_path(resource: str) -> Path:
    """Path of a file inside an installed package, written ``package:path``."""
    package, _, inner = resource.partition(":")
    return Path(str(importlib.resources.files(package).joinpath(inner)))


def path_fingerprint(path: Path) -> str:
    """Hash of one file or folder; ``missing`` if it is not there."""
    if path.is_file():
        stat = path.stat()
        return _file(str(path), stat.st_size, stat.st_mtime_ns)
    if not path.is_dir():
        return "missing"
    if (path / MANIFEST).is_file():
        return digest(json.loads((path / MANIFEST).read_text()))
    return digest([(str(p.relative_to(path)), path_fingerprint(p)) for p in sorted(path.rglob("*")) if p.is_file()])


@cache
def _file(path: str, size: int, changed: int) -> str:
    return f"{size}-{changed}" if size > BIG else file_digest(Path(path))
