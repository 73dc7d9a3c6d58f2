"""The pictures that a subject saw, out of NSD's brick of 73,000."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bdk.data.files import existing
from bdk.data.nsd.whole_files import new_array, write_rows, write_text
from bdk.data.prepared import Progress
from bdk.errors import DataError

PICTURES_AT_ONCE = 64


def write_images(out: Path, work: Path, brick: Path, nsd_ids: np.ndarray, progress: Progress) -> None:
    """Pictures in the order of the stimulus table; rows that are already there are left."""
    import h5py

    target, aside, mark = out / "images.npy", work / "images.npy", work / "images.rows"
    if target.is_file():
        return
    try:
        with h5py.File(existing(brick, "the pictures"), "r") as file:
            pictures = file["imgBrick"]
            if pictures.ndim != 4 or pictures.shape[0] <= nsd_ids.max() or pictures.shape[3] != 3:
                raise DataError(
                    f"imgBrick is {pictures.shape}; 73,000 x side x side x 3 is expected.", where=str(brick)
                )
            if not aside.is_file():
                new_array(aside, np.uint8, (len(nsd_ids), *pictures.shape[1:]))
            for start in range(int(mark.read_text()) if mark.is_file() else 0, len(nsd_ids), PICTURES_AT_ONCE):
                rows = nsd_ids[start : start + PICTURES_AT_ONCE]
                write_rows(aside, start, pictures[rows])
                write_text(mark, str(start + len(rows)))
                progress("pictures", start + len(rows), len(nsd_ids))
    except (OSError, KeyError) as error:
        raise DataError(f"The pictures cannot be read: {error}", where=str(brick)) from error
    aside.replace(target)
