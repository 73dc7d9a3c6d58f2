"""A short name for the contents of a data source, so that changed files give new keys."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from bdk.canonical import digest, file_digest

MANIFEST = "manifest.json"
BIG = 256 << 20
"""Bytes above which a file's size and time of change stand for its contents."""


def source_fingerprint(dataset: Any) -> str:
    """Hash of every file the data set names as its source.

    A data set may have a method ``sources() -> list[Path]``: files, or folders with a ``manifest.json`` that holds
    checksums. One without sources is decided by its options alone.
    """
    sources = getattr(dataset, "sources", None)
    return digest([path_fingerprint(Path(path)) for path in sources()]) if sources else ""


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
