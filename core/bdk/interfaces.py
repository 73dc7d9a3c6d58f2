"""The five interfaces: what an encoder, a prior, a retriever, a fusion module and a decoder must do.

Axes: B stimuli, V voxels of the ROI, T tokens, D numbers per token, S samples per stimulus, K neighbours,
P numbers of a pooled key, E excluded ids, H and W pixels.

Randomness comes from the generator alone; a run gives the same one to batch after batch, so what all stimuli share
is drawn from its seed (`bdk.objectives.randomness.restarted`), not from its state. Nothing writes its inputs. Rows of a
batch never mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Encoded(NamedTuple):
    """What an encoder makes of betas."""

    tokens: Float[Tensor, "B T D"]
    """Conditions the prior; the estimate itself when the spec says ``prior = "none"``."""
    contrast: Float[Tensor, "B T D"]
    """Scored by the contrastive loss; used for brain-based selection."""


class Neighbours(NamedTuple):
    """What a search finds, best first."""

    ids: Int[Tensor, "B K"]
    """Gallery ids; -1 where there is none left."""
    scores: Float[Tensor, "B K"]
    """Cosine similarity, descending; -inf beside id -1."""


class PriorLoss(NamedTuple):
    """What a prior learns from, and its clean prediction for losses of one's own."""

    loss: Float[Tensor, ""]
    """Mean squared error in the prior's own scale."""
    prediction: Float[Tensor, "B T D"]
    """The x0 prediction at the drawn timestep, in the space's scale."""


@runtime_checkable
class Encoder(Protocol):
    """Maps betas to tokens. Usually an ``nn.Module``; built as ``Target(config, EncoderContext)``."""

    def __call__(self, betas: Float[Tensor, "B V"]) -> Encoded: ...


@runtime_checkable
class ClosedFormEncoder(Encoder, Protocol):
    """An encoder that is solved for, not trained; its solution lives in its ``state_dict``."""

    def solve(self, betas: Float[Tensor, "B V"], targets: Float[Tensor, "B T D"]) -> None: ...


@runtime_checkable
class Prior(Protocol):
    """Turns an encoder's tokens into samples of the space."""

    def loss(
        self, target: Float[Tensor, "B T D"], condition: Float[Tensor, "B T D"], generator: torch.Generator
    ) -> PriorLoss: ...

    def sample(
        self, condition: Float[Tensor, "B T D"], n: int, generator: torch.Generator
    ) -> Float[Tensor, "B S T D"]: ...


@runtime_checkable
class Retriever(Protocol):
    """Finds items of a gallery near a key, and fetches their tokens."""

    def search(self, keys: Float[Tensor, "B P"], k: int, exclude: Int[Tensor, "B E"] | None = None) -> Neighbours: ...

    def fetch(self, ids: Int[Tensor, "B K"], guide: str) -> Float[Tensor, "B K T D"]: ...


@runtime_checkable
class Fusion(Protocol):
    """Refines an estimate with its neighbours; ``present`` is False where a neighbour is missing."""

    def __call__(
        self,
        estimate: Float[Tensor, "B T D"],
        neighbours: Float[Tensor, "B K T D"],
        present: Bool[Tensor, "B K"],
    ) -> Float[Tensor, "B T D"]: ...


@runtime_checkable
class Decoder(Protocol):
    """Paints pictures, values 0..1, from guides; S pictures a stimulus."""

    def __call__(
        self, guides: Mapping[str, Float[Tensor, "B T D"]], n: int, generator: torch.Generator
    ) -> Float[Tensor, "B S 3 H W"]: ...
