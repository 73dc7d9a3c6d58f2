"""Options of the retriever `lancedb`. Imports no torch."""

from __future__ import annotations

from bdk.galleries.configs import GalleryConfig
from pydantic import Field


class LanceConfig(GalleryConfig):
    """Options of `lancedb`; `root` and the rest are those of every retriever over a gallery."""

    partitions: int = Field(0, ge=0)
    """Partitions of an IVF-PQ index that LanceDB builds; 0 builds none and compares with every row."""
    nprobes: int = Field(20, ge=1)
    """Partitions visited per query, if there is an index; LanceDB's own default."""
    oversample: int = Field(16, ge=1)
    """Candidates per neighbour asked of an index, before exact ranking by the stored embeddings."""
