"""Folders of embeddings as others publish them: clip-retrieval's inference output, which LAION's releases follow.

``img_emb/*.npy``, ``text_emb/*.npy`` and ``metadata/*.parquet``, paired in the order of their names; a row's number
over all files is its id. A folder that holds the ``.npy`` (and ``.parquet``) files themselves is read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdk.errors import DataError
from bdk.galleries.checking import read_header
from bdk.galleries.manifest import Modality
from bdk.galleries.metadata import canonical_names, open_parquet

_FOLDERS: dict[Modality, tuple[str, ...]] = {
    "image": ("img_emb", "image_emb", "embeddings/image"),
    "text": ("text_emb", "embeddings/text"),
}
_MEND = "Expected img_emb/*.npy, text_emb/*.npy and metadata/*.parquet, as clip-retrieval's inference writes them."


@dataclass(frozen=True)
class ShardFiles:
    """The files of one shard.

    Args:
        rows: rows in each of them.
        embeddings: ``.npy`` file of each modality.
        metadata: parquet file, if there is one.
    """

    rows: int
    embeddings: dict[Modality, Path]
    metadata: Path | None


@dataclass(frozen=True)
class Layout:
    """A folder of embeddings, looked through but not read."""

    root: Path
    dim: int
    dtype: np.dtype
    shards: tuple[ShardFiles, ...]
    columns: tuple[str, ...]

    @property
    def n(self) -> int:
        """Rows in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Which embeddings there are."""
        return tuple(self.shards[0].embeddings)

    @property
    def pictures(self) -> str:
        """How a row's picture can be had, judged by the columns."""
        names = set(canonical_names(list(self.columns)).values())
        return next(
            (kind for column, kind in (("scene", "scene"), ("path", "file"), ("url", "url")) if column in names), "none"
        )


def read_layout(root: Path) -> Layout:
    """Look through a folder of embeddings.

    Raises:
        DataError: there are none, or files that belong together differ in number, name or rows; they are named.
    """
    arrays = {modality: _arrays(root, modality) for modality in _FOLDERS}
    arrays = {modality: files for modality, files in arrays.items() if files}
    if not arrays:
        raise DataError("No embeddings are there.", where=str(root), mend=_MEND)
    metadata = _files(root, ("metadata", "."), "*.parquet")
    _check_counts(
        root,
        {**{f"{m} embeddings": files for m, files in arrays.items()}, **({"metadata": metadata} if metadata else {})},
    )
    shards, kinds = [], set()
    for number in range(len(next(iter(arrays.values())))):
        files: dict[Modality, Path] = {modality: paths[number] for modality, paths in arrays.items()}
        shard, facts = _shard(files, metadata[number] if metadata else None)
        shards.append(shard)
        kinds |= facts
    if len(kinds) > 1:
        told = ", ".join(sorted(f"{dim} {dtype}" for dim, dtype in kinds))
        raise DataError(f"The embedding files differ in size or type: {told}.", where=str(root))
    dim, dtype = kinds.pop()
    return Layout(root, dim, np.dtype(dtype), tuple(shards), _columns(metadata))


def _arrays(root: Path, modality: Modality) -> list[Path]:
    found = _files(root, _FOLDERS[modality], "*.npy")
    return found or (_files(root, (".",), "*.npy") if modality == "image" else [])


def _files(root: Path, folders: tuple[str, ...], pattern: str) -> list[Path]:
    return next((files for folder in folders if (files := sorted((root / folder).glob(pattern)))), [])


def _check_counts(root: Path, parts: dict[str, list[Path]]) -> None:
    if len({len(files) for files in parts.values()}) > 1:
        told = ", ".join(f"{len(files)} of {name}" for name, files in parts.items())
        raise DataError(f"Files that belong together differ in number: {told}.", where=str(root), mend=_MEND)
    for group in zip(*parts.values(), strict=True):
        numbers = {_number(path) for path in group}
        if len(numbers) > 1:
            raise DataError(
                f"Files that belong together have different numbers: {', '.join(p.name for p in group)}.",
                where=str(root),
                mend=_MEND,
            )


def _number(path: Path) -> int | None:
    found = re.findall(r"\d+", path.stem)
    return int(found[-1]) if found else None


def _shard(files: dict[Modality, Path], metadata: Path | None) -> tuple[ShardFiles, set[tuple[int, str]]]:
    rows, facts = {}, set()
    for path in files.values():
        shape, dtype, _ = read_header(path)
        if len(shape) != 2 or dtype not in (np.dtype("float16"), np.dtype("float32")):
            raise DataError(f"Embeddings must be a table of float16 or float32, not {shape} {dtype}.", where=str(path))
        rows[str(path)] = shape[0]
        facts.add((shape[1], str(dtype)))
    if metadata is not None:
        rows[str(metadata)] = open_parquet(metadata).metadata.num_rows
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{Path(name).name} has {count}" for name, count in rows.items())
        raise DataError(f"Files of one shard differ in rows: {told}.", where=str(Path(next(iter(rows))).parent.parent))
    return ShardFiles(next(iter(rows.values())), files, metadata), facts


def _columns(metadata: list[Path]) -> tuple[str, ...]:
    return tuple(open_parquet(metadata[0]).schema_arrow.names) if metadata else ()
