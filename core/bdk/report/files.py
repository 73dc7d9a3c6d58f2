"""Files that are whole or absent: written aside, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from bdk.artifacts import is_full
from bdk.errors import ArtifactError


def write_whole(path: Path, content: bytes | str) -> Path:
    """Write a file so that a reader, or a kill, sees the old contents or the new ones, never a part.

    Raises:
        ArtifactError: the disk is full, or the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        what = "The disk is full" if is_full(error) else "A file of the run folder cannot be written"
        mend = "Make room, then run the same command again: what is in the store is not made twice."
        raise ArtifactError(f"{what}: {error}", where=str(path), mend=mend) from error
    return path


def remove_others(folder: Path, keep: Iterable[str], pattern: str = "*.png") -> None:
    """Delete what an earlier run left in a folder and this one did not write."""
    kept = set(keep)
    for path in folder.glob(pattern):
        if path.name not in kept:
            path.unlink()


def file_names(ids: Iterable[str], suffix: str) -> list[str]:
    """A file name for each id, in order: ids as they are where a file system takes them, numbered where two collide."""
    names: list[str] = []
    seen: set[str] = set()
    for position, id in enumerate(ids):
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", id).strip(".") or "stimulus"
        # a file system may not tell upper from lower case
        if stem.lower() in seen:
            stem = f"{stem}-{position}"
        seen.add(stem.lower())
        names.append(stem + suffix)
    return names
