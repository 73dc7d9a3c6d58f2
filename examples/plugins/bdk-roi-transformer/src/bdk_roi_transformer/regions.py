"""From voxels to one token per region of interest."""

from __future__ import annotations

from itertools import pairwise

import torch
from bdk.contexts import EncoderContext
from bdk.errors import ComponentError
from jaxtyping import Float
from torch import Tensor, nn

from bdk_roi_transformer.configs import RoiTransformerConfig


class Regions(nn.Module):
    """A linear map of its own for each region's voxels, plus a learned vector that names the region.

    Args:
        config: which regions, and how wide a token is.
        context: voxels of each region.

    Raises:
        ComponentError: a region that the data does not have.
    """

    def __init__(self, config: RoiTransformerConfig, context: EncoderContext) -> None:
        super().__init__()
        self.voxels = regions(config, context)
        self.maps = nn.ModuleList(nn.Linear(len(members), config.width) for members in self.voxels)
        self.names = nn.Parameter(torch.randn(len(self.voxels), config.width) * 0.02)

    def forward(self, betas: Float[Tensor, "B V"]) -> Float[Tensor, "B R W"]:
        """One token a region."""
        parts = [layer(betas[:, members]) for layer, members in zip(self.maps, self.voxels, strict=True)]
        return torch.stack(parts, 1) + self.names


def regions(config: RoiTransformerConfig, context: EncoderContext) -> list[list[int]]:
    """Voxel indices of each token: the named regions, the rest of the voxels, or equal parts if nothing is named."""
    unknown = [name for name in config.rois if name not in context.rois]
    if unknown:
        raise ComponentError(
            f"The data has no ROI {unknown[0]!r}.",
            where="encoder 'roi-transformer': rois",
            mend=f"Known: {', '.join(sorted(context.rois)) or 'none; leave rois empty'}.",
        )
    named = [sorted(context.rois[name]) for name in config.rois or context.rois]
    found = [members for members in named if members]
    if config.rois:
        return found
    rest = sorted(set(range(context.voxels)).difference(*found))
    if found:
        return [*found, rest] if rest else found
    cuts = [context.voxels * part // config.parts for part in range(config.parts + 1)]
    equal = [list(range(low, high)) for low, high in pairwise(cuts)]
    return [members for members in equal if members]
