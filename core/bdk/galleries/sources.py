"""Where the pictures of a gallery's rows come from, and where their tokens are kept."""

from __future__ import annotations

from pathlib import Path

from bdk.contexts import RetrieverContext
from bdk.galleries.configs import PictureConfig, RetrieverConfig
from bdk.galleries.gallery import Gallery
from bdk.galleries.pictures import FilePictures, NoPictures, PictureSource, ScenePictures
from bdk.galleries.token_cache import TokenCache


def picture_source(gallery: Gallery, config: PictureConfig, cache: Path) -> PictureSource:
    """The source that the gallery's manifest names."""
    manifest = gallery.manifest
    if manifest.pictures == "scene":
        return ScenePictures(int(manifest.recipe.get("seed", 0)), int(manifest.recipe.get("size", 64)))
    if manifest.pictures == "file":
        return FilePictures(gallery.root, config.max_pixels)
    if manifest.pictures == "url":
        return url_pictures(config, cache)
    return NoPictures()


def token_cache(config: RetrieverConfig, context: RetrieverContext) -> TokenCache:
    """Where the neighbours' tokens are kept."""
    return TokenCache(context.cache / "tokens", int(config.cache_gb * 1e9))


def url_pictures(config: PictureConfig, cache: Path) -> PictureSource:
    """Pictures behind URLs, within the bounds of the options."""
    from bdk.galleries.bounded_network import Bounds
    from bdk.galleries.download import Bar, Downloader
    from bdk.galleries.url_pictures import UrlPictures

    bounds = Bounds(config.max_bytes, config.max_seconds, config.max_redirects, config.allow_private_addresses)
    downloader = None if config.offline else Downloader(bounds, at_once=config.downloads, progress=Bar())
    return UrlPictures(cache / "pictures", downloader, config.max_pixels)
