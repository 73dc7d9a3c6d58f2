"""Options of the built-in retrievers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from bdk.galleries.configs import GalleryConfig, PictureConfig
from pydantic import Field


class ExactConfig(GalleryConfig):
    """Options of `exact`."""

    block: int = Field(65_536, ge=1)
    """Gallery rows compared at once; 65,536 rows of 768 numbers need 200 MB in single precision."""
    keep_gb: float = Field(1.0, ge=0)
    """Galleries up to this many gigabytes in single precision stay in memory between searches, so that a key alone is
    compared at the speed of memory; larger ones are read anew, block by block."""


class FaissConfig(GalleryConfig):
    """Options of `faiss`."""

    nprobe: int = Field(0, ge=0)
    """Inverted lists visited per query; 0 takes the manifest's value. More is slower and finds more."""
    ef_search: int = Field(0, ge=0)
    """Candidates an HNSW index keeps; 0 takes the index's own value."""
    oversample: int = Field(0, ge=0)
    """Candidates per neighbour asked of a lossy index, before exact ranking by the stored embeddings; 0 takes 1 for
    8-bit codes, whose errors the eight candidates beyond k make good, and 8 for product quantisation."""
    rerank: bool = True
    """Whether candidates are ranked again with the stored embeddings. A gallery without any cannot, and says so."""
    io_flags: tuple[Literal["mmap", "read-only", "ondisk-same-dir"], ...] = ()
    """How the index file is opened. With lists kept on disk `mmap` would crash; it is dropped, and recorded."""
    device: str = "cpu"
    """`cpu`, or `cuda:N` with the faiss build for it; an index whose lists stay on disk remains on the CPU."""


class NamedGalleryConfig(FaissConfig):
    """Options of the galleries that are known by name."""

    backend: Literal["auto", "exact", "faiss"] = "auto"
    """`auto` takes faiss where it is installed and the gallery has an index, else the exact scan; both agree where
    the index is exact."""
    block: int = Field(65_536, ge=1)
    """Gallery rows the exact scan compares at once."""
    keep_gb: float = Field(1.0, ge=0)
    """Galleries up to this many gigabytes in single precision stay in memory between searches, so that a key alone is
    compared at the speed of memory; larger ones are read anew, block by block."""
    n: int | None = Field(None, ge=1)
    """Size of the demo world's stand-in; none takes its own. No meaning for real galleries."""

    def lacks(self, world: Mapping[str, object]) -> list[str]:
        """A line if the gallery's folder is not known; a world's stand-in needs none."""
        return [] if world and self.root is None else super().lacks(world)


class Laion2bConfig(NamedGalleryConfig):
    """Options of `laion2b`: LAION-2B-en, or on the demo world its stand-in of 12,000 English-captioned scenes."""

    gallery_name: ClassVar[str] = "laion2b"

    n: int | None = Field(None, ge=1, json_schema_extra={"quick": 2000})
    """Size of the demo world's stand-in; none takes 12,000. No meaning for the real gallery."""


class Laion400mConfig(NamedGalleryConfig):
    """Options of `laion400m`: LAION-400M, or on the demo world its stand-in of 3,000 scenes in four languages."""

    gallery_name: ClassVar[str] = "laion400m"

    n: int | None = Field(None, ge=1, json_schema_extra={"quick": 500})
    """Size of the demo world's stand-in; none takes 3,000. No meaning for the real gallery."""


class ClipRetrievalConfig(PictureConfig):
    """Options of `clip-retrieval`, the client of a running clip-retrieval service."""

    url: str = "http://localhost:1234"
    """Address of the service, without `/knn-service`. There is no public one: knn.laion.ai no longer answers."""
    index: str = "laion5B-L-14"
    """Index name, as the service's `/indices-list` gives it."""
    key_model: str = "clip-vit-l14/pooled"
    """Pooled space of that index. The service cannot be asked, so it must be said; other queries are refused."""
    modality: Literal["image", "text"] = "image"
    """Which of the service's two indexes is searched."""
    timeout: float = Field(60.0, gt=0)
    """Bound on one request, seconds."""
    max_answer_bytes: int = Field(50_000_000, gt=0)
    """Bound on one answer, bytes."""
    at_once: int = Field(4, ge=1, le=32)
    """Requests at once; one key is one request."""
    record: str | None = None
    """Folder to record every search in, for the retriever `frozen` to replay; none by default."""


class FrozenConfig(PictureConfig):
    """Options of `frozen`, which replays a recorded search."""

    folder: str = Field(...)
    """What an earlier run recorded (`retriever.record`)."""
    tolerance: float = Field(1e-4, ge=0, le=0.1)
    """Largest cosine distance between a key and a recorded one for the recorded neighbours to answer it. Rounding
    between machines stays far below; another model's keys stay far above."""
    root: str | None = None
    """Folder that picture paths of the record are relative to; none takes the folder that the record names."""

    def lacks(self, world: Mapping[str, object]) -> list[str]:
        """A line if the recorded folder is not there."""
        folder = Path(self.folder).expanduser()
        return [] if folder.is_dir() else [f"No search is recorded in {folder}. Record one: retriever.record in a run."]

    def sources(self) -> list[Path]:
        """The recorded folder: a run's content keys depend on it."""
        return [Path(self.folder).expanduser()]
