"""`conv1d-resnet`: Mind Reader's mapper."""

from __future__ import annotations

from bdk.contexts import EncoderContext
from bdk.interfaces import Encoded
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_encoders.configs import Conv1dResnetConfig
from bdk_encoders.roi import Voxels


class Conv1dResnet(nn.Module):
    """Residual convolutions along the voxel axis, which is then squeezed to one position per token.

    Source: Mind Reader (Lin et al. 2022, commit 1981cdc) ``fmri_clip_res`` without its final sigmoid: 1,156,929
    weights for 15,724 voxels and one CLIP vector of 512. For a token sequence the last layer gives T positions in
    place of one; with T = 1 it is the published network. The order of the voxels matters to it.
    """

    def __init__(self, config: Conv1dResnetConfig, context: EncoderContext) -> None:
        super().__init__()
        space, width = context.space, config.channels
        self.voxels = Voxels(config, context, "encoder 'conv1d-resnet'")
        self.length = -(-self.voxels.count // config.pad_to) * config.pad_to
        self.clamp = config.clamp
        self.enter = nn.Conv1d(1, width, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(config.blocks))
        self.widen = nn.Conv1d(width, space.dim, 1)
        self.squeeze = nn.Conv1d(self.length // 2, config.squeeze, 1)
        self.leave = nn.Conv1d(config.squeeze, space.tokens, 1)

    def forward(self, betas: Float[Tensor, "B V"]) -> Encoded:
        """Tokens; what the contrastive loss scores is the same.

        Raises:
            ComponentError: betas of another voxel count, or numbers that are not finite.
        """
        signal = self.voxels(betas)
        signal = F.pad(signal, (0, self.length - signal.shape[1]))[:, None]
        signal = F.relu(self.enter(signal))
        for block in self.blocks:
            signal = block(signal)
        positions = F.relu(self.widen(signal)).mT  # B length/2 D
        tokens = self.leave(F.relu(self.squeeze(positions)))
        if self.clamp:
            tokens = tokens.clamp(-self.clamp, self.clamp)
        return Encoded(tokens, tokens)


class ResidualBlock(nn.Module):
    """Kernels 3, 3 and 1, a residual, and an activation after it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 1),
        )

    def forward(self, x: Float[Tensor, "B C L"]) -> Float[Tensor, "B C L"]:
        return F.relu(self.net(x) + x)
