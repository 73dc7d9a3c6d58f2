"""Neighbours of every estimate in a gallery, and their token tensors, each unique item encoded once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bdk.arrays import new_array
from bdk.contexts import RetrieverContext
from bdk.galleries.keys import pooled_key
from bdk.making import Making
from bdk.plan import Step, space_from

BATCH = 256
THUMBED = 24
"""Test stimuli whose neighbours' pictures are kept for the report."""
THUMB = 64


def make(making: Making) -> None:
    """Search with every sample of train and test, and fetch what was found.

    Files: ``train_ids.npy``, ``train_scores.npy``, ``test_ids.npy``, ``test_scores.npy`` (stimuli x S x K; those of
    train only where stage I made estimates of training stimuli, and the query is made of estimates),
    ``token_ids.npy`` (unique ids, sorted) and ``tokens.npy`` (their T D tokens; NaN if one could not be had),
    ``about.json`` (stamps, captions of what the test stimuli found), ``thumbs.npy`` with ``thumb_ids.npy``.
    """
    options = making.options
    retriever = build_retriever(making)
    space = space_from(options["spaces"][options["query_guide"]])
    k = int(options["retriever"].get("k", 4))
    found: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        samples = _query_tokens(making, split)
        if samples is None:
            continue
        ids, scores = _search(making, retriever, samples, space, k, split)
        np.save(making.out / f"{split}_ids.npy", ids)
        np.save(making.out / f"{split}_scores.npy", scores)
        found[split] = ids
    unique = np.unique(np.concatenate([ids.ravel() for ids in found.values()]))
    unique = unique[unique >= 0]
    np.save(making.out / "token_ids.npy", unique)
    _save_tokens(making, retriever, unique)
    _save_about(making, retriever, found["test"])


def build_retriever(making: Making) -> Any:
    """The retriever of a retrieve step's options."""
    options = making.options
    context = RetrieverContext(
        spaces={name: space_from(plain) for name, plain in options["spaces"].items()},
        key_dim=options["key_dim"],
        key_model=options["key_model"],
        cache=making.store.scratch("retrieval"),
        world=options["world"],
    )
    return making.component("retriever", options["retriever"], context)


def retriever_of(making: Making, role: str) -> Any:
    """The retriever of a finished retrieve step, for a step that has it among its inputs."""
    recipe = making.inputs[role].recipe
    step = Step("retrieve", recipe["options"], recipe["inputs"])
    return build_retriever(replace(making, step=step, inputs={}))


def search_again(making: Making, role: str, samples: np.ndarray) -> np.ndarray:
    """Ids found by other tokens of the same guide in the gallery of a finished retrieve step: stimuli x S x K.

    Args:
        making: of a step that has that step among its inputs.
        role: that step's role.
        samples: tokens of the guide that it was searched by, stimuli x S x T x D.
    """
    recipe = making.inputs[role].recipe
    options = recipe["options"]
    again = replace(making, step=Step("retrieve", options, recipe["inputs"]), inputs={})
    space = space_from(options["spaces"][options["query_guide"]])
    k = int(options["retriever"].get("k", 4))
    return _search(again, build_retriever(again), samples, space, k, "test")[0]


def _query_tokens(making: Making, split: str) -> np.ndarray | None:
    """Tokens that the keys are pooled from: prior samples, or the encoder's own for the query ``encoder``; None where
    stage I made none of that split."""
    estimate = making.inputs[f"estimate.{making.options['query_guide']}"]
    name = f"{split}_contrast.npy" if making.options["query"] == "encoder" else f"{split}_samples.npy"
    if not estimate.has(name):
        return None
    tokens = estimate.array(name)
    return tokens[:, None] if making.options["query"] == "encoder" else tokens


def _search(
    making: Making, retriever: Any, samples: np.ndarray, space: Any, k: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    n, s = samples.shape[:2]
    tokens = samples.reshape(n * s, *samples.shape[2:])
    wide = max(k, int(making.options["retriever"].get("pool", k))) if making.options["query"] == "image-tokens" else k
    ids, scores = [], []
    for start in range(0, len(tokens), BATCH):
        batch = torch.from_numpy(np.array(tokens[start : start + BATCH], dtype=np.float32))
        found = retriever.search(pooled_key(batch, making.options["query"], space), wide)
        if wide > k:
            found = reranked(batch, found, retriever.fetch(found.ids, making.options["query_guide"]), k)
        ids.append(found[0].numpy())
        scores.append(found[1].numpy())
        making.progress(min(start + BATCH, len(tokens)), len(tokens), f"{split} search")
    return np.concatenate(ids).reshape(n, s, k), np.concatenate(scores).reshape(n, s, k)


def reranked(tokens: torch.Tensor, found: Any, candidates: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k candidates whose whole token tensors are nearest; ones that cannot be had come last.

    Source: MindEye's second-order selection (cosine of flattened hidden tokens).
    """
    flat = torch.nn.functional.normalize(candidates.flatten(2), dim=-1)
    query = torch.nn.functional.normalize(tokens.flatten(1), dim=-1)
    scores = torch.einsum("bp,bcp->bc", query, flat).nan_to_num(-torch.inf)
    best = scores.topk(k, dim=1)
    ids = found.ids.gather(1, best.indices)
    return torch.where(torch.isinf(best.values), -1, ids), best.values


def _save_tokens(making: Making, retriever: Any, unique: np.ndarray) -> None:
    guide = making.options["guide"]
    space = space_from(making.options["spaces"][guide])
    store = new_array(making.out / "tokens.npy", np.float32, (len(unique), space.tokens, space.dim))
    for start in range(0, len(unique), BATCH):
        ids = torch.from_numpy(unique[start : start + BATCH].astype(np.int64))[:, None]
        store[start : start + BATCH] = retriever.fetch(ids, guide)[:, 0].numpy()
        making.progress(min(start + BATCH, len(unique)), len(unique), "encode neighbours")
    store.flush()


def _save_about(making: Making, retriever: Any, test_ids: np.ndarray) -> None:
    shown = [int(item) for item in np.unique(test_ids) if item >= 0]
    items = dict(zip(map(str, shown), retriever.describe(shown), strict=True)) if hasattr(retriever, "describe") else {}
    stamps = retriever.stamps() if hasattr(retriever, "stamps") else {}
    (making.out / "about.json").write_text(
        json.dumps({"stamps": stamps, "items": items}, ensure_ascii=False, default=str)
    )
    if not hasattr(retriever, "picture"):
        return
    thumbs, kept = [], []
    for item in np.unique(test_ids[:THUMBED]):
        picture = retriever.picture(int(item)) if item >= 0 else None
        if picture is not None:
            thumbs.append(as_thumb(picture))
            kept.append(int(item))
    if kept:
        np.save(making.out / "thumbs.npy", np.stack(thumbs))
        np.save(making.out / "thumb_ids.npy", np.array(kept))


def as_thumb(picture: torch.Tensor, side: int = THUMB) -> np.ndarray:
    """A picture (3 H W, 0..1) as uint8 side x side x 3."""
    small = torch.nn.functional.interpolate(picture[None].float(), size=(side, side), mode="bilinear", antialias=True)
    return (small[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
