"""An index folder that clip-retrieval serves from, adopted as a gallery without copying it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bdk.errors import DataError
from bdk.galleries.checking import write_seal
from bdk.galleries.faiss_files import index_file, lists_file, probe
from bdk.galleries.layouts import Layout, read_layout
from bdk.galleries.manifest import FileEntry, IndexEntry, Manifest, Modality, write_manifest
from bdk.galleries.metadata import canonical_names, open_parquet, write_parquet
from bdk.galleries.writing import describe_file

_ROWS = 200_000
_HASHED = 1 << 30
"""Bytes up to which another maker's files are hashed on import unless asked."""


def import_folder(
    folder: Path,
    out: Path,
    name: str,
    key_model: str,
    embeddings: Path | None = None,
    hash: bool | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write a manifest for a clip-retrieval index folder; its files stay where they are.

    Each index is opened and searched once in a process of its own, so that a broken one is an error here and not a
    crash later. Metadata in hdf5 or arrow files is written anew as parquet, in the order of the faiss ids.

    Args:
        folder: holds ``image.index`` and/or ``text.index`` (files, or folders with ``populated.index``) and metadata.
        out: folder for the manifest and rewritten metadata.
        name: of the gallery.
        key_model: pooled space of the index; nothing in the folder says it.
        embeddings: folder of the embeddings that the index was built from, for exact ranking; optional.
        hash: whether files are hashed; none hashes up to 1 GB a file.
        facts: further fields of the manifest.

    Raises:
        DataError: there is no index, it cannot be searched, or index, metadata and embeddings differ in rows.
    """
    indexes = {modality: _index(folder / f"{modality}.index", out, hash) for modality in ("image", "text")}
    found: dict[Modality, tuple[IndexEntry, dict]] = {m: entry for m, entry in indexes.items() if entry}  # type: ignore[misc]
    if not found:
        raise DataError(
            "There is neither image.index nor text.index.",
            where=str(folder),
            mend="Name the folder that clip-retrieval serves from.",
        )
    sizes = {(facts_["n"], facts_["dim"]) for _, facts_ in found.values()}
    if len(sizes) > 1:
        raise DataError(f"The image and text indexes differ in size: {sorted(sizes)}.", where=str(folder))
    n, dim = sizes.pop()
    metadata = _metadata(folder, out, n, hash)
    layout = read_layout(embeddings) if embeddings else None
    manifest = Manifest(
        name=name,
        key_model=key_model,
        dim=dim,
        n=n,
        columns=tuple(open_parquet(out / metadata[0].path).schema_arrow.names) if metadata else (),
        metadata=metadata,
        embeddings=_embeddings(layout, out, n, dim, hash) if layout else {},
        indexes={modality: entry for modality, (entry, _) in found.items()},
        **{"source": str(folder), "pictures": _pictures(metadata, out), **dict(facts or {})},
    )
    write_manifest(out, manifest)
    write_seal(out, manifest.files())
    return manifest


def _index(path: Path, out: Path, hash: bool | None) -> tuple[IndexEntry, dict] | None:
    if not index_file(path).is_file():
        return None
    told = probe(path)
    files = [index_file(path)]
    lists = lists_file(files[0])
    if lists is not None:
        beside = files[0].parent / Path(lists.name).name
        files.append(beside if beside.is_file() else Path(lists.name))
    entry = IndexEntry(
        kind="foreign",
        files=tuple(_describe(out, file, hash) for file in files),
        on_disk=told["on_disk"],
        metric=told["metric"],
        nlist=told["nlist"],
        nprobe=max(told["nprobe"], min(16, told["nlist"])),
        lossy=told["lossy"],
        why=f"adopted as it was: {told['kind']}",
    )
    return entry, told


def _describe(out: Path, path: Path, hash: bool | None, rows: int = 0) -> FileEntry:
    return describe_file(out, path, rows, hash=path.stat().st_size <= _HASHED if hash is None else hash)


def _embeddings(
    layout: Layout, out: Path, n: int, dim: int, hash: bool | None
) -> dict[Modality, tuple[FileEntry, ...]]:
    if (layout.n, layout.dim) != (n, dim):
        raise DataError(
            f"The index holds {n} x {dim}, the embeddings are {layout.n} x {layout.dim}.", where=str(layout.root)
        )
    return {
        modality: tuple(_describe(out, shard.embeddings[modality], hash, shard.rows) for shard in layout.shards)
        for modality in layout.modalities
    }


def _pictures(metadata: tuple[FileEntry, ...], out: Path) -> str:
    if not metadata:
        return "none"
    names = set(canonical_names(open_parquet(out / metadata[0].path).schema_arrow.names).values())
    return "file" if "path" in names else "url" if "url" in names else "none"


def _metadata(folder: Path, out: Path, n: int, hash: bool | None) -> tuple[FileEntry, ...]:
    """Parquet files as they are; anything else written anew."""
    parquet = sorted((folder / "metadata").glob("*.parquet"))
    if parquet:
        entries = tuple(_describe(out, path, hash, open_parquet(path).metadata.num_rows) for path in parquet)
    elif any((folder / name).is_file() for name in ("metadata.hdf5", "metadata_reordered.hdf5")):
        entries = _from_hdf5(folder, out)
    elif list((folder / "metadata").glob("*.arrow")):
        entries = _from_arrow(sorted((folder / "metadata").glob("*.arrow")), out)
    else:
        return ()
    rows = sum(entry.rows for entry in entries)
    if rows != n:
        raise DataError(f"The index holds {n} rows, its metadata {rows}.", where=str(folder))
    return entries


def _from_hdf5(folder: Path, out: Path) -> tuple[FileEntry, ...]:
    """The hdf5 group ``dataset``; a reordered one is read through its mapping from faiss ids to rows."""
    import h5py

    order = folder / "ivf_old_to_new_mapping.npy"
    path = folder / ("metadata_reordered.hdf5" if (folder / "metadata_reordered.hdf5").is_file() else "metadata.hdf5")
    entries = []
    with h5py.File(path, "r") as file:
        group = file["dataset"]
        n = len(next(iter(group.values())))
        mapping = (
            np.load(order, mmap_mode="r", allow_pickle=False) if path.name.startswith("metadata_re") else np.arange(n)
        )
        for number, start in enumerate(range(0, n, _ROWS)):
            rows, back = np.unique(np.asarray(mapping[start : start + _ROWS]), return_inverse=True)
            columns = {
                name: [_text(value) for value in np.asarray(values[rows])[back]] for name, values in group.items()
            }
            entries.append(_write(out, number, columns))
    return tuple(entries)


def _from_arrow(paths: list[Path], out: Path) -> tuple[FileEntry, ...]:
    import pyarrow as pa

    entries = []
    for number, path in enumerate(paths):
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
            entries.append(_write(out, number, table.to_pydict()))
    return tuple(entries)


def _write(out: Path, number: int, columns: dict[str, list]) -> FileEntry:
    path = out / f"metadata/{number:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return describe_file(out, path, write_parquet(path, columns))


def _text(value: Any) -> Any:
    return (
        value.decode("utf-8", errors="replace")
        if isinstance(value, bytes)
        else value.item()
        if hasattr(value, "item")
        else value
    )
