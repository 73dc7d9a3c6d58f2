"""Our own loop and dual block against the version of diffusers that the published systems ran on, and its promises."""

from __future__ import annotations

import json

import pytest
import torch
from bdk.errors import ComponentError, WeightsMissingError
from bdk_decoders import versatile_diffusion
from bdk_decoders.configs import VersatileDiffusionConfig
from bdk_decoders.convert_vd import convert
from bdk_decoders.versatile_diffusion import VersatileDiffusion
from safetensors.torch import load_file, save_file

SIZES = {"image": (257, 8), "text": (77, 8), "low": (64, 4)}
PUBLISHED = {
    "mindeye": {"preset": "mindeye"},
    "brainram": {"preset": "brainram-release"},
    "ddim": {"preset": "brain-diffuser", "unconditional": "zeros"},
    "img2img": {"preset": "mindeye", "strength": 0.85},
    "img2img_ddim": {"preset": "brain-diffuser", "unconditional": "zeros", "strength": 0.75},
}


def decoder(folder, **options):
    import tiny_models

    return VersatileDiffusion(VersatileDiffusionConfig(weights=str(folder), **options), tiny_models.context(**SIZES))


def guides(count=2, seed=1, names=("image", "text")):
    numbers = torch.Generator().manual_seed(seed)
    return {name: torch.randn((count, *SIZES[name]), generator=numbers) * 0.5 for name in names}


@pytest.mark.parametrize("name", PUBLISHED)
def test_pictures_equal_those_of_diffusers_0_13(dual, monkeypatch, generator, name):
    import tiny_models

    stored = tiny_models.reference()
    monkeypatch.setattr(versatile_diffusion, "draw_noise", lambda *_: stored["noise"][:, None])
    given = {"image": stored["image"], "text": stored["text"]}
    if name.startswith("img2img"):
        given["low"] = stored["low"].flatten(2).transpose(1, 2)
    pictures = decoder(dual, **PUBLISHED[name])(given, 1, generator())
    torch.testing.assert_close(pictures[:, 0], stored[f"{name}.images"], atol=1e-5, rtol=0)


def test_presets_are_the_published_settings_and_may_be_overridden():
    def settings(**options):
        config = VersatileDiffusionConfig(**options)
        return (config.steps, config.guidance, config.mix, config.sampler)

    assert settings() == settings(preset="brainram-release") == (50, 7.5, 0.5, "unipc")
    assert settings(preset="mindeye") == (20, 3.5, 0.0, "unipc")
    assert settings(preset="mindeye", steps=5) == (5, 3.5, 0.0, "unipc")
    written = VersatileDiffusionConfig(preset="mindeye").model_dump()
    assert VersatileDiffusionConfig(**written).model_dump() == written


@pytest.mark.parametrize(("mix", "deaf", "hears"), [(0.0, "text", "image"), (1.0, "image", "text")])
def test_at_mix_0_and_1_one_guide_alone_has_a_say(dual, generator, mix, deaf, hears):
    paint = decoder(dual, steps=2, mix=mix)
    base, other = guides(), guides(seed=2)
    first = paint(base, 1, generator())
    assert torch.equal(paint({**base, deaf: other[deaf]}, 1, generator()), first)
    assert (paint({**base, hears: other[hears]}, 1, generator()) - first).abs().max() > 1e-3


def test_a_single_guide_takes_the_whole_mix_unless_the_release_is_asked_for(dual, generator):
    alone = guides(names=("image",))
    strict = decoder(dual, steps=2, mix=0.5)(alone, 1, generator())
    assert torch.equal(strict, decoder(dual, steps=2, mix=0.0)(guides(), 1, generator()) * 0 + strict)
    zeros = {**alone, "text": torch.zeros(2, 77, 8)}
    release = decoder(dual, steps=2, mix=0.5, single_guide="release")(alone, 1, generator())
    assert torch.equal(release, decoder(dual, steps=2, mix=0.5)(zeros, 1, generator()))
    assert (release - strict).abs().max() > 1e-3
    assert decoder(dual).mix_for({"text": torch.zeros(1)}) == 1.0


def test_equal_seeds_give_equal_pictures_and_other_seeds_others(dual, generator):
    paint = decoder(dual, steps=2)
    first = paint(guides(), 2, generator())
    assert first.shape == (2, 2, 3, 16, 16) and first.min() >= 0 and first.max() <= 1
    assert torch.equal(paint(guides(), 2, generator()), first)
    assert not torch.equal(paint(guides(), 2, generator(1)), first)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_a_picture_does_not_depend_on_its_batch(dual, generator):
    given = guides(3)
    whole = decoder(dual, steps=2, batch=6)(given, 2, generator())
    apart = decoder(dual, steps=2, batch=1)(given, 2, generator())
    torch.testing.assert_close(apart, whole, atol=1e-5, rtol=0)
    last = decoder(dual, steps=2)({name: guide[2:] for name, guide in given.items()}, 2, generator())
    torch.testing.assert_close(last[0], whole[2], atol=1e-5, rtol=0)


