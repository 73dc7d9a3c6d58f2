"""Versatile Diffusion's dual block: two transformers over one feature map, one per guide, their changes mixed.

Diffusers' own class (0.42.1) refuses arguments that its own UNet hands it. This one keeps its state-dict names:
``transformers.0`` listens to the image, ``transformers.1`` to the text.
"""

from __future__ import annotations

import copy
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class DualTransformer(nn.Module):
    """out = m (f_text - x) + (1 - m) (f_image - x) + x, m being the share of text.

    A branch without a share is not computed, so that at m = 0 or 1 the other guide has no say whatever.

    Args:
        image: the transformer that listens to the image tokens.
        text: the transformer that listens to the text tokens.
        text_tokens: how many tokens at the front of the condition are text.
    """

    def __init__(self, image: Any, text: Any, text_tokens: int) -> None:
        super().__init__()
        self.transformers = nn.ModuleList([image, text])
        self.text_tokens = text_tokens
        self.mix = 0.5

    def forward(
        self, hidden_states: Float[Tensor, "B C h w"], encoder_hidden_states: Float[Tensor, "B T D"], **unused: Any
    ) -> tuple[Float[Tensor, "B C h w"]]:
        """The condition holds the text tokens first, then the image tokens."""
        text, image = encoder_hidden_states[:, : self.text_tokens], encoder_hidden_states[:, self.text_tokens :]
        change = 0.0
        for transformer, tokens, share in ((1, text, self.mix), (0, image, 1.0 - self.mix)):
            if share:
                after = self.transformers[transformer](hidden_states, encoder_hidden_states=tokens, return_dict=False)
                change = change + (after[0] - hidden_states) * share
        return (change + hidden_states,)


def dual_unet(config: dict[str, Any], text_tokens: int) -> Any:
    """A `UNet2DConditionModel` with a `DualTransformer` in place of each transformer, of random weights.

    Args:
        config: the UNet's own options; ``dual_cross_attention`` is of no matter.
        text_tokens: text tokens at the front of the condition.
    """
    from diffusers import Transformer2DModel, UNet2DConditionModel

    unet: Any = UNet2DConditionModel.from_config({**config, "dual_cross_attention": False})
    for owner in list(unet.modules()):
        for number, block in enumerate(getattr(owner, "attentions", None) or []):
            if isinstance(block, Transformer2DModel):
                owner.attentions[number] = DualTransformer(block, copy.deepcopy(block), text_tokens)
    return unet


def set_mix(unet: nn.Module, mix: float) -> None:
    """Share of text, 0 to 1, in every dual block."""
    for block in unet.modules():
        if isinstance(block, DualTransformer):
            block.mix = mix
