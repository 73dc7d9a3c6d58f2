"""`mamba`: BrainRAM's encoder."""

from __future__ import annotations

import re

from bdk.contexts import EncoderContext
from jaxtyping import Float
from torch import Tensor, nn

from bdk_encoders.backbone import Backbone
from bdk_encoders.configs import MambaConfig
from bdk_encoders.mamba_block import MambaBlock


class Mamba(Backbone):
    """MindEye's frame with Mamba blocks in place of the hidden linear layers.

    Source: BrainRAM (commit ff980a4) ``BrainMambaNetwork``: 880,455,136 weights for 15,724 voxels and 257 x 768
    tokens, 120 of them in each Mamba block. The paper gives no sizes, so the release decides: the hidden units are a
    sequence of scalars, scanned in the order in which they happen to stand. ``token_width`` offers wider elements,
    ``d_model`` a wider block.
    """

    def __init__(self, config: MambaConfig, context: EncoderContext) -> None:
        layers: list[nn.Module] = [UnitScan(config) for _ in range(config.blocks)]
        super().__init__(config, context, layers, where="encoder 'mamba'")

    def published_names(self) -> dict[str, str]:
        """Names of our weights in a BrainRAM checkpoint: ours -> theirs."""
        return {ours: _published(theirs) for ours, theirs in super().published_names().items()}


class UnitScan(nn.Module):
    """Reads hidden units as a sequence and scans it with one Mamba block."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.width, model = config.token_width, config.d_model or config.token_width
        widens = model != self.width
        self.lift: nn.Module = nn.Linear(self.width, model) if widens else nn.Identity()
        self.lower: nn.Module = nn.Linear(model, self.width) if widens else nn.Identity()
        self.mixer = MambaBlock(model, config.state, config.conv, config.expand, kernel=config.kernel)

    def forward(self, hidden: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """The scanned units, in their own places."""
        return self.lower(self.mixer(self.lift(hidden.unflatten(1, (-1, self.width))))).flatten(1)


def _published(name: str) -> str:
    """In the release a block is (unsqueeze, mamba, squeeze, norm, ...), in ours (scan, norm, ...)."""
    return re.sub(r"(mlp\.\d+)\.1\.", r"\1.3.", name).replace(".0.mixer.", ".1.")
