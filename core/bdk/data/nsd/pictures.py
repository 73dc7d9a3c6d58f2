"""The pictures that a subject saw, out of NSD's brick of 73,000."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bdk.data.files import existing
from bdk.data.nsd.whole_files import new_array, write_rows, write_text
from bdk.data.prepared import Progress
from bdk.errors import DataError

PICTURES_AT_ONCE = 64


@contextmanager
def open_brick(path: Path, nsd_ids: np.ndarray) -> Iterator[Any]:
    """The brick's dataset, if it can hold these images.

    Raises:
        DataError: it is missing, cut short or damaged, or has another shape; the file is named.
    """
    import h5py

    with ExitStack() as stack:
        try:
            pictures = stack.enter_context(h5py.File(existing(path, "the pictures"), "r"))["imgBrick"]
        except (OSError, KeyError) as error:
            raise _unreadable(path, error) from error
        if pictures.ndim != 4 or pictures.shape[0] <= nsd_ids.max() or pictures.shape[3] != 3:
            raise DataError(f"imgBrick is {pictures.shape}; 73,000 x side x side x 3 is expected.", where=str(path))
        yield pictures


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"The pictures cannot be read: {error}", where=str(path), mend="Download the file again.")


def write_images(out: Path, work: Path, brick: Path, nsd_ids: np.ndarray, progress: Progress) -> None:
    """Pictures in the order of the stimulus table; rows that are already there are left."""
    target, aside, mark = out / "images.npy", work / "images.npy", work / "images.rows"
    if target.is_file():
        return
    with open_brick(brick, nsd_ids) as pictures:
        if not aside.is_file():
            new_array(aside, np.uint8, (len(nsd_ids), *pictures.shape[1:]))
        for start in range(int(mark.read_text()) if mark.is_file() else 0, len(nsd_ids), PICTURES_AT_ONCE):
            rows = nsd_ids[start : start + PICTURES_AT_ONCE]
            try:
                part = pictures[rows]
            except OSError as error:
                raise _unreadable(brick, error) from error
            write_rows(aside, start, part)
            write_text(mark, str(start + len(rows)))
            progress("pictures", start + len(rows), len(nsd_ids))
    aside.replace(target)
