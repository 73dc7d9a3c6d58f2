"""What a guide's tensor means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bdk.errors import SpaceMismatchError

Modality = Literal["image", "text", "latent"]


@dataclass(frozen=True)
class Space:
    """One representation of stimuli: its size, its scale and how to compute it.

    Args:
        id: the name by which decoders, galleries and fitted parts refer to it, such as ``clip-vit-l14/image``.
        tokens: tokens of one stimulus (positions, for a latent image).
        dim: numbers of one token (channels, for a latent image).
        modality: what it is computed from: ``image``, ``text`` (captions) or ``latent`` (an image, by a VAE).
        norm: by what every token of a stimulus was divided: ``cls`` (norm of token 0), ``pooled`` (norm of the
            pooled embedding) or ``none``.
        backbone: ``module:Class`` of the `bdk.targets.Backbone` that computes it.
        options: keyword arguments of the backbone.
        pooled: the space id of the pooled key (P numbers, unit length) that galleries are searched by;
            empty if this space has none.
        resources: files shipped in packages that decide it, as ``package:path``; part of every content key.
        stamp: what every output must say of it, such as ``tiny CLIP (demo world)``; empty for published models.
    """

    id: str
    tokens: int
    dim: int
    modality: Modality
    norm: Literal["cls", "pooled", "none"] = "none"
    backbone: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    pooled: str = ""
    stamp: str = ""
    resources: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Numbers of one stimulus."""
        return self.tokens * self.dim

    def __str__(self) -> str:
        return f"{self.id!r} ({self.tokens} x {self.dim})"


def require_same(have: Space, want: Space, *, holder: str, wanter: str, where: str = "", mend: str = "") -> None:
    """Refuse two spaces that differ in name or size.

    Raises:
        SpaceMismatchError: if ``have`` is not ``want``.
    """
    if (have.id, have.tokens, have.dim) != (want.id, want.tokens, want.dim):
        raise SpaceMismatchError(f"{holder} is in space {have}, but {wanter} wants {want}.", where=where, mend=mend)
