"""Files that are either whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bdk import arrays


def new_array(path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    """An array file of full size, made aside and renamed, so that a file that is there is whole."""
    aside = path.with_suffix(".new")
    array = arrays.new_array(aside, dtype, shape)
    array.flush()
    del array
    aside.replace(path)


def write_rows(path: Path, start: int, rows: np.ndarray) -> None:
    """Rows of an array file from ``start`` on; the file is mapped for no longer, so that its pages do not add up."""
    store = np.load(path, mmap_mode="r+")
    store[start : start + len(rows)] = rows
    store.flush()


def write_text(path: Path, text: str) -> None:
    """A text file, made aside and renamed."""
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.replace(path)


def write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    """A table, made aside and renamed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    aside = path.with_suffix(".new")
    pq.write_table(pa.table(columns), aside)
    aside.replace(path)
