"""Is a gallery whole? Sizes and headers at every opening, checksums where a file has changed or when asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.galleries.manifest import FileEntry, Manifest

SEAL = "verified.json"
HASH_AT_OPENING = 4 << 30
"""Bytes; a gallery with more than this unseen is opened without hashing and says so in its stamps."""
_MEND = "Restore the file from a copy, or build the gallery again; `bdk index verify` lists every damaged file."
Level = Literal["auto", "sizes", "full"]


@dataclass(frozen=True)
class Check:
    """What a check looked at."""

    files: int
    hashed: int
    unverified: int
    """Files that no checksum was compared for: too large to hash at opening, or never hashed by their maker."""


def check_files(
    root: Path, manifest: Manifest, level: Level = "auto", tell: Callable[[str], None] = lambda path: None
) -> Check:
    """Compare every file with the manifest.

    ``sizes`` compares sizes and array headers. ``full`` also hashes everything. ``auto`` hashes what has changed
    since the last check (by size and modification time, kept in ``verified.json``), unless that is more than
    `HASH_AT_OPENING`.

    Args:
        root: gallery folder.
        manifest: what it should hold.
        level: how thorough.
        tell: called with each file's path before it is hashed.

    Raises:
        DataError: a file is missing, truncated, changed, or of the wrong shape; it is named.
    """
    entries = manifest.files()
    for entry in entries:
        _check_size(root, entry)
    _check_arrays(root, manifest)
    if level == "sizes":
        return Check(len(entries), 0, len(entries))
    seal = {} if level == "full" else read_seal(root)
    stale = [entry for entry in entries if entry.sha256 and seal.get(entry.path) != _state(root, entry)]
    never = sum(not entry.sha256 for entry in entries)
    if level == "auto" and sum(entry.bytes for entry in stale) > HASH_AT_OPENING:
        return Check(len(entries), 0, len(stale) + never)
    for entry in stale:
        tell(entry.path)
        check_digest(root, entry)
    if stale:
        write_seal(root, entries)
    return Check(len(entries), len(stale), never)


def damaged(root: Path, manifest: Manifest, tell: Callable[[str], None] = lambda path: None) -> list[tuple[str, str]]:
    """(file, what is wrong) of every damaged file; empty if the gallery is whole. Hashes everything."""
    found: list[tuple[str, str]] = []
    for entry in manifest.files():
        tell(entry.path)
        try:
            _check_size(root, entry)
            check_digest(root, entry)
        except DataError as error:
            found.append((entry.path, error.what))
    if not found:
        try:
            _check_arrays(root, manifest)
        except DataError as error:
            found.append((error.where, error.what))
    return found


def check_digest(root: Path, entry: FileEntry) -> None:
    """Refuse a file whose checksum is not the manifest's (an entry without one passes)."""
    path = root / entry.path
    if entry.sha256 and file_digest(path) != entry.sha256:
        raise DataError("A gallery file is damaged: its checksum is not the manifest's.", where=str(path), mend=_MEND)


def _check_size(root: Path, entry: FileEntry) -> None:
    path = root / entry.path
    if not path.is_file():
        raise DataError("A gallery file is missing.", where=str(path), mend=_MEND)
    have = path.stat().st_size
    if have != entry.bytes:
        word = "truncated" if have < entry.bytes else "longer than it was"
        raise DataError(
            f"A gallery file is {word}: {have} bytes, the manifest says {entry.bytes}.", where=str(path), mend=_MEND
        )


def _check_arrays(root: Path, manifest: Manifest) -> None:
    for shards in manifest.embeddings.values():
        for shard in shards:
            _check_array(root / shard.path, (shard.rows, manifest.dim), shard.bytes)
    for entry in manifest.tokens.values():
        for shard in entry.shards:
            _check_array(root / shard.path, (shard.rows, entry.tokens, entry.dim), shard.bytes)


def _check_array(path: Path, shape: tuple[int, ...], size: int) -> None:
    have, dtype, data = read_header(path)
    if have != shape or dtype not in (np.dtype("float16"), np.dtype("float32")):
        raise DataError(
            f"An embedding shard holds {_times(have)} {dtype}, the manifest says {_times(shape)} of float16/float32.",
            where=str(path),
            mend=_MEND,
        )
    if data + int(np.prod(shape)) * dtype.itemsize != size:
        raise DataError(
            f"An embedding shard is {size} bytes, too few or too many for {_times(shape)}.", where=str(path), mend=_MEND
        )


def _times(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def read_header(path: Path) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and start of the data of a ``.npy`` file.

    Raises:
        DataError: the file is no such array, or is stored column by column.
    """
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_column, dtype = read(stream)
            data = stream.tell()
    except (ValueError, EOFError) as error:
        raise DataError(f"Not a readable .npy array: {error}.", where=str(path), mend=_MEND) from error
    if by_column and len(shape) > 1:
        raise DataError(
            "The array is stored column by column, not row by row.",
            where=str(path),
            mend="Save it again with numpy.ascontiguousarray.",
        )
    return shape, dtype, data


def _state(root: Path, entry: FileEntry) -> list[int]:
    status = (root / entry.path).stat()
    return [status.st_size, status.st_mtime_ns, int(entry.sha256[:12] or "0", 16)]


def read_seal(root: Path) -> dict[str, list[int]]:
    """Size, modification time and checksum start of each file when it was last found whole."""
    try:
        return json.loads((root / SEAL).read_text())
    except (OSError, ValueError):
        return {}


def write_seal(root: Path, entries: Iterable[FileEntry], keep: Mapping[str, list[int]] | None = None) -> None:
    """Remember that these files are whole; a folder that cannot be written to is simply checked again next time.

    Args:
        root: gallery folder.
        entries: files that were found whole.
        keep: what is remembered of other files (`read_seal`).
    """
    seal = {**(keep or {})} | {entry.path: _state(root, entry) for entry in entries if entry.sha256}
    aside = root / f"{SEAL}.new"
    try:
        aside.write_text(json.dumps(seal))
        aside.replace(root / SEAL)
    except OSError:
        return
