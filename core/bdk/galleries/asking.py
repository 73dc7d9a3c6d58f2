"""Asking a gallery by hand: from a caption, a picture, a row or a file of keys to a table of neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.contexts import RetrieverContext
from bdk.errors import DataError, SpecError, WeightsMissingError
from bdk.galleries.embedding import towers
from bdk.galleries.gallery import Gallery
from bdk.galleries.pictures import Missing, decode_picture
from bdk.registry import Registry, build, config_class, load


def ask(
    root: Path,
    retriever: str,
    search_in: str,
    k: int,
    *,
    text: str = "",
    picture: Path | None = None,
    row: int = -1,
    keys: Path | None = None,
) -> list[dict[str, Any]]:
    """Neighbours of whichever query is given: ``query``, ``rank``, ``score``, ``id`` and the item's metadata.

    Raises:
        SpecError: none or several queries are given.
        DataError: the picture or the keys cannot be read.
    """
    if sum([bool(text), picture is not None, row >= 0, keys is not None]) != 1:
        raise SpecError("Give exactly one query.", mend="One of --text, --picture, --row, --keys.")
    gallery, registry = Gallery(root), load()
    asked = _keys(gallery, registry, search_in, text, picture, row, keys)
    context = RetrieverContext(
        {}, gallery.manifest.dim, gallery.manifest.key_model, platformdirs.user_cache_path("bdk")
    )
    info = registry.component("retriever", retriever, where="--retriever")
    found = build(info, config_class(info).model_validate({"root": str(root), "search_in": search_in}), context)
    answer = found.search(asked, k)
    return [
        {"query": q, "rank": rank, "score": round(float(score), 5), **found.describe([int(id)])[0]}
        for q, (ids, scores) in enumerate(zip(answer.ids, answer.scores, strict=True))
        for rank, (id, score) in enumerate(zip(ids, scores, strict=True), start=1)
        if id >= 0
    ]


def _keys(
    gallery: Gallery, registry: Registry, search_in: str, text: str, picture: Path | None, row: int, keys: Path | None
) -> Float[Tensor, "B P"]:
    if keys is not None:
        return torch.from_numpy(np.atleast_2d(np.load(keys, allow_pickle=False)).astype(np.float32))
    if row >= 0:
        if row >= len(gallery):
            raise SpecError(f"The gallery has {len(gallery)} rows, so there is no row {row}.", where="--row")
        return torch.from_numpy(gallery.embeddings(search_in).take(np.array([row])).astype(np.float32))  # type: ignore[arg-type]
    from bdk.targets import backbone

    image, caption = towers(registry, gallery.manifest.key_model)
    if picture is not None:
        pixels = decode_picture(picture.read_bytes(), 200_000_000) if picture.is_file() else Missing("file-not-found")
        if isinstance(pixels, Missing):
            raise DataError(f"The picture cannot be read: {pixels.reason}.", where=str(picture))
        return backbone(image).pooled(pixels[None])
    if caption is None:
        raise WeightsMissingError(
            f"Nothing installed embeds captions as {gallery.manifest.key_model!r}.", where="--text"
        )
    return backbone(caption).pooled([(text,)])


def infer_key_model(registry: Registry, dim: int, key_model: str = "") -> tuple[str, dict[str, str]]:
    """The pooled space of embeddings of ``dim`` numbers, and what is known of its model.

    Raises:
        SpecError: it was not said and several (or no) spaces fit, or it was said and has another size.
    """
    pooled = {s.pooled: s for s in registry.spaces.values() if s.pooled and s.modality == "image" and s.dim == dim}
    if key_model and key_model in registry.spaces and registry.spaces[key_model].size != dim:
        raise SpecError(
            f"{key_model!r} has {registry.spaces[key_model].size} numbers, the embeddings have {dim}.",
            where="--key-model",
        )
    if not key_model:
        if len(pooled) != 1:
            raise SpecError(
                f"{len(pooled)} known spaces have {dim} numbers, so the embeddings' CLIP model must be said.",
                where="--key-model",
                mend=f"Known: {', '.join(sorted(pooled)) or 'none of that size'}.",
            )
        key_model = next(iter(pooled))
    options = pooled[key_model].options if key_model in pooled else {}
    return key_model, {
        name: str(options[key])
        for name, key in (("clip_model", "model"), ("clip_pretrained", "weights"))
        if key in options
    }
