"""Writing a gallery in our own layout: half-precision shards, parquet in small row groups, a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.galleries.checking import write_seal
from bdk.galleries.manifest import FileEntry, Manifest, Modality, write_manifest
from bdk.galleries.metadata import write_parquet

SHARD_ROWS = 1_000_000


class GalleryWriter:
    """Collects shards in a folder and closes with the manifest.

    A shard is one call of `add`; rows get their ids in the order of the calls. Nothing reads as a gallery until
    `close`, so an interrupted writer leaves no half gallery behind.

    Args:
        root: folder to write to; made if absent.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._embeddings: dict[Modality, list[FileEntry]] = {}
        self._metadata: list[FileEntry] = []
        self._columns: tuple[str, ...] = ()
        self._n = 0

    def add(self, embeddings: Mapping[Modality, np.ndarray], metadata: Mapping[str, list]) -> None:
        """Add one shard.

        Args:
            embeddings: unit-length rows [n, P] of the images, of the captions, or of both.
            metadata: columns of n values each.

        Raises:
            DataError: the parts differ in rows, or a row is not of unit length.
        """
        lengths = {len(rows) for rows in embeddings.values()} | {len(values) for values in metadata.values()}
        if len(lengths) != 1:
            raise DataError(f"A shard's parts differ in rows: {sorted(lengths)}.", where=str(self.root))
        number = len(self._metadata)
        for modality, rows in embeddings.items():
            entry = write_shard(self.root, f"embeddings/{modality}/{number:05d}.npy", rows)
            self._embeddings.setdefault(modality, []).append(entry)
        path = self.root / f"metadata/{number:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows_written = write_parquet(path, dict(metadata))
        self._metadata.append(describe_file(self.root, path, rows_written))
        self._columns = tuple(metadata)
        self._n += lengths.pop()

    def close(self, **facts: Any) -> Manifest:
        """Write the manifest; ``facts`` are its remaining fields (name, key_model, dim, ...)."""
        manifest = Manifest(
            n=self._n,
            columns=self._columns,
            embeddings={modality: tuple(shards) for modality, shards in self._embeddings.items()},
            metadata=tuple(self._metadata),
            **facts,
        )
        write_seal(self.root, manifest.files())
        write_manifest(self.root, manifest)
        return manifest


def write_shard(root: Path, name: str, rows: np.ndarray) -> FileEntry:
    """Write unit-length rows as float16, whole or not at all.

    Raises:
        DataError: a row is not finite or not of unit length.
    """
    require_unit(rows, str(root / name))
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    with aside.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(rows, dtype=np.float16))
    aside.replace(path)
    return describe_file(root, path, len(rows))


def require_unit(rows: np.ndarray, where: str) -> None:
    """Refuse rows that are not of unit length (half precision allows 1 %)."""
    lengths = np.linalg.norm(np.asarray(rows, dtype=np.float32), axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1) < 0.01))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {len(rows)} embeddings are not of unit length (row {bad[0]} has {lengths[bad[0]]:.4g}).",
            where=where,
            mend="Divide each row by its length, and drop rows that are zero or NaN.",
        )


def describe_file(root: Path, path: Path, rows: int = 0, *, hash: bool = True) -> FileEntry:
    """A manifest entry for a file; its path is kept relative where it lies inside the gallery."""
    inside = path.resolve().is_relative_to(root.resolve())
    name = path.resolve().relative_to(root.resolve()).as_posix() if inside else str(path.resolve())
    return FileEntry(path=name, bytes=path.stat().st_size, sha256=file_digest(path) if hash else "", rows=rows)
