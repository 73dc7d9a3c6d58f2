"""The frame that MindEye's and BrainRAM's encoders share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from bdk.contexts import EncoderContext
from bdk.interfaces import Encoded
from jaxtyping import Float
from torch import Tensor, nn

from bdk_encoders.configs import BackboneConfig
from bdk_encoders.roi import Voxels


class Backbone(nn.Module):
    """One linear layer in, residual blocks, one linear layer out to all tokens, and a projector per token.

    Source: MindEye (commit 6b30ea5) ``BrainNetwork``, which BrainRAM (commit ff980a4) keeps. As there, the residual
    is added after activation and dropout.

    Args:
        config: sizes and dropouts.
        context: voxels and the space to predict.
        layers: the learned map hidden -> hidden of each block.
        where: the component's name, for messages.
    """

    def __init__(self, config: BackboneConfig, context: EncoderContext, layers: list[nn.Module], where: str) -> None:
        super().__init__()
        self.space = context.space
        self.voxels = Voxels(config, context, where)
        self.stem = _block(nn.Linear(self.voxels.count, config.hidden), config.hidden, config.dropout_in)
        self.blocks = nn.ModuleList(_block(layer, config.hidden, config.dropout) for layer in layers)
        self.head = nn.Linear(config.hidden, self.space.size)
        with torch.no_grad():
            self.head.weight.mul_(config.head_scale)
            self.head.bias.mul_(config.head_scale)
        self.projector = projector(self.space.dim, config.projector_width) if config.projector else nn.Identity()

    def forward(self, betas: Float[Tensor, "B V"]) -> Encoded:
        """Tokens for the prior and their projection for the contrastive loss.

        Raises:
            ComponentError: betas of another voxel count, or numbers that are not finite.
        """
        hidden = self.stem(self.voxels(betas))
        for block in self.blocks:
            hidden = block(hidden) + hidden
        tokens = self.head(hidden).unflatten(1, (self.space.tokens, self.space.dim))
        return Encoded(tokens, self.projector(tokens))

    def published_names(self) -> dict[str, str]:
        """Names of our weights in a MindEye or BrainRAM checkpoint: ours -> theirs."""
        return {ours: _published(ours) for ours in self.state_dict()}

    def published_constants(self) -> dict[str, Tensor]:
        """Such a checkpoint holds nothing else of the encoder."""
        return {}

    @staticmethod
    def published_sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
        """V, from the first layer of such a checkpoint."""
        first = state.get("voxel2clip.lin0.0.weight")
        return {} if first is None or first.ndim != 2 else {"voxels": first.shape[1]}


def projector(dim: int, width: int) -> nn.Sequential:
    """MindEye's projector, applied to each token alone: D -> width -> width -> D."""
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.GELU(),
        nn.Linear(dim, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Linear(width, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Linear(width, dim),
    )


def _block(layer: nn.Module, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(layer, nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))


def _published(ours: str) -> str:
    """BrainNetwork calls the stem ``lin0``, the blocks ``mlp`` and the head ``lin1``."""
    part, _, rest = ours.partition(".")
    return f"voxel2clip.{ {'stem': 'lin0', 'blocks': 'mlp', 'head': 'lin1'}.get(part, part) }.{rest}"
