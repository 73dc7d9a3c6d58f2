"""The network of the demo world's decoder: diffusers' UNet with two cross-attentions, image and text, mixed.

Beside the cross-attention, the 64 patch tokens are laid out as an 8 x 8 map and joined to the noisy latents. Versatile
Diffusion has no such map; here it is what lets a network of this size learn where things are.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.transformers.dual_transformer_2d import DualTransformer2DModel
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from bdk.demo.clip_net import WIDTH
from bdk.demo.tokenizer import CONTEXT
from bdk.demo.vae_net import CHANNELS, SIDE, Residual

IMAGE_TOKENS = SIDE * SIDE + 1
_MAP_CHANNELS = 64
_CHANNELS = (96, 160)
_HEAD = 32
_TOKEN_SCALE = WIDTH**0.5
"""Tokens have about unit length; networks want about unit variance."""


class DualBlock(nn.Module):
    """Two transformers over one feature map, one per guide; their changes are mixed.

    Takes the place of diffusers' DualTransformer2DModel, which in 0.42.1 refuses arguments that its own UNet passes.
    State-dict names are the same: transformers.0 listens to the image, transformers.1 to the text.
    """

    def __init__(self, transformers: nn.ModuleList) -> None:
        super().__init__()
        self.transformers = transformers
        self.mix = 0.5

    def forward(
        self,
        hidden_states: Float[Tensor, "B C H W"],
        encoder_hidden_states: Float[Tensor, "B 89 128"],
        **unused: object,
    ) -> tuple[Float[Tensor, "B C H W"]]:
        """Text's share is `mix`, the image's 1 - mix; the condition holds 24 text tokens, then 65 image tokens."""
        text, image = encoder_hidden_states.split([CONTEXT, IMAGE_TOKENS], dim=1)
        changed = hidden_states
        for transformer, tokens, share in (
            (self.transformers[0], image, 1 - self.mix),
            (self.transformers[1], text, self.mix),
        ):
            after = transformer(hidden_states, encoder_hidden_states=tokens, return_dict=False)[0]
            changed = changed + share * (after - hidden_states)
        return (changed,)


def _repair(unet: Any) -> None:
    for module in list(unet.modules()):
        for number, block in enumerate(getattr(module, "attentions", [])):
            if isinstance(block, DualTransformer2DModel):
                module.attentions[number] = DualBlock(block.transformers)


def _unet() -> Any:
    unet: Any = UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=CHANNELS + _MAP_CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=_CHANNELS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=tuple(channels // _HEAD for channels in _CHANNELS),
        norm_num_groups=16,
        dual_cross_attention=True,
    )
    _repair(unet)
    return unet


class DecoderNet(nn.Module):
    """Predicts the velocity of noisy latents from image and text tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Sequential(nn.Conv2d(WIDTH, _MAP_CHANNELS, 3, padding=1), Residual(_MAP_CHANNELS))
        self.unet = _unet()

    def set_mix(self, mix: float) -> None:
        """Share of the text guide, 0..1."""
        for module in self.unet.modules():
            if isinstance(module, DualBlock):
                module.mix = mix

    def forward(
        self,
        latents: Float[Tensor, "B 8 8 8"],
        times: Int[Tensor, " B"],
        image_tokens: Float[Tensor, "B 65 128"],
        text_tokens: Float[Tensor, "B 24 128"],
    ) -> Float[Tensor, "B 8 8 8"]:
        """An absent guide is given as zeros."""
        patches = image_tokens[:, 1:].transpose(1, 2).unflatten(2, (SIDE, SIDE)) * _TOKEN_SCALE
        condition = torch.cat([text_tokens, image_tokens], dim=1) * _TOKEN_SCALE
        return self.unet(torch.cat([latents, self.map(patches)], dim=1), times, condition, return_dict=False)[0]

    def loss(
        self, noisy: Tensor, times: Tensor, velocity: Tensor, image_tokens: Tensor, text_tokens: Tensor
    ) -> Float[Tensor, ""]:
        """Mean squared error of the velocity (v-prediction, Salimans & Ho 2022)."""
        return F.mse_loss(self(noisy, times, image_tokens, text_tokens), velocity)
