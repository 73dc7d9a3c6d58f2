"""The built-in spaces and the backbones that need no downloads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bdk.data.images import ArrayImages
from bdk.demo.captions import captions
from bdk.demo.scenes import render, scenes
from bdk.errors import PlanError, WeightsMissingError
from bdk.registry import resolve
from bdk.spaces import Space
from bdk.targets import backbone, embed_all
from bdk.targets.labels import label_code
from bdk.targets.spaces import SPACES

SCENES = scenes(77, 5)
PICTURES = np.stack([render(scene) for scene in SCENES])
CAPTIONS = [captions(scene) for scene in SCENES]
BY_ID = {space.id: space for space in SPACES}


def stimuli(space):
    return CAPTIONS if space.modality == "text" else PICTURES


@pytest.mark.parametrize("space", [s for s in SPACES if s.id.startswith(("demo-", "label-"))], ids=lambda s: s.id)
def test_a_shipped_space_computes_what_it_says(space):
    maker = backbone(space)
    tokens = maker.embed(stimuli(space))
    assert tokens.shape == (5, space.tokens, space.dim) and tokens.dtype == torch.float32
    torch.testing.assert_close(maker.embed(stimuli(space)[1:3]), tokens[1:3], atol=1e-5, rtol=0)
    pooled = maker.pooled(stimuli(space))
    torch.testing.assert_close(pooled.norm(dim=-1), torch.ones(5))
    if space.norm == "cls":
        torch.testing.assert_close(tokens[:, 0].norm(dim=-1), torch.ones(5))
    if space.pooled:
        assert pooled.shape[1] == BY_ID[space.pooled].size


def test_every_space_names_a_backbone_and_a_pooled_space_that_exist():
    for space in SPACES:
        assert callable(resolve(space.backbone))
        assert not space.pooled or BY_ID[space.pooled].tokens == 1
    assert len(BY_ID) == len(SPACES)


def test_captions_are_averaged_each_encoded_once():
    maker = backbone(BY_ID["demo-clip/text"])
    both = maker.embed([CAPTIONS[0][:2]])
    each = [maker.embed([(text,)]) for text in CAPTIONS[0][:2]]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2, atol=1e-6, rtol=0)


def test_demo_latents_decode_to_the_picture():
    from bdk.demo.vae import DemoVae

    tokens = backbone(BY_ID["demo-vae/latent"]).embed(PICTURES)
    decoded = DemoVae.load().decode(tokens.transpose(1, 2).unflatten(2, (8, 8)))
    truth = torch.from_numpy(PICTURES).permute(0, 3, 1, 2) / 255
    assert (decoded - truth).square().mean() < 0.01


def test_label_codes_are_for_ever_unit_length_and_nearly_orthogonal():
    names = ["bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"]
    codes = torch.stack([label_code(name, 128) for name in names])
    torch.testing.assert_close(codes @ codes.T, torch.eye(8), atol=0.35, rtol=0)
    torch.testing.assert_close(label_code("Face ", 128), label_code("face", 128))
    assert label_code("face", 128)[0] == pytest.approx(0.032765, abs=1e-5)


def test_targets_of_a_table_are_computed_batch_by_batch_in_its_order():
    seen = []
    found = embed_all(BY_ID["demo-clip/image"], ArrayImages(PICTURES).batch, 5, batch=2, progress=seen.append)
    torch.testing.assert_close(found, backbone(BY_ID["demo-clip/image"]).embed(PICTURES), atol=1e-5, rtol=0)
    assert seen == [2, 4, 5]


def test_a_space_without_a_backbone_is_refused():
    with pytest.raises(PlanError, match="names no backbone"):
        backbone(Space("mine", 1, 2, "image"))


@pytest.fixture
def vae_folder(tmp_path):
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    AutoencoderKL(block_out_channels=(8, 16), norm_num_groups=4, latent_channels=4, **kinds).save_pretrained(tmp_path)
    return tmp_path


def test_vae_latents_are_the_scaled_mode_position_by_position(vae_folder):
    from diffusers import AutoencoderKL

    options = {"weights": "unused", "side": 64, "path": str(vae_folder)}
    found = backbone(Space("tiny-vae", 1024, 4, "latent", "none", "bdk.targets.vae:VaeBackbone", options)).embed(
        PICTURES
    )
    vae = AutoencoderKL.from_pretrained(vae_folder)
    with torch.no_grad():
        mode = vae.encode(torch.from_numpy(PICTURES).permute(0, 3, 1, 2) / 127.5 - 1).latent_dist.mode() * 0.18215
    for row, column in ((0, 0), (3, 31), (31, 5)):
        torch.testing.assert_close(found[:, row * 32 + column], mode[:, :, row, column], atol=1e-5, rtol=0)


def test_a_folder_without_a_vae_is_told(tmp_path):
    options = {"weights": "unused", "side": 64, "path": str(tmp_path)}
    with pytest.raises(WeightsMissingError, match=r"config\.json is missing"):
        backbone(Space("no-vae", 1024, 4, "latent", "none", "bdk.targets.vae:VaeBackbone", options))
