"""Ranking candidates: exact cosines from the stored embeddings, exclusion, duplicates, padding to exactly k."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from bdk.errors import ComponentError
from bdk.galleries.gallery import Rows
from bdk.interfaces import Neighbours

_AT_ONCE = 1 << 20
"""Numbers gathered at once when candidates are scored again: 4 MB, so that they stay in the processor's cache."""


def exactly(keys: Float[Tensor, "B P"], ids: Int[Tensor, "B M"], stored: Rows, most: int) -> Neighbours:
    """Candidates with the cosine of each key and their stored embeddings; -inf where the id is -1. No order.

    Summed in double precision, so that every backend gives the same score for the same item, and divided by the
    length of the stored row, which half precision leaves off 1 by about 1e-4.

    Args:
        keys: unit length.
        ids: candidates of each key.
        stored: the gallery's embeddings.
        most: of more candidates than these, the best by sums in single precision are kept.
    """
    kept, scores = ids[:, :most].clone(), torch.full((len(ids), min(most, ids.shape[1])), -torch.inf)
    step = max(1, _AT_ONCE // max(1, ids.shape[1] * keys.shape[1]))
    for start in range(0, len(keys), step):
        block = slice(start, start + step)
        part, key = ids[block], keys[block].numpy()
        half = torch.from_numpy(stored.take(part.clamp(min=0).flatten().numpy()))
        rows = half.float().view(*part.shape, -1).numpy()
        if part.shape[1] > most:
            place = _cosines(key, rows, part, np.float32).topk(most, dim=1).indices
            part, rows = part.gather(1, place), rows[np.arange(len(part))[:, None], place.numpy()]
        kept[block], scores[block] = part, _cosines(key, rows, part, np.float64)
    return Neighbours(kept, scores)


def _cosines(key: np.ndarray, rows: np.ndarray, ids: Int[Tensor, "B M"], sum_in: type) -> Float[Tensor, "B M"]:
    dots = np.einsum("bmp,bp->bm", rows, key, dtype=sum_in)
    lengths = np.sqrt(np.einsum("bmp,bmp->bm", rows, rows, dtype=sum_in))
    return torch.from_numpy(dots / lengths).float().masked_fill(ids < 0, -torch.inf)


def ordered(ids: Int[Tensor, "B M"], scores: Float[Tensor, "B M"]) -> Neighbours:
    """Candidates by descending score, equal scores by ascending id, absent ones last."""
    by_id = ids.argsort(dim=1, stable=True)
    ids, scores = ids.gather(1, by_id), scores.gather(1, by_id)
    by_score = scores.argsort(dim=1, descending=True, stable=True)
    return Neighbours(ids.gather(1, by_score), scores.gather(1, by_score))


def without(found: Neighbours, exclude: Int[Tensor, "B E"] | None) -> Neighbours:
    """The candidates that are not excluded; the places of the others become empty (-1, -inf)."""
    if exclude is None or exclude.shape[1] == 0:
        return found
    hit = (found.ids[:, :, None] == exclude[:, None, :]).any(dim=2)
    return Neighbours(found.ids.masked_fill(hit, -1), found.scores.masked_fill(hit, -torch.inf))


def without_duplicates(found: Neighbours, stored: Rows, cosine: float) -> Neighbours:
    """One candidate, the best, of every group of near-equal ones.

    Source: clip-retrieval's deduplication: groups are the connected components of the graph that joins candidates of
    cosine above ``cosine`` (0.94 there); the first of each group stays. A group may grow with the number of candidates.
    """
    ids, scores = found.ids.clone(), found.scores.clone()
    for row in range(len(ids)):
        present = (ids[row] >= 0).nonzero().flatten()
        if len(present) < 2:
            continue
        rows = F.normalize(torch.from_numpy(stored.take(ids[row, present].numpy())).float(), dim=1)
        later = present[_repeats((rows @ rows.T > cosine).numpy())]
        ids[row, later], scores[row, later] = -1, -torch.inf
    return Neighbours(ids, scores)


def _repeats(alike: np.ndarray) -> np.ndarray:
    """Positions that are not the first of their connected component."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(csr_matrix(alike), directed=False)
    _, first = np.unique(label, return_index=True)
    return np.setdiff1d(np.arange(len(label)), first)


def best(found: Neighbours, k: int) -> Neighbours:
    """Exactly k: the first k present candidates of each row, padded with -1 and -inf."""
    ids, scores = found.ids, found.scores
    if ids.shape[1] < k:
        ids = F.pad(ids, (0, k - ids.shape[1]), value=-1)
        scores = F.pad(scores, (0, k - scores.shape[1]), value=-torch.inf)
    order = (ids < 0).int().argsort(dim=1, stable=True)[:, :k]
    return Neighbours(ids.gather(1, order), scores.gather(1, order))


def check_keys(
    keys: Float[Tensor, "B P"], dim: int, k: int, exclude: Int[Tensor, "B E"] | None
) -> Float[Tensor, "B P"]:
    """The keys as unit-length float32 on the CPU.

    Raises:
        ComponentError: wrong shape, wrong dimension, not finite, or zero.
    """
    if keys.ndim != 2 or keys.shape[1] != dim:
        raise ComponentError(
            f"Keys have shape {tuple(keys.shape)}, the gallery wants B x {dim}.", where="retriever.search"
        )
    if k < 1 or (exclude is not None and (exclude.ndim != 2 or len(exclude) != len(keys))):
        raise ComponentError("k must be at least 1, and exclude one row of ids per key.", where="retriever.search")
    unit = keys.detach().cpu().float()
    length = unit.norm(dim=1, keepdim=True)
    if not bool(torch.isfinite(length).all()) or bool((length == 0).any()):
        raise ComponentError("A key is zero or not finite, so it points nowhere.", where="retriever.search")
    return unit / length
