"""Opening faiss index files so that no flag and no damaged file can crash the process.

faiss maps an index whose inverted lists lie in a file of their own (``OnDiskInvertedLists``) when it is opened
normally, and crashes on the first search when it is opened with ``IO_FLAG_MMAP``. A lists file that is too short
crashes it as well. So we look into the index file first.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bdk.errors import DataError, MissingExtraError

SCANNED = 256 << 20
"""Bytes at each end of an index file that are searched for a reference to on-disk lists; it stands at the end."""
_TAG = b"ilod"
_LIST, _SLOT, _ID = 24, 16, 8
_MEND = "Restore it from a copy, or build the index again with `bdk index build`."


@dataclass(frozen=True)
class ListsFile:
    """The file that an on-disk index keeps its inverted lists in.

    Args:
        name: path as written into the index when it was built.
        bytes: size it must have.
        within: whether every list that the index names lies inside the file.
    """

    name: str
    bytes: int
    within: bool


@dataclass(frozen=True)
class Opened:
    """An index in memory, and how it was opened."""

    index: Any
    on_disk: bool
    flags: tuple[str, ...]
    dropped: tuple[str, ...]
    """Flags that would have crashed the process, and were left out."""


def require_faiss() -> Any:
    """The faiss module.

    Raises:
        MissingExtraError: it is not installed, or two builds of it have overwritten each other.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError(
            "This needs faiss, which is not installed.", mend='pip install "brain-decoding-kit[cpu]"'
        ) from error
    if not hasattr(faiss, "read_index"):
        raise MissingExtraError(
            "faiss is installed but hollow: two builds of it overwrote each other.",
            mend="pip uninstall -y faiss-cpu faiss-gpu, then install one: pip install --force-reinstall faiss-cpu",
        )
    return faiss


