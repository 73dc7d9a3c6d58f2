"""What the two MindEye exports of NSD have in common: samples in tar files, captions by NSD number."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bdk.data.files import existing
from bdk.errors import DataError

Sample = dict[str, bytes]
END = 1024
"""Bytes of zeros at the end of a tar."""


def samples(path: Path) -> Iterator[Sample]:
    """Samples of a webdataset tar in order: consecutive files with one stem, by what follows its first dot.

    Raises:
        DataError: not a readable tar, or cut short.
    """
    try:
        _require_end(existing(path, "a webdataset shard"))
        with tarfile.open(path) as archive:
            stem, sample = "", Sample()
            for member in archive:
                if not member.isfile():
                    continue
                name, _, field = Path(member.name).name.partition(".")
                if name != stem and sample:
                    yield sample
                    sample = Sample()
                stem = name
                stream = archive.extractfile(member)
                assert stream is not None
                sample[field] = stream.read()
            if sample:
                yield sample
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"The shard cannot be read: {error}", where=str(path), mend="Download it again.") from error


def _require_end(path: Path) -> None:
    """A tar ends with two blocks of zeros; `tarfile` takes one that is cut between two members for a whole one."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - END))
        if any(stream.read()) or path.stat().st_size < END:
            raise tarfile.TarError("it does not end as a tar does")


def array_of(sample: Sample, field: str, path: Path) -> np.ndarray:
    """A ``.npy`` member of a sample.

    Raises:
        DataError: it is missing or no plain array.
    """
    if field not in sample:
        raise DataError(f"A sample has no {field}.", where=str(path), mend=f"It has: {', '.join(sample)}.")
    try:
        return np.load(io.BytesIO(sample[field]), allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{field} of a sample cannot be read: {error}", where=str(path)) from error


def captions_of(path: str, nsd_ids: np.ndarray) -> tuple[tuple[str, ...], ...] | None:
    """Rows of ``COCO_73k_annots_curated.npy`` (73,000 x 5 words), empty captions left out.

    Raises:
        DataError: not such a file, or an image without captions.
    """
    if not path:
        return None
    try:
        table = np.load(existing(Path(path), "captions"), mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DataError(
            f"The captions cannot be read without running code: {error}",
            where=path,
            mend="Store them once as plain words: np.save(FILE, np.load(FILE, allow_pickle=True).astype(str)).",
        ) from error
    if table.ndim != 2 or table.dtype.kind != "U" or len(table) <= nsd_ids.max():
        raise DataError(f"Captions are {table.dtype} {table.shape}; 73,000 x 5 words are expected.", where=path)
    captions = tuple(tuple(str(text) for text in table[number] if str(text).strip()) for number in nsd_ids)
    silent = [number for number, texts in zip(nsd_ids, captions, strict=True) if not texts]
    if silent:
        raise DataError(f"{len(silent)} images have no caption (the first is NSD {silent[0]}).", where=path)
    return captions
