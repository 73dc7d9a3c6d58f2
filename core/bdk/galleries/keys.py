"""Pooled keys: from a guide's tokens to the one vector that a gallery is searched by."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.errors import ComponentError, PlanError
from bdk.spaces import Space


def pooled_key(tokens: Float[Tensor, "B T D"], query: str, space: Space) -> Float[Tensor, "B P"]:
    """The unit-length key of each stimulus.

    Source: BrainRAM section 3.3 ("p will serve as query"); how p is pooled is not printed. Image spaces: token 0,
    which in Versatile Diffusion's scale is CLIP's projected image embedding, so it lives in the gallery's space
    exactly. Text spaces: the mean of tokens 1 to T-1, because CLIP's text embedding is the end token, whose position
    is unknown in a predicted text; a space of one token is its own key. ``encoder`` pools the encoder's contrast
    tokens in the same way (MindEye's 1 x 768 model, where T is 1).

    Args:
        tokens: estimate, or the encoder's contrast output, of each stimulus.
        query: a name of `bdk.galleries.queries.QUERIES`, or ``auto``.
        space: what the tokens mean.

    Returns:
        Keys of unit length, float32.

    Raises:
        PlanError: the space has no pooled key, or the query is made of the other modality.
        ComponentError: a token is not finite, or a key has no direction (all zeros).
    """
    _check(query, space)
    wide = tokens.float()
    if space.modality == "text" and wide.shape[1] > 1:
        pooled = wide[:, 1:].mean(dim=1)
    else:
        pooled = wide[:, 0]
    length = pooled.norm(dim=-1)
    if not bool(torch.isfinite(length).all()) or bool((length == 0).any()):
        raise ComponentError(
            f"A key for query {query!r} is zero or not finite, so it points nowhere.",
            where=f"space {space.id}",
            mend="Look for NaN in the estimate: the encoder or prior has probably diverged.",
        )
    return F.normalize(pooled, dim=-1)


def _check(query: str, space: Space) -> None:
    if not space.pooled:
        raise PlanError(
            f"Space {space} has no pooled key, so no gallery can be searched with it.", mend="Query by another guide."
        )
    wants = {"image-cls": "image", "image-tokens": "image", "text": "text"}.get(query, space.modality)
    if wants != space.modality:
        raise PlanError(
            f"Query {query!r} is made of {wants} tokens, but {space.id!r} holds {space.modality} tokens.",
            where="retriever.query",
            mend="Choose a query of that guide's modality, or auto.",
        )