@contextmanager
def silent() -> Iterator[None]:
    """Keep what faiss's own code prints (by C, on the standard output) out of ours."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def lists_file(path: Path) -> ListsFile | None:
    """The lists file that an index file refers to, or None if it holds its lists itself.

    The reference is found by its tag and believed only if its lengths fit together, since four bytes of a large file
    may be anything.
    """
    size = path.stat().st_size
    if size == 0:
        return None
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = [0] if size <= 2 * SCANNED else [0, size - SCANNED]
        for start in starts:
            end = min(start + (2 * SCANNED if len(starts) == 1 else SCANNED), size)
            place = data.find(_TAG, start, end)
            while place >= 0:
                found = _reference(data, place + len(_TAG), size)
                if found is not None:
                    return found
                place = data.find(_TAG, place + 1, end)
    return None


def _reference(data: mmap.mmap, place: int, size: int) -> ListsFile | None:
    """Read ``nlist, code_size, lists[], slots[], name[], total`` as faiss writes them."""
    try:
        nlist, code_size, lists = struct.unpack_from("<QQQ", data, place)
        if nlist != lists or not 0 < code_size < 1 << 20 or nlist * _LIST > size:
            return None
        table = np.frombuffer(data[place + 24 : place + 24 + lists * _LIST], dtype="<u8").reshape(lists, 3)
        place += 24 + lists * _LIST
        (slots,) = struct.unpack_from("<Q", data, place)
        place += 8 + slots * _SLOT
        (length,) = struct.unpack_from("<Q", data, place)
        if not 0 < length < 1 << 16:
            return None
        name = data[place + 8 : place + 8 + length]
        (total,) = struct.unpack_from("<Q", data, place + 8 + length)
        return ListsFile(name.decode(), total, _lie_within(table, code_size, total))
    except (struct.error, ValueError):
        return None


def _lie_within(table: np.ndarray, code_size: int, total: int) -> bool:
    """Whether lists (rows of size, capacity, offset) end inside a file of ``total`` bytes; empty ones lie nowhere."""
    size, capacity, offset = (column[table[:, 1] > 0].astype(float) for column in table.T)
    return bool((size <= capacity).all() and (offset + capacity * (code_size + _ID) <= total).all())


def index_file(path: Path) -> Path:
    """The index file itself, where ``path`` may be a folder as clip-retrieval keeps one (``populated.index``)."""
    return path / "populated.index" if path.is_dir() else path


def open_index(path: Path, flags: Collection[str] = ()) -> Opened:
    """Open an index.

    Args:
        path: the file, or a folder with ``populated.index``.
        flags: any of ``mmap``, ``read-only``, ``ondisk-same-dir``; what would crash is dropped.

    Raises:
        DataError: the file is missing or damaged, or its lists file is missing or has the wrong size.
    """
    faiss = require_faiss()
    path = index_file(path)
    if not path.is_file():
        raise DataError("The index file is missing.", where=str(path), mend=_MEND)
    wanted = set(flags)
    lists = lists_file(path)
    dropped: tuple[str, ...] = ()
    if lists is not None:
        dropped = ("mmap",) if "mmap" in wanted else ()
        wanted -= {"mmap"}
        wanted |= _check_lists(path, lists)
    names = {
        "mmap": faiss.IO_FLAG_MMAP,
        "read-only": faiss.IO_FLAG_READ_ONLY,
        "ondisk-same-dir": faiss.IO_FLAG_ONDISK_SAME_DIR,
    }
    try:
        with silent():
            index = faiss.read_index(str(path), sum(names[flag] for flag in sorted(wanted)))
    except (RuntimeError, MemoryError) as error:
        raise DataError(f"faiss cannot read the index: {_first_line(error)}", where=str(path), mend=_MEND) from error
    return Opened(index, lists is not None, tuple(sorted(wanted)), dropped)


def _check_lists(path: Path, lists: ListsFile) -> set[str]:
    """Refuse a lists file that is not whole; say how it is found."""
    beside = path.parent / Path(lists.name).name
    found = beside if beside.is_file() else Path(lists.name)
    if not found.is_file():
        raise DataError(
            "The file of inverted lists that the index refers to is missing.", where=str(beside), mend=_MEND
        )
    if found.stat().st_size != lists.bytes:
        raise DataError(
            f"The file of inverted lists has {found.stat().st_size} bytes, the index says {lists.bytes}.",
            where=str(found),
            mend=_MEND,
        )
    if not lists.within:
        raise DataError(
            f"The index is damaged: it names inverted lists outside {found.name}.", where=str(path), mend=_MEND
        )
    return {"ondisk-same-dir"} if found == beside else set()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__


def probe(path: Path, flags: Collection[str] = ()) -> dict[str, Any]:
    """Facts of an index file of another maker, found out in a process of its own, so that a crash is only an error.

    Returns:
        ``n``, ``dim``, ``metric``, ``kind`` (class name), ``nlist``, ``nprobe``, ``on_disk``, ``lossy``.

    Raises:
        DataError: the index cannot be opened and searched.
    """
    command = [sys.executable, "-m", "bdk.galleries.faiss_files", str(path), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()[-1:] or [f"the process died with status {done.returncode}"]
        raise DataError(f"The index cannot be opened and searched: {told[0]}", where=str(path), mend=_MEND)
    return json.loads(done.stdout)


def describe_index(opened: Opened) -> dict[str, Any]:
    """Facts of an open index."""
    faiss = require_faiss()
    index = faiss.downcast_index(opened.index)
    ivf = faiss.try_extract_index_ivf(index)
    inner = (
        faiss.downcast_index(index.index) if isinstance(index, (faiss.IndexPreTransform, faiss.IndexIDMap)) else index
    )
    exact = isinstance(inner, (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat))
    return {
        "n": index.ntotal,
        "dim": index.d,
        "metric": "inner-product" if index.metric_type == faiss.METRIC_INNER_PRODUCT else "l2",
        "kind": type(inner).__name__,
        "nlist": ivf.nlist if ivf else 0,
        "nprobe": ivf.nprobe if ivf else 0,
        "on_disk": opened.on_disk,
        "lossy": not exact,
    }


def _probe_main(path: str, flags: list[str]) -> None:
    opened = open_index(Path(path), flags)
    query = np.ones((1, opened.index.d), np.float32) / np.sqrt(opened.index.d)
    opened.index.search(query.astype(np.float32), 1)
    print(json.dumps(describe_index(opened)))


if __name__ == "__main__":
    _probe_main(sys.argv[1], sys.argv[2:])
