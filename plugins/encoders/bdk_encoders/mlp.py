"""`mlp`: MindEye's BrainNetwork."""

from __future__ import annotations

from bdk.contexts import EncoderContext
from torch import nn

from bdk_encoders.backbone import Backbone
from bdk_encoders.configs import MlpConfig


class Mlp(Backbone):
    """Residual MLP from voxels to tokens.

    Source: MindEye (Scotti et al. 2023, commit 6b30ea5) ``BrainNetwork``: 947,579,904 weights for 15,724 voxels and
    257 x 768 tokens. Unlike there, nothing is added in place.
    """

    def __init__(self, config: MlpConfig, context: EncoderContext) -> None:
        layers: list[nn.Module] = [nn.Linear(config.hidden, config.hidden) for _ in range(config.blocks)]
        super().__init__(config, context, layers, where="encoder 'mlp'")
