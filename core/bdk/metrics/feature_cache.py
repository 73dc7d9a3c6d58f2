"""Features on disk: each network sees each set of pictures once per store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bdk.arrays import new_array
from bdk.canonical import digest, file_digest
from bdk.metrics.mapped import leave

VERSION = 1
"""Raise when preprocessing or extraction changes."""


class FeatureCache:
    """A folder of ``<key>.npy`` files, float32 N x d, read as memory maps; each beside its checksum.

    Args:
        folder: where; None for a temporary folder that goes with `close`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="bdk-features-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._checked: set[str] = set()

    def get(self, key: str) -> np.ndarray | None:
        """The features of that key, or None; a file that is not as it was written is dropped and made again."""
        path, seal = self._files(key)
        try:
            if key not in self._checked and file_digest(path) != seal.read_text():
                raise ValueError("another checksum")
            features = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError):
            path.unlink(missing_ok=True)
            return None
        self._checked.add(key)
        return features

    def _files(self, key: str) -> tuple[Path, Path]:
        """The file of a key, and the one that holds its checksum."""
        return self.folder / f"{key}.npy", self.folder / f"{key}.sha256"

    def make(
        self, keys: Mapping[str, str], rows: int, batches: Callable[[], Iterator[tuple[int, Mapping[str, np.ndarray]]]]
    ) -> dict[str, np.ndarray]:
        """Have the features of every layer, or make all of them in one pass over the pictures.

        Args:
            keys: cache key of every layer.
            rows: pictures.
            batches: yields (first row, features by layer).

        Returns:
            Memory maps N x d by layer.
        """
        found = {layer: self.get(key) for layer, key in keys.items()}
        if any(features is None for features in found.values()):
            self._fill(keys, rows, batches)
            found = {layer: self.get(key) for layer, key in keys.items()}
        return {layer: features for layer, features in found.items() if features is not None}

    def _fill(self, keys: Mapping[str, str], rows: int, batches: Callable) -> None:
        """Write aside, one row block at a time, then rename: a reader sees whole files or none."""
        asides = {layer: self.folder / f".{key}.{os.getpid()}.npy" for layer, key in keys.items()}
        maps: dict[str, np.memmap] = {}
        try:
            for start, features in batches():
                for layer, block in features.items():
                    if layer not in maps:
                        shape = (rows, block.shape[1])
                        maps[layer] = new_array(asides[layer], np.float32, shape)
                    maps[layer][start : start + len(block)] = block
                    leave(maps[layer])
            for layer, features in maps.items():
                features.flush()
                path, seal = self._files(keys[layer])
                seal.write_text(file_digest(asides[layer]))
                asides[layer].replace(path)
        finally:
            for aside in asides.values():
                aside.unlink(missing_ok=True)

    def spool(self, rows: int, shape: tuple[int, ...], dtype: type) -> Spool:
        """A file for prepared pictures; it goes when it is no longer used."""
        return Spool(self.folder, rows, shape, dtype)

    def close(self) -> None:
        """Remove a temporary folder; a named one stays."""
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Spool:
    """Rows of equal shape in an unnamed file: read and written, not mapped, so that they take no memory.

    Args:
        folder: where the file lies; it has no name and vanishes with the object.
        rows: how many there may be.
        shape: of one row.
        dtype: of its numbers.
    """

    def __init__(self, folder: Path, rows: int, shape: tuple[int, ...], dtype: type) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (lives as long as the object)
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._bytes = int(np.prod(shape)) * self._dtype.itemsize
        self._written = np.zeros(rows, dtype=bool)

    def has(self, start: int, stop: int) -> bool:
        """Whether all of these rows were written."""
        return bool(self._written[start:stop].all())

    def write(self, start: int, rows: np.ndarray) -> None:
        """Write rows from ``start`` on."""
        self._file.seek(start * self._bytes)
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
        self._written[start : start + len(rows)] = True

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows that were written, as an array of their own."""
        stop = min(stop, len(self._written))
        self._file.seek(start * self._bytes)
        data = bytearray(self._file.read((stop - start) * self._bytes))
        return np.frombuffer(data, dtype=self._dtype).reshape(stop - start, *self._shape)


def feature_key(network: str, weights_sha256: str, layer: str, preprocessing: str, pictures: str) -> str:
    """Content key of one layer's features of one set of pictures."""
    return digest([VERSION, network, weights_sha256, layer, preprocessing, pictures])
