"""Reading a gallery: embeddings by block or by id, metadata by id, stored tokens by id."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bdk.errors import DataError
from bdk.galleries.checking import Check, Level, check_files
from bdk.galleries.manifest import FileEntry, Manifest, Modality, read_manifest
from bdk.galleries.metadata import Metadata

BLOCK = 65_536
"""Rows that a scan reads at once: 100 MB of 768 half-precision numbers."""

_MAPS = 256
"""Shards that stay mapped; each holds a file open, and LAION-2B-en has 2,313."""


class Rows:
    """One array in row order over several ``.npy`` shards, memory-mapped when first touched."""

    def __init__(self, root: Path, shards: tuple[FileEntry, ...]) -> None:
        self._paths = [root / shard.path for shard in shards]
        self._starts = np.concatenate([[0], np.cumsum([shard.rows for shard in shards])]).astype(np.int64)
        self._maps: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def shard(self, number: int) -> np.ndarray:
        """One shard as a read-only memory map."""
        if number not in self._maps:
            self._maps[number] = np.load(self._paths[number], mmap_mode="r", allow_pickle=False)
            while len(self._maps) > _MAPS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(number)
        return self._maps[number]

    def take(self, ids: np.ndarray) -> np.ndarray:
        """Rows by id, in the order asked for; ids are read in ascending order, which disks like."""
        distinct, place = np.unique(np.asarray(ids, dtype=np.int64), return_inverse=True)
        owner = np.searchsorted(self._starts, distinct, side="right") - 1
        parts = [self.shard(int(s))[distinct[owner == s] - self._starts[s]] for s in np.unique(owner)]
        if not parts:
            return np.empty((0, *self.shard(0).shape[1:]), self.shard(0).dtype)
        return (parts[0] if len(parts) == 1 else np.concatenate(parts))[place]

    def blocks(self, rows: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
        """(first id, rows) of consecutive blocks; no block spans two shards."""
        for number, start in enumerate(self._starts[:-1]):
            shard = self.shard(number)
            for offset in range(0, len(shard), rows):
                yield int(start) + offset, shard[offset : offset + rows]


class Gallery:
    """A gallery on disk, opened for reading.

    Args:
        root: its folder.
        check: how thoroughly to check the files, see `bdk.galleries.checking.check_files`.

    Raises:
        DataError: a file is missing, damaged or of the wrong shape; it is named.
    """

    def __init__(self, root: Path | str, check: Level = "auto") -> None:
        self.root = Path(root).expanduser()
        self.manifest: Manifest = read_manifest(self.root)
        self.check: Check = check_files(self.root, self.manifest, check)
        self.metadata = Metadata(self.root, self.manifest.metadata)
        self._embeddings = {name: Rows(self.root, shards) for name, shards in self.manifest.embeddings.items()}
        self._tokens = {guide: Rows(self.root, entry.shards) for guide, entry in self.manifest.tokens.items()}

    def __len__(self) -> int:
        return self.manifest.n

    def embeddings(self, modality: Modality = "image") -> Rows:
        """The stored embeddings of the images or of the captions.

        Raises:
            DataError: the gallery stores none of that modality.
        """
        if modality not in self._embeddings:
            raise DataError(
                f"Gallery {self.manifest.name!r} stores no {modality} embeddings.",
                where=str(self.root),
                mend=f"It stores: {', '.join(self._embeddings) or 'none, only an index'}.",
            )
        return self._embeddings[modality]

    def has_embeddings(self, modality: Modality = "image") -> bool:
        """Whether the gallery stores embeddings of that modality."""
        return modality in self._embeddings

    def tokens(self, guide: str, space: str) -> Rows | None:
        """Stored token tensors of a guide, if the gallery has them in that very space."""
        entry = self.manifest.tokens.get(guide)
        return self._tokens[guide] if entry is not None and entry.space == space else None

    def rows(self, ids: list[int]) -> list[dict[str, object]]:
        """Metadata of each id, in the order asked for; ids outside the gallery give an empty row."""
        inside = [id for id in ids if 0 <= id < len(self)]
        found = dict(zip(inside, self.metadata.take(inside), strict=True))
        return [found.get(id, {}) for id in ids]
