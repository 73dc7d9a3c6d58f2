"""Which columns of the betas an encoder sees."""

from __future__ import annotations

import torch
from bdk.checks import require_betas
from bdk.contexts import EncoderContext
from bdk.errors import ComponentError
from jaxtyping import Float
from torch import Tensor, nn

from bdk_encoders.configs import RoiConfig


class Voxels(nn.Module):
    """Checks betas and picks the voxels of the chosen ROIs, each once, in ascending order.

    Args:
        config: names the ROIs; none means all voxels.
        context: V and the voxel indices of each ROI.
        where: the component's name, for messages.

    Raises:
        ComponentError: an ROI that the data does not have, or one without voxels.
    """

    index: Tensor | None

    def __init__(self, config: RoiConfig, context: EncoderContext, where: str) -> None:
        super().__init__()
        self.expected, self.where = context.voxels, where
        index = _indices(config, context, where)
        self.count = context.voxels if index is None else len(index)
        self.register_buffer("index", index, persistent=False)

    def forward(self, betas: Float[Tensor, "B V"]) -> Float[Tensor, "B chosen"]:
        """The chosen columns.

        Raises:
            ComponentError: another voxel count than the context's, or numbers that are not finite.
        """
        require_betas(betas, self.expected, where=self.where)
        return betas if self.index is None else betas[:, self.index]


def _indices(config: RoiConfig, context: EncoderContext, where: str) -> Tensor | None:
    if not config.roi:
        return None
    unknown = [name for name in config.roi if name not in context.rois]
    if unknown:
        raise ComponentError(
            f"The data has no ROI {unknown[0]!r}.",
            where=f"{where}: roi",
            mend=f"Known: {', '.join(sorted(context.rois)) or 'none; leave roi empty to use all voxels'}.",
        )
    chosen = sorted({voxel for name in config.roi for voxel in context.rois[name]})
    if not chosen:
        raise ComponentError(
            f"ROI {'+'.join(config.roi)} holds no voxel.", where=f"{where}: roi", mend="Choose another."
        )
    return torch.tensor(chosen, dtype=torch.long, device="cpu")
