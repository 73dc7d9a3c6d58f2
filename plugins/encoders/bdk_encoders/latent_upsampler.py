"""`latent-upsampler`: MindEye's low-level encoder."""

from __future__ import annotations

import math

from bdk.contexts import EncoderContext
from bdk.interfaces import Encoded
from jaxtyping import Float
from torch import Tensor, nn

from bdk_encoders.configs import LatentUpsamplerConfig
from bdk_encoders.roi import Voxels

UPSAMPLED = 4
"""Factor between the side of the coarse map and the latent's: two of the three blocks double it."""


class LatentUpsampler(nn.Module):
    """A residual MLP to a coarse map, and a VAE's upsampler from there to the latent image.

    Source: MindEye (Scotti et al. 2023, commit 6b30ea5) ``Voxel2StableDiffusionModel``: 205,505,988 weights for 15,724
    voxels and Stable Diffusion's latent of 64 x 64 x 4. Left out is its projection of the coarse map, which only
    serves a contrastive loss against features of another network (559,616 weights more, training only).

    A space whose positions fill no square with a side divisible by 4 gets the first positions of the smallest that
    holds them.
    """

    def __init__(self, config: LatentUpsamplerConfig, context: EncoderContext) -> None:
        from diffusers.models.autoencoders.vae import Decoder

        super().__init__()
        self.voxels = Voxels(config, context, "encoder 'latent-upsampler'")
        self.tokens = context.space.tokens
        self.side = math.ceil(math.ceil(self.tokens**0.5) / UPSAMPLED)
        self.stem = _block(self.voxels.count, config.hidden, config.dropout_in)
        self.blocks = nn.ModuleList(_block(config.hidden, config.hidden, config.dropout) for _ in range(config.blocks))
        self.head = nn.Linear(config.hidden, config.channels * self.side**2, bias=False)
        self.norm = nn.GroupNorm(1, config.channels)
        self.upsampler = Decoder(
            in_channels=config.channels,
            out_channels=context.space.dim,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=tuple(config.channels * factor for factor in (1, 2, 4)),
            layers_per_block=1,
            norm_num_groups=min(32, config.channels),
        )

    def forward(self, betas: Float[Tensor, "B V"]) -> Encoded:
        """Latents, one token a position, row by row; what the contrastive loss scores is the same.

        Raises:
            ComponentError: betas of another voxel count, or numbers that are not finite.
        """
        hidden = self.stem(self.voxels(betas))
        for block in self.blocks:
            hidden = block(hidden) + hidden
        coarse = self.norm(self.head(hidden).unflatten(1, (-1, self.side, self.side)))  # B C side side
        tokens = self.upsampler(coarse).flatten(2)[:, :, : self.tokens].mT.contiguous()  # B T D
        return Encoded(tokens, tokens)


def _block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.LayerNorm(outputs), nn.SiLU(), nn.Dropout(dropout))
