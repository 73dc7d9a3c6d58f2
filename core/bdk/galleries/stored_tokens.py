"""Token tensors of every row, encoded once and stored in the gallery, so that fetching a neighbour is a read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import torch

from bdk.errors import DataError
from bdk.galleries.checking import read_seal, write_seal
from bdk.galleries.configs import PictureConfig
from bdk.galleries.gallery import Gallery
from bdk.galleries.items import PACK, Items, backbone_identity, gather
from bdk.galleries.manifest import FileEntry, Manifest, TokenEntry, write_manifest
from bdk.galleries.sources import picture_source
from bdk.galleries.token_cache import TokenCache
from bdk.galleries.writing import describe_file
from bdk.spaces import Space

SHARD = 8_192
"""Rows of a shard: what an interruption can lose; 3.2 GB of 257 x 768 tokens."""


def store_tokens(
    root: Path,
    space: Space,
    *,
    config: PictureConfig | None = None,
    cache: Path | None = None,
    rows: int = SHARD,
    tell: Callable[[str, int, int], None] = lambda *a: None,
) -> Manifest:
    """Encode every row of a gallery in a space and store the tokens; shards that are there already are kept.

    A row whose picture or caption cannot be had is stored as NaN, which is what fetching it would give.

    Args:
        root: gallery folder.
        space: of pictures or of captions; the guide of that modality will find its tokens here.
        config: bounds on downloads, for galleries whose pictures are behind URLs.
        cache: folder for downloaded pictures; none takes the user's.
        rows: rows of a shard.
        tell: told (what, done, total).

    Returns:
        The manifest, which names the tokens from now on.

    Raises:
        DataError: the space has no backbone, or the gallery already stores that guide's tokens of another space.
    """
    gallery, guide = Gallery(root), space.modality
    _refuse(gallery, space)
    network = backbone_identity(space)
    folder = gallery.root / "tokens" / guide / network
    folder.mkdir(parents=True, exist_ok=True)
    pictures = picture_source(
        gallery, config or PictureConfig.model_validate({}), cache or platformdirs.user_cache_path("bdk")
    )
    items = Items({guide: space}, pictures, TokenCache(folder, 0))
    shards: list[FileEntry] = []
    for number, start in enumerate(range(0, len(gallery), rows)):
        path, count = folder / f"{number:05d}.npy", min(rows, len(gallery) - start)
        if not path.is_file():
            _write_shard(path, gallery, items, guide, range(start, start + count))
        shards.append(describe_file(gallery.root, path, count))
        tell("encode", start + count, len(gallery))
    entry = TokenEntry(space=space.id, tokens=space.tokens, dim=space.dim, network=network, shards=tuple(shards))
    manifest = gallery.manifest.model_copy(update={"tokens": {**gallery.manifest.tokens, guide: entry}})
    write_seal(gallery.root, shards, keep=read_seal(gallery.root))
    write_manifest(gallery.root, manifest)
    return manifest


def _refuse(gallery: Gallery, space: Space) -> None:
    """Refuse what cannot be encoded, and a second space for a guide that has one."""
    if not space.backbone or space.modality == "latent":
        raise DataError(
            f"Nothing encodes pictures or captions in space {space.id!r}.",
            where="--space",
            mend="`bdk list spaces` shows the spaces with their backbones.",
        )
    stored = gallery.manifest.tokens.get(space.modality)
    if stored is not None and stored.space != space.id:
        raise DataError(
            f"The gallery already stores {space.modality} tokens, of space {stored.space!r}.",
            where=str(gallery.root),
            mend="Build a second gallery over the same embeddings for the other space.",
        )


def _write_shard(path: Path, gallery: Gallery, items: Items, guide: str, ids: range) -> None:
    """Encode rows pack by pack into a file beside, and rename it when it is whole."""
    space, aside = items.space(guide), path.with_name(path.name + ".new")
    shape = (len(ids), space.tokens, space.dim)
    store = np.lib.format.open_memmap(aside, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(ids), PACK):
        part = list(ids[start : start + PACK])
        tokens = items.tokens(dict(zip(part, gallery.rows(part), strict=True)), guide)
        store[start : start + len(part)] = gather(tokens, torch.tensor(part)[:, None], space)[:, 0].half().numpy()
    store.flush()
    aside.replace(path)
