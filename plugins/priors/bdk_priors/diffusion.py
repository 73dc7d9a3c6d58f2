"""`diffusion`: the token transformer of MindEye and of BrainRAM's release."""

from __future__ import annotations

from collections.abc import Mapping

from bdk.contexts import PriorContext
from torch import Tensor

from bdk_priors.configs import DiffusionConfig
from bdk_priors.process import DiffusionProcess
from bdk_priors.published import published_constants, published_name
from bdk_priors.token_transformer import ROTATED, TokenTransformer


class Diffusion(DiffusionProcess):
    """Diffusion prior with MindEye's network: 56,055,168 weights for 257 x 768 tokens.

    Source: MindEye (Scotti et al. 2023, commit 6b30ea5), kept by BrainRAM (commit ff980a4) for images and text.
    BrainRAM's paper describes another network, see `bdk_priors.unet`.
    """

    def __init__(self, config: DiffusionConfig, context: PriorContext) -> None:
        network = TokenTransformer(
            context.space.tokens, context.space.dim, config.depth, config.heads, config.dim_head, config.ff_mult
        )
        super().__init__(config, context, network, where="prior 'diffusion'")

    def published_names(self) -> dict[str, str]:
        """Names of our weights in a MindEye or BrainRAM checkpoint: ours -> theirs."""
        return {ours: published_name(ours) for ours in self.state_dict()}

    def published_constants(self) -> dict[str, Tensor]:
        """What such a checkpoint holds besides, by their names: it must have these values."""
        config = self.config
        assert isinstance(config, DiffusionConfig)
        return published_constants(config.timesteps, config.depth, min(ROTATED, config.dim_head))

    @staticmethod
    def published_sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
        """T and D, from the position embeddings of such a checkpoint."""
        positions = state.get("net.learned_query")
        return (
            {}
            if positions is None or positions.ndim != 2
            else dict(zip(("tokens", "dim"), positions.shape, strict=True))
        )
