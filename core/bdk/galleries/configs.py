"""Options of retrievers, as far as they are alike: base classes for built-in and foreign ones. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from bdk.components import Config
from bdk.errors import RetrieverUnavailableError
from bdk.galleries.queries import QueryName
from bdk.galleries.resolving import find_gallery, known_galleries


class RetrieverConfig(Config):
    """Options that every retriever understands."""

    k: int = Field(4, ge=1, le=1024)
    """Neighbours per key, 1 to 1024. BrainRAM retrieves 4 for each of its 4 prior samples; its Table 2 uses 16."""
    query: QueryName = "auto"
    """What is searched for: `image-cls` (token 0 of the image estimate), `image-tokens` (the same, then candidates are
    ranked by their whole token tensors), `text` (mean of the text estimate's tokens 1 to T-1), `encoder` (the encoder's
    contrast output), or `auto`: a guide's own. BrainRAM says only "p will serve as query"."""
    pool: int = Field(32, ge=1)
    """Candidates that `image-tokens` ranks by whole tokens; at least k. MindEye ranks 16."""
    cache_gb: float = Field(20.0, ge=0)
    """Bound on the folder of encoded neighbours, gigabytes; the ones unused for longest go first. One image of
    257 x 768 takes 0.4 MB; BrainRAM's full run needs up to 56 GB if no neighbour occurs twice."""


class PictureConfig(RetrieverConfig):
    """Options of retrievers that may have to fetch pictures from the network."""

    allow_private_addresses: bool = False
    """Whether picture URLs may lead to private, loopback or link-local addresses. Off: URLs are strangers'."""
    max_bytes: int = Field(20_000_000, gt=0)
    """Bound on one download, bytes."""
    max_seconds: float = Field(20.0, gt=0)
    """Bound on one download from name look-up to last byte, seconds."""
    max_redirects: int = Field(4, ge=0)
    """Bound on redirects; every hop's address is checked anew."""
    max_pixels: int = Field(50_000_000, gt=0)
    """Bound on width x height of a picture, checked before it is decoded."""
    downloads: int = Field(16, ge=1, le=256)
    """Downloads at once; never more than 2 from one host."""
    offline: bool = False
    """Whether pictures that are not yet in the cache count as missing instead of being downloaded."""


class GalleryConfig(PictureConfig):
    """Options of retrievers over a gallery on disk."""

    gallery_name: ClassVar[str] = ""
    """The name that `galleries.toml` may resolve; empty for retrievers that need a root."""

    root: str | None = None
    """The gallery's folder. Not given: looked up by name in the user's `galleries.toml`."""
    search_in: Literal["image", "text"] = "image"
    """Which of the gallery's embeddings are searched: of its images (as LAION's index) or of its captions."""
    dedup: bool = False
    """Whether neighbours nearly equal to a better one are passed over. Off, so that k means k; on in clip-retrieval."""
    dedup_cosine: float = Field(0.94, gt=0, le=1)
    """Cosine from which two gallery items count as equal when `dedup` is on; clip-retrieval's value."""
    leave_out: str | None = None
    """File of gallery ids that are never found, as `bdk index audit --leave-out FILE` writes it. None by default:
    BrainRAM keeps what is there, and says that the stimulus itself may be."""
    record: str | None = None
    """Folder to record every search in, for the retriever `frozen` to replay; none by default."""
    check: Literal["auto", "sizes", "full"] = "auto"
    """How thoroughly files are checked at opening: `auto` hashes what changed since the last check (up to 4 GB),
    `sizes` compares sizes and headers only, `full` hashes everything."""

    def lacks(self, world: Mapping[str, object]) -> list[str]:
        """A line if the gallery's folder is not known or holds none."""
        try:
            find_gallery(self.gallery_name or "of this retriever", self.root)
        except RetrieverUnavailableError as error:
            return [f"{error.what} {error.mend}"]
        return []

    def sources(self) -> list[Path]:
        """Files and folders that decide what is found; a run's content keys depend on them."""
        folder = self.root or known_galleries().get(self.gallery_name)
        return [Path(name).expanduser() for name in (folder, self.leave_out) if name]
