"""A gallery's metadata: rows of parquet files by gallery id, without reading whole files."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bdk.errors import DataError
from bdk.galleries.manifest import FileEntry

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP = 8_192
"""Rows of a row group in files that we write: one lookup then reads about a megabyte."""
COLUMNS = ("caption", "url", "path", "licence", "language", "scene")
"""What our own galleries hold, as far as known. ``path`` is a local picture, ``scene`` a demo-world scene id."""
_OTHER_NAMES = {
    "caption": ("caption", "TEXT", "text"),
    "url": ("url", "URL"),
    "path": ("path", "image_path"),
    "licence": ("licence", "license", "LICENSE"),
    "language": ("language", "LANGUAGE", "lang"),
    "scene": ("scene",),
}
_GROUPS_KEPT, _FILES_OPEN = 8, 64


def canonical_names(columns: list[str]) -> dict[str, str]:
    """Our name of each column that LAION or clip-retrieval spells otherwise (``TEXT``, ``URL``, ``image_path``)."""
    return {other: ours for ours, others in _OTHER_NAMES.items() for other in reversed(others) if other in columns}


class Metadata:
    """Rows by id over several parquet files."""

    def __init__(self, root: Path, files: tuple[FileEntry, ...]) -> None:
        self._paths = [root / file.path for file in files]
        self._starts = np.concatenate([[0], np.cumsum([file.rows for file in files])]).astype(np.int64)
        self._files: OrderedDict[int, tuple[pq.ParquetFile, np.ndarray]] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()

    def take(self, ids: list[int]) -> list[dict[str, object]]:
        """The row of each id, under our column names; empty rows if the gallery has no metadata."""
        if not self._paths:
            return [{} for _ in ids]
        found: dict[int, dict[str, object]] = {}
        for id in sorted(set(ids)):
            found[id] = self._row(id)
        return [found[id] for id in ids]

    def _row(self, id: int) -> dict[str, object]:
        number = int(np.searchsorted(self._starts, id, side="right")) - 1
        _, group_starts = self._open(number)
        offset = id - int(self._starts[number])
        group = int(np.searchsorted(group_starts, offset, side="right")) - 1
        row = self._group(number, group).slice(offset - int(group_starts[group]), 1).to_pylist()[0]
        names = canonical_names(list(row))
        return {names.get(key, key): value for key, value in row.items() if value is not None}

    def _open(self, number: int) -> tuple[pq.ParquetFile, np.ndarray]:
        if number not in self._files:
            file = open_parquet(self._paths[number])
            sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
            rows = int(self._starts[number + 1] - self._starts[number])
            if sum(sizes) != rows:
                raise DataError(
                    f"A metadata file holds {sum(sizes)} rows, the manifest says {rows}.",
                    where=str(self._paths[number]),
                )
            self._files[number] = file, np.concatenate([[0], np.cumsum(sizes)])
            while len(self._files) > _FILES_OPEN:
                self._files.popitem(last=False)[1][0].close()
        self._files.move_to_end(number)
        return self._files[number]

    def _group(self, number: int, group: int) -> pa.Table:
        if (number, group) not in self._groups:
            file, _ = self._open(number)
            self._groups[number, group] = file.read_row_group(group)
            while len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end((number, group))
        return self._groups[number, group]


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file for reading.

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"A metadata file cannot be read: {error}.", where=str(path), mend="Restore it from a copy."
        ) from error


def write_parquet(path: Path, columns: dict[str, list]) -> int:
    """Write columns of equal length in small row groups, whole or not at all; returns the rows written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    aside = path.with_name(path.name + ".new")
    pq.write_table(table, aside, row_group_size=ROW_GROUP, compression="zstd")
    aside.replace(path)
    return table.num_rows


def copy_parquet(source: Path, target: Path) -> None:
    """Copy a parquet file into small row groups, group by group, whole or not at all."""
    import pyarrow.parquet as pq

    file = open_parquet(source)
    aside = target.with_name(target.name + ".new")
    with pq.ParquetWriter(aside, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches(batch_size=ROW_GROUP):
            writer.write_batch(batch, row_group_size=ROW_GROUP)
    aside.replace(target)
