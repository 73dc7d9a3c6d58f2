"""The first step of a build: every shard is checked, hashed and, if asked, copied; each leaves a mark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bdk.errors import DataError
from bdk.galleries.layouts import Layout, ShardFiles
from bdk.galleries.manifest import FileEntry
from bdk.galleries.metadata import copy_parquet
from bdk.galleries.writing import describe_file, require_unit, write_shard

Tell = Callable[[str, int, int], None]
Map = Callable[[Callable[..., Any], list[tuple]], Iterable[Any]]
_CHECKED_AT_ONCE = 65_536


def prepare_shards(
    layout: Layout, out: Path, work: Path, copy: bool, map: Map, tell: Tell
) -> dict[str, tuple[FileEntry, ...]]:
    """Check, hash and (if asked) copy every shard, one piece of work each."""
    marks = [work / f"shard-{number:05d}.json" for number in range(len(layout.shards))]
    numbered = enumerate(zip(layout.shards, marks, strict=True))
    todo = [(shard, str(out), str(mark), copy, number) for number, (shard, mark) in numbered if not mark.is_file()]
    for done, _ in enumerate(map(prepare_shard, todo), start=len(marks) - len(todo) + 1):
        tell("check shards", done, len(marks))
    told = [json.loads(mark.read_text()) for mark in marks]
    return {part: tuple(FileEntry(**row[part]) for row in told) for part in told[0]}


def prepare_shard(shard: ShardFiles, out: str, mark: str, copy: bool, number: int) -> None:
    """Check that a shard's rows have unit length, hash its files, copy them if asked, and leave a mark."""
    entries: dict[str, FileEntry] = {}
    for modality, path in shard.embeddings.items():
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        for start in range(0, len(rows), _CHECKED_AT_ONCE):
            require_unit(rows[start : start + _CHECKED_AT_ONCE], f"{path}, from row {start}")
        if copy:
            entries[modality] = write_shard(Path(out), f"embeddings/{modality}/{number:05d}.npy", rows)
        else:
            entries[modality] = describe_file(Path(out), path, len(rows))
    if shard.metadata is not None:
        entries["metadata"] = _metadata(shard.metadata, Path(out), number, shard.rows, copy)
    write_json(Path(mark), {part: entry.model_dump() for part, entry in entries.items()})


def _metadata(path: Path, out: Path, number: int, rows: int, copy: bool) -> FileEntry:
    if not copy:
        return describe_file(out, path, rows)
    target = out / f"metadata/{number:05d}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_parquet(path, target)
    return describe_file(out, target, rows)


def write_json(path: Path, value: Any) -> None:
    """Write a small file, whole or not at all."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(json.dumps(value, default=str))
    aside.replace(path)


def claim(folder: Path, marker: str, identity: Any, refusal: str, mend: str) -> None:
    """Make a folder this work's own by a small file that says what the work is.

    Raises:
        DataError: with ``refusal``; the folder holds another work.
    """
    path = folder / marker
    if path.is_file() and json.loads(path.read_text()) != identity:
        raise DataError(refusal, where=str(folder), mend=mend)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, identity)
