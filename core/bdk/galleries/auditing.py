"""Are test stimuli in a gallery? The nearest items of each are looked at twice: by picture and by embedding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch

from bdk import leakage
from bdk.contexts import RetrieverContext
from bdk.errors import DataError
from bdk.galleries.embedding import towers
from bdk.galleries.gallery import Gallery
from bdk.registry import Registry, build, config_class, load, resolve
from bdk.spaces import Space

_BATCH = 64


def audit_gallery(
    root: Path,
    data: str,
    options: Mapping[str, Any] | None = None,
    *,
    k: int = 16,
    min_cosine: float = leakage.MIN_COSINE,
    max_bits: int = leakage.MAX_BITS,
    retriever_options: Mapping[str, Any] | None = None,
    cache: Path | None = None,
) -> leakage.Audit:
    """Look for a data set's test stimuli among the items nearest to them.

    Args:
        root: gallery folder.
        data: name of the data set.
        options: its options.
        k: nearest items that are looked at for each test stimulus.
        min_cosine: embeddings at least this alike count.
        max_bits: perceptual hashes that differ in no more bits count.
        retriever_options: such as bounds on downloads.
        cache: folder for downloaded pictures; none takes the user's.

    Raises:
        DataError: the data set has no pictures.
    """
    registry, gallery = load(), Gallery(root)
    pictures = test_pictures(registry, data, options or {})
    image, _ = towers(registry, gallery.manifest.key_model)
    return search_for(
        gallery,
        _retriever(gallery, registry, dict(retriever_options or {}), cache),
        pictures,
        image,
        k,
        min_cosine,
        max_bits,
    )


def test_pictures(registry: Registry, data: str, options: Mapping[str, Any]) -> np.ndarray:
    """Pictures of a data set's test stimuli, uint8 N x H x W x 3."""
    info = registry.dataset(data, where="--data")
    loaded = resolve(info.target)(config_class(info).model_validate(dict(options))).load()
    if loaded.images is None:
        raise DataError(f"Data set {data!r} has no pictures to look for.", where="--data")
    return loaded.images.batch(loaded.rows("test"))


def search_for(
    gallery: Gallery, retriever: Any, pictures: np.ndarray, image: Space, k: int, min_cosine: float, max_bits: int
) -> leakage.Audit:
    """The audit itself, for pictures that are at hand."""
    from bdk.targets import backbone

    parts = [backbone(image).pooled(pictures[start : start + _BATCH]) for start in range(0, len(pictures), _BATCH)]
    keys = torch.cat(parts)
    found = retriever.search(keys, k)
    candidates = [int(id) for id in torch.unique(found.ids) if id >= 0]
    seen = {id: picture.numpy() for id in candidates if (picture := retriever.picture(id)) is not None}
    looks = [
        _look(gallery, keys.numpy(), [id for id in candidates if id not in seen], None, None, min_cosine, max_bits)
    ]
    hashes = leakage.perceptual_hashes(pictures)
    looks.append(
        _look(gallery, keys.numpy(), list(seen), hashes, leakage.perceptual_hashes(seen.values()), min_cosine, max_bits)
    )
    matches = tuple(match for look in looks for match in look)
    return leakage.Audit(f"gallery {gallery.manifest.name}", len(pictures), len(gallery), matches, max_bits, min_cosine)


def _look(
    gallery: Gallery, keys: np.ndarray, ids: Sequence[int], tests: Any, others: Any, min_cosine: float, max_bits: int
) -> tuple[leakage.Match, ...]:
    """Near-duplicates among some items; by hash as well where hashes are given."""
    stored = gallery.embeddings("image").take(np.asarray(ids)) if gallery.has_embeddings("image") and ids else None
    if not ids or (stored is None and tests is None):
        return ()
    found = leakage.near_duplicates(
        where=f"gallery {gallery.manifest.name}",
        test_hashes=tests,
        other_hashes=others,
        test_embeddings=keys if stored is not None else None,
        other_embeddings=stored,
        other_ids=ids,
        min_cosine=min_cosine,
        max_bits=max_bits,
    )
    return found.matches


def _retriever(gallery: Gallery, registry: Registry, options: dict[str, Any], cache: Path | None) -> Any:
    indexed = "image" in gallery.manifest.indexes and gallery.manifest.indexes["image"].files
    info = registry.component("retriever", "faiss" if indexed and find_spec("faiss") else "exact")
    manifest = gallery.manifest
    context = RetrieverContext({}, manifest.dim, manifest.key_model, cache or platformdirs.user_cache_path("bdk"))
    return build(info, config_class(info).model_validate({**options, "root": str(gallery.root)}), context)


def write_leave_out(path: Path, audit: leakage.Audit) -> None:
    """Write the ids that an audit found, for the option ``retriever.leave_out``."""
    path.write_text(json.dumps({"why": audit.summary(), "ids": audit.others}) + "\n")
