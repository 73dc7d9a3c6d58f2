"""`roi-transformer`: regions attend to each other, and every token of the space reads from all of them."""

from __future__ import annotations

import torch
from bdk.checks import require_betas
from bdk.contexts import EncoderContext
from bdk.interfaces import Encoded
from jaxtyping import Float
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from bdk_roi_transformer.configs import RoiTransformerConfig
from bdk_roi_transformer.regions import Regions


class RoiTransformer(nn.Module):
    """Betas -> one token per region -> Transformer blocks -> tokens of the space, by attention from learned queries.

    Source: the blocks are those of the Vision Transformer (Dosovitskiy et al. 2021) as timm implements them; a
    region of interest takes the place of a patch.

    Args:
        config: width, depth, heads, regions.
        context: V, the voxels of each region, and the space to predict.
    """

    def __init__(self, config: RoiTransformerConfig, context: EncoderContext) -> None:
        super().__init__()
        self.expected, space = context.voxels, context.space
        self.regions = Regions(config, context)
        self.blocks = nn.Sequential(*(self._block(config, number) for number in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)
        self.queries = nn.Parameter(torch.randn(space.tokens, config.width) * config.width**-0.5)
        self.keys = nn.Linear(config.width, config.width, bias=False)
        self.head = nn.Linear(config.width, space.dim)

    def forward(self, betas: Float[Tensor, "B V"]) -> Encoded:
        """Tokens; what the contrastive loss scores is the same.

        Raises:
            ComponentError: betas of another voxel count, or numbers that are not finite.
        """
        require_betas(betas, self.expected, where="encoder 'roi-transformer'")
        regions = self.norm(self.blocks(self.regions(betas)))  # B R W
        reading = (self.queries @ self.keys(regions).mT).softmax(-1)  # B T R
        tokens = self.head(reading @ regions + self.queries)
        return Encoded(tokens, tokens)

    @staticmethod
    def _block(config: RoiTransformerConfig, number: int) -> Block:
        skip = config.drop_path * number / max(1, config.depth - 1)
        return Block(
            config.width,
            config.heads,
            qkv_bias=True,
            proj_drop=config.dropout,
            attn_drop=config.dropout,
            drop_path=skip,
        )
