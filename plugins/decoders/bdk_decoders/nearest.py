"""The best retrieved picture itself: no generator, the floor that any generator must beat."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from bdk.contexts import DecoderContext
from bdk.errors import ComponentError
from jaxtyping import Float
from torch import Tensor

from bdk_decoders.configs import NearestConfig


class Nearest:
    """Looks up the best neighbour of each estimate and returns its picture.

    Args:
        config: has no options.
        context: ``picture`` looks up one item of the gallery.

    Raises:
        ComponentError: the context offers no pictures.
    """

    def __init__(self, config: NearestConfig, context: DecoderContext) -> None:
        if not callable(context.picture):
            raise ComponentError(
                "The decoder 'nearest' shows retrieved pictures, and no retriever offers any.",
                where="decoder.use",
                mend="Choose a retriever whose gallery has pictures.",
            )
        self.picture = context.picture

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        """Pictures of the ids in ``guides["neighbour_ids"]`` (int, B x any number; sample s takes column s, cyclic).

        Raises:
            ComponentError: no ids were handed in, or one is -1: nothing was found, and nothing is shown instead.
        """
        if "neighbour_ids" not in guides:
            raise ComponentError("The decoder 'nearest' needs the ids of retrieved items.", where="decoder.use")
        ids = guides["neighbour_ids"].long()
        if bool((ids < 0).any()):
            row = int((ids < 0).any(dim=1).nonzero()[0])
            raise ComponentError(
                f"Nothing was retrieved for stimulus {row} of the batch, so there is no picture to show.",
                where="decoder.use",
                mend="Choose a larger gallery, or exclude fewer of its items.",
            )
        columns = torch.arange(n) % ids.shape[1]
        pictures = {int(i): torch.as_tensor(self.picture(int(i))).float() for i in ids[:, columns].unique()}
        return torch.stack([torch.stack([pictures[int(i)] for i in row]) for row in ids[:, columns]])
