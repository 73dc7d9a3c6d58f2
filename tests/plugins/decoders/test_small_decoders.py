"""The demo world's decoder, the nearest picture, the low-level picture, and a user's own generator."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest
import torch
from bdk.contexts import DecoderContext
from bdk.demo.captions import captions
from bdk.demo.scenes import render, scenes
from bdk.errors import ComponentError, WeightsMissingError
from bdk.objectives.randomness import restarted
from bdk.targets import backbone
from bdk.targets.spaces import SPACES
from bdk_decoders.configs import DemoConfig, LowLevelConfig, NearestConfig, TorchscriptConfig
from bdk_decoders.demo import Demo
from bdk_decoders.guides import draw_noise
from bdk_decoders.low_level import LowLevel
from bdk_decoders.nearest import Nearest
from bdk_decoders.torchscript import Torchscript

DEMO_SPACES = {space.id: space for space in SPACES}
CONTEXT = DecoderContext(
    {
        "image": DEMO_SPACES["demo-clip/image"],
        "text": DEMO_SPACES["demo-clip/text"],
        "low": DEMO_SPACES["demo-vae/latent"],
    }
)


@pytest.fixture(scope="module")
def demo_guides():
    members = scenes(20_500_000, 4, held_out=True)
    pixels = np.stack([render(scene) for scene in members])
    texts = [captions(scene) for scene in members]
    found = {name: backbone(space).embed(texts if name == "text" else pixels) for name, space in CONTEXT.spaces.items()}
    return found, torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255


def correlation(one, two):
    return torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1]


@pytest.mark.parametrize("names", [("image",), ("text",), ("image", "text"), ("image", "text", "low"), ("low",)])
def test_any_guides_make_pictures_that_repeat_by_seed_and_do_not_mix(demo_guides, generator, names):
    given = {name: demo_guides[0][name] for name in names}
    paint = Demo(DemoConfig(steps=3), CONTEXT)
    whole = paint(given, 2, generator())
    assert whole.shape == (4, 2, 3, 64, 64) and whole.min() >= 0 and whole.max() <= 1
    assert torch.equal(paint(given, 2, generator()), whole)
    last = paint({name: guide[3:] for name, guide in given.items()}, 2, generator())
    torch.testing.assert_close(last[0], whole[3], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("noise", "equal"), [("shared", True), ("independent", False)])
def test_batch_after_batch_shares_its_noise_or_draws_its_own(generator, noise, equal):
    luck = generator()
    first, second = (draw_noise(2, 3, (5,), luck, noise) for _ in range(2))
    assert torch.equal(first, second) == equal and torch.equal(first[0], first[1]) == equal
    assert not torch.equal(draw_noise(2, 3, (5,), luck, noise, stream=1), first)


def test_true_guides_give_pictures_like_the_stimulus(demo_guides, generator):
    given, truth = demo_guides
    pictures = Demo(DemoConfig(steps=10), CONTEXT)(given, 1, generator())[:, 0]
    own = [correlation(pictures[row], truth[row]) for row in range(4)]
    others = [correlation(pictures[row], truth[(row + 1) % 4]) for row in range(4)]
    assert min(own) > 0.7 and np.mean(own) > np.mean(others) + 0.3


def test_the_low_guide_alone_is_decoded_as_it_is(demo_guides, generator):
    given = {"low": demo_guides[0]["low"]}
    low = LowLevel(LowLevelConfig(), CONTEXT)(given, 2, generator())
    torch.testing.assert_close(Demo(DemoConfig(), CONTEXT)(given, 2, generator()), low, atol=1e-5, rtol=0)
    assert torch.equal(low[:, 0], low[:, 1]) and correlation(low[:, 0], demo_guides[1]) > 0.9


def test_strength_0_keeps_the_low_guide(demo_guides, generator):
    kept = Demo(DemoConfig(strength=0.0), CONTEXT)(demo_guides[0], 1, generator())
    low = LowLevel(LowLevelConfig(), CONTEXT)({"low": demo_guides[0]["low"]}, 1, generator())
    torch.testing.assert_close(kept, low, atol=1e-5, rtol=0)


def test_the_demo_decoder_without_a_guide_says_which_it_takes(generator):
    with pytest.raises(ComponentError, match="at least one of 'image', 'text', 'low'"):
        Demo(DemoConfig(), CONTEXT)({}, 1, generator())


def test_low_level_needs_its_guide_in_the_size_of_its_space(generator):
    paint = LowLevel(LowLevelConfig(), CONTEXT)
    with pytest.raises(ComponentError, match="needs 'low'"):
        paint({"image": torch.zeros(1, 65, 128)}, 1, generator())
    with pytest.raises(ComponentError, match="its space is"):
        paint({"low": torch.zeros(1, 63, 8)}, 1, generator())


def test_low_level_decodes_with_a_local_vae(tmp_path, generator):
    import tiny_models
    from bdk.targets.vae import load_vae

    torch.manual_seed(0)
    tiny_models.vae(tmp_path)
    config = LowLevelConfig(space="sd-vae/latent", weights=str(tmp_path))
    low = torch.randn(3, 64, 4)
    found = LowLevel(config, tiny_models.context(low=(64, 4)))({"low": low}, 1, generator())
    vae = load_vae(tmp_path)
    plain = vae.decode(low.transpose(1, 2).reshape(3, 4, 8, 8) / vae.config.scaling_factor).sample / 2 + 0.5
    torch.testing.assert_close(found[:, 0], plain.clamp(0, 1), atol=1e-5, rtol=0)


PICTURES = torch.rand(9, 3, 4, 4)
GALLERY = DecoderContext({}, picture=lambda id: PICTURES[id])


def test_nearest_shows_the_pictures_of_the_ids_in_their_columns(generator):
    ids = torch.tensor([[4, 7], [0, 8]])
    found = Nearest(NearestConfig(), GALLERY)({"neighbour_ids": ids}, 3, generator())
    assert torch.equal(found, PICTURES[torch.tensor([[4, 7, 4], [0, 8, 0]])])


def test_nearest_refuses_to_show_something_for_nothing(generator):
    paint = Nearest(NearestConfig(), GALLERY)
    with pytest.raises(ComponentError, match="Nothing was retrieved for stimulus 1"):
        paint({"neighbour_ids": torch.tensor([[4], [-1]])}, 1, generator())
    with pytest.raises(ComponentError, match="needs the ids"):
        paint({"image": torch.zeros(1, 2, 3)}, 1, generator())
    with pytest.raises(ComponentError, match="no retriever offers any"):
        Nearest(NearestConfig(), DecoderContext({}))
    assert NearestConfig().uses_neighbours()


class Generator(torch.nn.Module):
    """(noise, vector, tokens) -> pictures."""

    def forward(self, noise: torch.Tensor, vector: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        value = noise.mean(1) + vector.mean(1) + tokens.mean((1, 2))
        return torch.tanh(value)[:, None, None, None].expand(-1, 3, 8, 8)


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "generator.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Generator()).save(str(path))
    return path


def torchscript(path, **options):
    import tiny_models

    guides = {"image": "clip-vit-l14/pooled", "text": "clip-vit-l14/text"}
    config = TorchscriptConfig(path=str(path), guides=guides, noise_dim=5, **options)
    return Torchscript(config, tiny_models.context(image=(1, 6), text=(4, 6)))


def test_an_exported_generator_gets_noise_and_guides_in_order(exported, generator):
    given = {"image": torch.randn(3, 1, 6), "text": torch.randn(3, 4, 6)}
    found = torchscript(exported, batch=2, truncation=0.5)(given, 2, generator())
    noise = torch.randn((1, 2, 5), generator=restarted(generator())).expand(3, 2, 5).mean(2) * 0.5
    plain = torch.tanh(noise + (given["image"].mean((1, 2)) + given["text"].mean((1, 2)))[:, None]) / 2 + 0.5
    torch.testing.assert_close(found[:, :, 0, 0, 0], plain)
    assert found.shape == (3, 2, 3, 8, 8)


def test_an_exported_generator_is_compared_with_its_checksum(exported):
    right = hashlib.sha256(exported.read_bytes()).hexdigest()
    torchscript(exported, sha256=right)
    with pytest.raises(WeightsMissingError, match="another checksum"):
        torchscript(exported, sha256="0" * 64)


def test_a_missing_generator_says_how_to_export_one(tmp_path):
    with pytest.raises(WeightsMissingError, match=r"torch\.jit\.trace"):
        torchscript(tmp_path / "none.pt")


def test_a_missing_guide_of_a_generator_is_named(exported, generator):
    with pytest.raises(ComponentError, match="needs 'text'"):
        torchscript(exported)({"image": torch.randn(1, 1, 6)}, 1, generator())
