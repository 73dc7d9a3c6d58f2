"""`lancedb`: candidates from an embedded vector database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import torch
from bdk.contexts import RetrieverContext
from bdk.errors import SpecError
from bdk.galleries.gallery import Gallery
from bdk.galleries.manifest import Modality
from bdk.galleries.resolving import find_gallery
from bdk.galleries.retrieving import GalleryRetriever
from bdk.interfaces import Neighbours
from jaxtyping import Float
from lancedb.index import IvfPq
from torch import Tensor

from bdk_vector_db.configs import LanceConfig

_TABLE = "items"


class Lance(GalleryRetriever):
    """A gallery searched inside LanceDB."""

    def __init__(self, config: LanceConfig, context: RetrieverContext) -> None:
        if config.root is None:
            raise SpecError("The retriever 'lancedb' needs a gallery folder.", where="retriever.root")
        super().__init__(config, context, find_gallery("lancedb", config.root), partial(Table, config, context.cache))


class Table:
    """One embedding set of a gallery as a LanceDB table.

    Args:
        config: whether it is indexed, and how it is searched.
        cache: folder under which the database is kept.
        gallery: where the embeddings come from.
    """

    def __init__(self, config: LanceConfig, cache: Path, gallery: Gallery) -> None:
        self.config, self.rows = config, len(gallery)
        name = f"{gallery.manifest.fingerprint()[:16]}-{config.search_in}-{config.partitions}"
        folder = cache / "lancedb" / name
        if not folder.is_dir():
            _fill(folder, gallery, config)
        self.table = lancedb.connect(folder).open_table(_TABLE)
        self.label = f"LanceDB IVF-PQ, nprobes {config.nprobes}" if config.partitions else "LanceDB, every row"

    def candidates(self, keys: Float[Tensor, "B P"], m: int) -> Neighbours:
        """The m best rows of each key; an index is asked for more, since its order is approximate."""
        wanted = min(self.rows, m * self.config.oversample) if self.config.partitions else m
        ids = torch.full((len(keys), wanted), -1, dtype=torch.int64)
        scores = torch.full((len(keys), wanted), -torch.inf)
        for row, key in enumerate(keys.numpy()):
            found = self._search(key, wanted)
            ids[row, : len(found)] = torch.from_numpy(found["id"].to_numpy().copy())
            scores[row, : len(found)] = 1 - torch.from_numpy(found["_distance"].to_numpy().copy())
        return Neighbours(ids, scores)

    def _search(self, key: np.ndarray, m: int) -> pa.Table:
        query = self.table.search(key).distance_type("cosine").select(["id", "_distance"]).limit(m)
        return (query.nprobes(self.config.nprobes) if self.config.partitions else query).to_arrow()


def _fill(folder: Path, gallery: Gallery, config: LanceConfig) -> None:
    """Write the database aside and rename it, so that an interrupted filling is never searched."""
    aside = folder.with_name(folder.name + ".new")
    shutil.rmtree(aside, ignore_errors=True)
    dim = gallery.manifest.dim
    schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), dim))])
    table = lancedb.connect(aside).create_table(_TABLE, data=_batches(gallery, config.search_in, schema), schema=schema)
    if config.partitions:
        _index(table, config.partitions, dim)
    aside.replace(folder)


def _batches(gallery: Gallery, within: Modality, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for start, rows in gallery.embeddings(within).blocks(8192):
        flat = pa.array(np.asarray(rows, dtype=np.float32).ravel())
        ids = pa.array(np.arange(start, start + len(rows)))
        yield pa.record_batch([ids, pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])], schema=schema)


def _index(table: Any, partitions: int, dim: int) -> None:
    parts = next(parts for parts in range(max(1, dim // 8), 0, -1) if dim % parts == 0)
    table.create_index("vector", config=IvfPq(distance_type="cosine", num_partitions=partitions, num_sub_vectors=parts))
