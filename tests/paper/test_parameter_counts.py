"""The parts at full size, counted without allocating them, against the counts of the published code."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import EncoderContext, FusionContext, PriorContext
from bdk.spaces import Space
from bdk_encoders.configs import Conv1dResnetConfig, MambaConfig, MlpConfig
from bdk_encoders.conv1d_resnet import Conv1dResnet
from bdk_encoders.mamba import Mamba
from bdk_encoders.mlp import Mlp
from bdk_fusion.configs import Conv1x1Config, CrossAttentionConfig, RamConfig
from bdk_fusion.conv1x1 import Conv1x1
from bdk_fusion.cross_attention import CrossAttention
from bdk_fusion.ram import Ram
from bdk_priors.configs import DiffusionConfig
from bdk_priors.diffusion import Diffusion

IMAGE = Space("image", 257, 768, "image", "cls")
TEXT = Space("text", 77, 768, "text", "pooled")
CLS = Space("cls", 1, 768, "image", "cls")
MIND_READER = Space("vit-b-32", 1, 512, "image")


def count(kind, config, context) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind(config, context).parameters())


@pytest.mark.parametrize(
    ("kind", "config", "space", "voxels", "expected"),
    [
        (Mlp, MlpConfig(), IMAGE, 15724, 947_579_904),
        (Mamba, MambaConfig(), IMAGE, 15724, 880_455_136),
        (Mlp, MlpConfig(), TEXT, 15724, 381_210_624),
        (Mamba, MambaConfig(), TEXT, 15724, 314_085_856),
        (Mlp, MlpConfig(), CLS, 15724, 142_076_928),
        (Mamba, MambaConfig(), CLS, 15724, 74_952_160),
        (Conv1dResnet, Conv1dResnetConfig(), MIND_READER, 15724, 1_156_929),
    ],
)
def test_encoders_have_as_many_weights_as_published(kind, config, space, voxels, expected):
    assert count(kind, config, EncoderContext(voxels, space)) == expected


@pytest.mark.parametrize(("space", "expected"), [(IMAGE, 56_055_168), (TEXT, 55_640_448)])
def test_the_prior_has_as_many_weights_as_published(space, expected):
    assert count(Diffusion, DiffusionConfig(), PriorContext(space)) == expected


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        (Ram, RamConfig(), 2_990_705),
        (Conv1x1, Conv1x1Config(), 18),
        (CrossAttention, CrossAttentionConfig(), 2_362_368),
    ],
)
def test_fusion_modules_at_sixteen_neighbours_have_the_expected_weights(kind, config, expected):
    assert count(kind, config, FusionContext(IMAGE, 16)) == expected


def test_a_mamba_block_of_the_release_has_120_weights():
    with torch.device("meta"):
        encoder = Mamba(MambaConfig(), EncoderContext(10, CLS))
    assert [sum(p.numel() for p in block[0].parameters()) for block in encoder.blocks] == [120] * 4
    assert sum(p.numel() for p in encoder.blocks.parameters()) == 33_248
