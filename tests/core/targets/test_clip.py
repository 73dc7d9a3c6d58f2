"""Hidden tokens through open_clip against transformers' CLIP with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bdk.errors import DataError, WeightsMissingError
from bdk.spaces import Space
from bdk.targets import backbone
from bdk.targets.clip import CLIP_MEAN, CLIP_STD, encode_texts, resize_and_crop

TEXTS = [("a cat on a mat", "two dogs"), ("a red bus in the snow",)]
TOLERANCE = 1e-5


def space(folder, form, tokens=1, dim=32, modality="image", norm="none"):
    options = {"model": "unused", "weights": "unused", "form": form, "quick_gelu": True, "path": str(folder)}
    return Space(f"tiny/{form}", tokens, dim, modality, norm, "bdk.targets.clip:ClipBackbone", options)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 56, 56, 3), dtype=np.uint8)


def pixel_values(pictures):
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)


@torch.no_grad()
def plain_image(twin, pictures):
    hidden = twin.vision_model(pixel_values(pictures)).last_hidden_state
    return twin.visual_projection(twin.vision_model.post_layernorm(hidden))


@torch.no_grad()
def plain_text(twin, texts):
    """Final states, projected states, and the end-of-text row of each text; one text at a time."""
    import open_clip

    ids = open_clip.get_tokenizer("ViT-L-14")(texts)
    states = twin.text_model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    projected = twin.text_projection(states)
    return states, projected, projected[torch.arange(len(ids)), ids.argmax(dim=1)]


def test_image_tokens_are_the_projected_hidden_states_divided_by_the_length_of_the_first(clip_folder, twin, pictures):
    tokens = backbone(space(clip_folder, "image_tokens", 17, norm="cls")).embed(pictures)
    plain = plain_image(twin, pictures)
    assert tokens.shape == (3, 17, 32)
    torch.testing.assert_close(tokens, plain / plain[:, :1].norm(dim=-1, keepdim=True), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(tokens[:, 0].norm(dim=-1), torch.ones(3))


def test_text_tokens_are_divided_by_the_length_of_the_end_row_and_averaged_over_captions(clip_folder, twin):
    tokens = backbone(space(clip_folder, "text_tokens", 77, modality="text", norm="pooled")).embed(TEXTS)
    plain = []
    for captions in TEXTS:
        _, projected, ends = plain_text(twin, list(captions))
        plain.append((projected / ends.norm(dim=-1)[:, None, None]).mean(0))
    torch.testing.assert_close(tokens, torch.stack(plain), atol=TOLERANCE, rtol=0)


def test_text_states_are_the_final_states_without_projection(clip_folder, twin):
    states = backbone(space(clip_folder, "text_states", 77, 64, "text")).embed(TEXTS)
    plain = torch.stack([plain_text(twin, list(captions))[0].mean(0) for captions in TEXTS])
    torch.testing.assert_close(states, plain, atol=TOLERANCE, rtol=0)


def test_pooled_vectors_of_both_towers_are_unit_length_in_one_space(clip_folder, twin, pictures):
    image = backbone(space(clip_folder, "image_pooled", norm="cls"))
    text = backbone(space(clip_folder, "text_pooled", modality="text", norm="pooled"))
    plain = torch.nn.functional.normalize(plain_image(twin, pictures)[:, 0], dim=-1)
    torch.testing.assert_close(image.pooled(pictures), plain, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(image.embed(pictures)[:, 0], plain, atol=TOLERANCE, rtol=0)
    ends = torch.nn.functional.normalize(plain_text(twin, list(TEXTS[0]))[2], dim=-1)
    wanted = torch.nn.functional.normalize(ends.mean(0), dim=-1)
    torch.testing.assert_close(text.pooled(TEXTS)[0], wanted, atol=TOLERANCE, rtol=0)
    raw = backbone(space(clip_folder, "image_embed")).embed(pictures)
    torch.testing.assert_close(raw[:, 0], plain_image(twin, pictures)[:, 0], atol=TOLERANCE, rtol=0)


def test_a_stimulus_does_not_depend_on_the_others_in_its_batch(clip_folder, pictures):
    maker = backbone(space(clip_folder, "image_tokens", 17))
    torch.testing.assert_close(maker.embed(pictures)[1:2], maker.embed(pictures[1:2]), atol=1e-6, rtol=0)


def test_an_empty_caption_is_left_out_and_a_stimulus_without_captions_is_refused(clip_folder):
    maker = backbone(space(clip_folder, "text_tokens", 77, modality="text"))
    torch.testing.assert_close(maker.embed([("a cat", "")]), maker.embed([("a cat",)]))
    with pytest.raises(DataError, match="have no caption"):
        maker.embed([("a cat",), ("", " ")])
    with pytest.raises(DataError, match="computed from captions"):
        maker.embed(np.zeros((1, 56, 56, 3), np.uint8))
    with pytest.raises(DataError, match="computed from pictures"):
        backbone(space(clip_folder, "image_tokens", 17)).embed([("a cat",)])


def test_the_empty_text_can_be_encoded_where_decoders_need_it(clip_folder, twin):
    states = encode_texts(space(clip_folder, "text_states", 77, 64, "text"), [""])
    torch.testing.assert_close(states, plain_text(twin, [""])[0], atol=TOLERANCE, rtol=0)


def test_pictures_are_resized_by_their_shorter_side_and_cropped_in_the_middle():
    pixels = torch.zeros(1, 3, 30, 60)
    pixels[..., 15:45] = 1
    found = resize_and_crop(pixels, 15)
    assert found.shape == (1, 3, 15, 15) and found[..., 3:-3].min() > 0.95


def test_a_backbone_is_made_once_per_process(clip_folder):
    assert backbone(space(clip_folder, "image_tokens", 17)) is backbone(space(clip_folder, "image_tokens", 17))


def test_weights_that_are_not_there_or_no_safetensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path))
    options = {"model": "ViT-L-14", "weights": "clip-vit-l14", "form": "image_tokens"}
    with pytest.raises(WeightsMissingError, match="bdk weights"):
        backbone(Space("a", 257, 768, "image", "cls", "bdk.targets.clip:ClipBackbone", options))
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(WeightsMissingError, match="safetensors"):
        backbone(space(tmp_path / "model.pt", "image_tokens"))
    with pytest.raises(WeightsMissingError, match="0 safetensors"):
        backbone(space(tmp_path, "image_pooled"))
