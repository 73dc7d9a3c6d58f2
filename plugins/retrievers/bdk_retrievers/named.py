"""Galleries known by name: resolved to a folder, to the user's configuration, or to the demo world's stand-in."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bdk.contexts import RetrieverContext
from bdk.errors import MissingExtraError
from bdk.galleries.gallery import Gallery
from bdk.galleries.resolving import find_gallery
from bdk.galleries.retrieving import GalleryRetriever
from bdk.galleries.sources import token_cache

from bdk_retrievers.configs import NamedGalleryConfig
from bdk_retrievers.exact import Scan


class NamedGallery(GalleryRetriever):
    """A gallery with a name of its own; subclasses say which."""

    name = ""

    def __init__(self, config: NamedGalleryConfig, context: RetrieverContext) -> None:
        super().__init__(config, context, _folder(self.name, config, context), partial(_backend, config))


def _folder(name: str, config: NamedGalleryConfig, context: RetrieverContext) -> Path:
    if context.world and config.root is None:
        from bdk.galleries.stand_ins import stand_in

        return stand_in(name, config.n, context.world, context.cache, token_cache(config, context))
    return find_gallery(name, config.root)


def _backend(config: NamedGalleryConfig, gallery: Gallery) -> Any:
    has_faiss = find_spec("faiss") is not None
    if config.backend == "faiss" and not has_faiss:
        raise MissingExtraError(
            "The backend faiss is not installed.",
            where="retriever.backend",
            mend='pip install "brain-decoding-kit[cpu]"',
        )
    indexed = config.search_in in gallery.manifest.indexes
    if config.backend == "faiss" or (config.backend == "auto" and has_faiss and indexed):
        from bdk_retrievers.faiss import IndexSearch

        return IndexSearch(gallery, config)
    return Scan(gallery, config.search_in, config.block, 1e9 * config.keep_gb)