def test_noise_may_be_independent(dual, generator):
    same = {name: guide[:1].expand(2, -1, -1) for name, guide in guides().items()}
    shared = decoder(dual, steps=2)(same, 1, generator())
    torch.testing.assert_close(shared[0], shared[1], atol=1e-5, rtol=0)
    own = decoder(dual, steps=2, noise="independent")(same, 1, generator())
    assert not torch.allclose(own[0], own[1], atol=1e-3)


def test_strength_0_returns_the_low_guide_and_1_ignores_it(dual, generator):
    from bdk.targets.vae import load_vae

    given = guides(names=("image", "text", "low"))
    vae = load_vae(dual / "vae")
    plain = vae.decode(given["low"].transpose(1, 2).reshape(2, 4, 8, 8) / vae.config.scaling_factor).sample / 2 + 0.5
    kept = decoder(dual, steps=4, strength=0.0)(given, 1, generator())
    torch.testing.assert_close(kept[:, 0], plain.clamp(0, 1), atol=1e-5, rtol=0)
    ignored = decoder(dual, steps=4, strength=1.0)(given, 1, generator())
    torch.testing.assert_close(ignored, decoder(dual, steps=4)(guides(), 1, generator()), atol=1e-5, rtol=0)


def test_a_call_without_image_and_text_is_refused_in_words(dual, generator):
    with pytest.raises(ComponentError, match="at least one of 'image', 'text'"):
        decoder(dual, steps=2)(guides(names=("low",)), 1, generator())


def test_a_guide_of_another_size_is_refused(dual, generator):
    with pytest.raises(ComponentError, match="its space is"):
        decoder(dual, steps=2)({"image": torch.zeros(1, 256, 8)}, 1, generator())


def test_half_precision_on_a_cpu_is_refused(dual):
    with pytest.raises(ComponentError, match="100 times slower"):
        decoder(dual, precision="half", device="cpu")


def test_an_unconverted_folder_names_the_line_that_converts_it(tmp_path):
    import tiny_models

    source = tiny_models.published_vd(tmp_path / "published")
    with pytest.raises(WeightsMissingError, match="bdk weights convert-vd"):
        decoder(source)


def test_a_folder_without_a_part_names_it(dual, tmp_path):
    with pytest.raises(WeightsMissingError, match=r"image_unet/config\.json"):
        decoder(tmp_path)


def test_conversion_takes_the_blocks_of_both_networks_and_nothing_else_of_the_text_network(tmp_path):
    import tiny_models

    source = tiny_models.published_vd(tmp_path / "published")
    out = convert(source, tmp_path / "dual")
    image, text = (load_file(source / part / tiny_models.WEIGHTS) for part in ("image_unet", "text_unet"))
    dual = load_file(out / "image_unet" / tiny_models.WEIGHTS)
    blocks = [key for key in image if ".attentions." in key]
    assert len(dual) == len(image) + len(blocks) and blocks
    for key in blocks:
        owner, rest = key[: key.index(".attentions.") + 13], key[key.index(".attentions.") + 14 :]
        assert torch.equal(dual[f"{owner}.transformers.0.{rest}"], image[key])
        assert torch.equal(dual[f"{owner}.transformers.1.{rest}"], text[key])
    assert json.loads((out / "image_unet/config.json").read_text())["dual_cross_attention"] is True


def test_conversion_reads_bin_files_without_running_their_code(tmp_path):
    import pickle

    import tiny_models

    source = tiny_models.published_vd(tmp_path / "published")
    for part in ("image_unet", "text_unet"):
        state = load_file(source / part / tiny_models.WEIGHTS)
        (source / part / tiny_models.WEIGHTS).unlink()
        torch.save(state, source / part / "diffusion_pytorch_model.bin")
    convert(source, tmp_path / "dual")

    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    (source / "text_unet/diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"x": Evil()}))
    with pytest.raises(WeightsMissingError, match="more than tensors"):
        convert(source, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_networks_that_do_not_fit_each_other_are_refused(tmp_path):
    import tiny_models

    source = tiny_models.published_vd(tmp_path / "published")
    path = source / "text_unet" / tiny_models.WEIGHTS
    state = load_file(path)
    state.pop(next(key for key in state if ".attentions." in key))
    save_file(state, path)
    with pytest.raises(WeightsMissingError, match="lacks 1 tensors"):
        convert(source, tmp_path / "dual")
    assert not (tmp_path / "dual").exists()


def test_a_converted_folder_is_not_converted_again(dual, tmp_path):
    with pytest.raises(WeightsMissingError, match="already in dual form"):
        convert(dual, tmp_path / "again")
    with pytest.raises(WeightsMissingError, match="already holds a model"):
        convert(tmp_path, dual)


def test_the_encoded_unconditional_is_the_empty_caption_and_a_grey_picture(dual, generator, monkeypatch):
    tokens = torch.randn(1, 334, 8)
    monkeypatch.setattr(versatile_diffusion, "encoded_unconditional", lambda spaces: tokens)
    encoded = decoder(dual, steps=2, unconditional="encoded")(guides(), 1, generator())
    assert not torch.allclose(encoded, decoder(dual, steps=2)(guides(), 1, generator()), atol=1e-3)
