"""The shipped networks: shapes, norms, guides, resumption, and the held-out scores they must reach."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bdk.demo import STAMP, check
from bdk.demo.captions import captions
from bdk.demo.clip import TinyClip
from bdk.demo.dataset import render_all
from bdk.demo.files import SHIPPED, read_card, read_weights
from bdk.demo.fit import Fit
from bdk.demo.stimuli import shared_test
from bdk.demo.unet import DemoDiffusion
from bdk.demo.vae import DemoVae
from bdk.demo.vae_net import VaeNet
from torch import nn

SCENES = shared_test(6)
IMAGES = render_all(SCENES)
TEXTS = [captions(scene, 1)[0] for scene in SCENES]


@pytest.fixture(scope="module")
def clip():
    return TinyClip.load()


@pytest.fixture(scope="module")
def vae():
    return DemoVae.load()


@pytest.fixture(scope="module")
def diffusion():
    return DemoDiffusion.load()


def test_image_tokens_are_divided_by_the_length_of_the_first(clip):
    tokens = clip.image_tokens(IMAGES)
    assert tokens.shape == (6, 65, 128)
    assert torch.allclose(tokens[:, 0].norm(dim=-1), torch.ones(6), atol=1e-5)
    assert torch.allclose(tokens[:, 0], clip.image_embedding(IMAGES))


def test_text_tokens_are_divided_by_the_length_of_the_pooled_one(clip):
    tokens, pooled = clip.text_tokens(TEXTS), clip.text_embedding(TEXTS)
    ends = torch.tensor([len(text.split()) + 1 for text in TEXTS])
    assert tokens.shape == (6, 24, 128)
    assert torch.allclose(tokens[torch.arange(6), ends], pooled, atol=1e-6)
    assert torch.allclose(pooled.norm(dim=-1), torch.ones(6), atol=1e-5)


def test_bytes_and_floats_give_the_same_tokens(clip):
    floats = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(clip.image_tokens(IMAGES), clip.image_tokens(floats), atol=1e-5)


def test_latents_have_about_unit_variance(vae):
    latents = vae.encode(render_all(shared_test(64)))
    assert latents.shape == (64, 8, 8, 8)
    assert 0.8 < float(latents.std()) < 1.25
    assert vae.decode(latents[:2]).shape == (2, 3, 64, 64)


def test_samples_of_one_stimulus_stand_together_and_are_seeded(clip, diffusion):
    tokens = clip.image_tokens(IMAGES[:2])
    first, again = (diffusion.sample(tokens, None, 2, torch.Generator().manual_seed(3), steps=3) for _ in range(2))
    assert first.shape == (4, 8, 8, 8)
    assert torch.equal(first, again)
    assert (first[0] - first[1]).abs().mean() < (first[0] - first[2]).abs().mean()


def test_mix_zero_ignores_the_text(clip, diffusion):
    image, text = clip.image_tokens(IMAGES[:2]), clip.text_tokens(TEXTS[:2])
    drawn = [diffusion.sample(image, words, 1, torch.Generator().manual_seed(0), 3, mix=0.0) for words in (text, -text)]
    assert torch.equal(*drawn)


def test_little_strength_stays_near_the_start(clip, vae, diffusion):
    start, tokens = vae.encode(IMAGES[:2]), clip.image_tokens(IMAGES[2:4])
    near, far = (
        diffusion.sample(tokens, None, 1, torch.Generator().manual_seed(0), 10, start_latents=start, strength=strength)
        for strength in (0.2, 1.0)
    )
    assert (near - start).abs().mean() < (far - start).abs().mean()


def test_a_decoder_without_guides_is_refused(diffusion):
    with pytest.raises(ValueError, match="needs a guide"):
        diffusion.sample(None, None)


def test_missing_weights_name_the_command_that_makes_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="bdk demo train vae"):
        read_weights("vae", VaeNet(), tmp_path)


def test_shipped_weights_fit_in_20_megabytes_and_carry_cards():
    assert sum(path.stat().st_size for path in SHIPPED.glob("*.safetensors")) <= 20e6
    for name in ("clip", "vae", "unet"):
        card = read_card(name)
        assert card["world"] == STAMP
        assert {"command", "seed", "steps", "seconds", "held_out"} <= set(card)


def _toy_fit(out, steps: int) -> Fit:
    torch.manual_seed(0)
    net = nn.Linear(4, 1)

    def loss(generator: torch.Generator) -> torch.Tensor:
        x = torch.randn(8, 4, generator=generator)
        return (net(x) - x.sum(1, keepdim=True)).square().mean()

    return Fit("toy", net, loss, lambda: {}, lambda *_: None, out, steps, 1e-2, warmup=2, average=0.9, save_every=5)


def test_a_killed_training_that_resumes_is_the_training_that_was_not_killed(tmp_path):
    whole = _toy_fit(tmp_path / "whole", 20)
    whole.run()
    killed = _toy_fit(tmp_path / "killed", 20)
    for _ in range(10):
        killed._one_step()
    killed._save()
    resumed = _toy_fit(tmp_path / "killed", 20)
    resumed.run()
    assert torch.equal(whole.model.weight, resumed.model.weight)
    assert torch.equal(whole.averaged["weight"], resumed.averaged["weight"])
    assert json.loads((tmp_path / "killed" / "toy.checkpoint.json").read_text())["step"] == 20


def test_two_way_is_half_by_chance_and_one_for_the_truth():
    rng = torch.Generator().manual_seed(0)
    truth, noise = (torch.randn(60, 32, generator=rng) for _ in range(2))
    assert check.two_way(truth, truth) == 1
    assert abs(check.two_way(noise, truth) - 0.5) < 0.08


def _passes(name: str, scores: dict[str, float]) -> None:
    short = {key: (scores[key], least) for key, least in check.THRESHOLDS[name].items() if scores[key] < least}
    assert not short, f"{name} (reached, wanted): {short}"


@pytest.mark.slow
def test_the_shipped_clip_finds_the_caption(clip):
    _passes("clip", check.clip_scores(clip))


@pytest.mark.slow
def test_the_shipped_vae_redraws_held_out_scenes(vae):
    _passes("vae", check.vae_scores(vae))


@pytest.mark.slow
def test_the_shipped_decoder_draws_held_out_scenes_from_their_true_tokens(clip, vae, diffusion):
    _passes("unet", check.decoder_scores(diffusion, clip, vae))


@pytest.mark.slow
def test_the_text_guide_alone_draws_the_right_scene(clip, vae, diffusion):
    latents = diffusion.sample(None, clip.text_tokens(TEXTS), 1, torch.Generator().manual_seed(0))
    drawn = clip.image_embedding(vae.decode(latents))
    assert check.two_way(drawn, clip.image_embedding(IMAGES)) > 0.8
    assert np.isfinite(drawn.numpy()).all()
