"""Stable Diffusion, IP-Adapter and StableUnCLIP from tiny random folders."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import DecoderContext
from bdk.errors import ComponentError, WeightsMissingError
from bdk.objectives.randomness import restarted
from bdk.spaces import Space
from bdk_decoders.configs import IpAdapterConfig, SdImg2ImgConfig, UnclipConfig
from bdk_decoders.diffusion import sample, steps_to_run
from bdk_decoders.empty_prompt import empty_prompt, encode, write_empty_prompt
from bdk_decoders.ip_adapter import IpAdapter
from bdk_decoders.sd_img2img import SdImg2Img
from bdk_decoders.unclip import Unclip

SIZES = {
    "sd-img2img": {"text": (6, 8), "low": (16, 4)},
    "ip-adapter-sd": {"image": (1, 12), "text": (6, 8)},
    "ip-adapter-sdxl": {"image": (1, 12)},
    "unclip": {"image": (1, 10)},
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    import tiny_models

    root = tmp_path_factory.mktemp("models")
    return {
        "sd-img2img": tiny_models.stable_diffusion(root / "sd"),
        "ip-adapter-sd": tiny_models.ip_adapter(root / "ip"),
        "ip-adapter-sdxl": tiny_models.ip_adapter(root / "ipxl", "sdxl"),
        "unclip": tiny_models.unclip(root / "unclip"),
    }


def build(name, folder, **options):
    import tiny_models

    context = tiny_models.context(**SIZES[name])
    shared = {"weights": str(folder), "steps": 2, **options}
    if name == "sd-img2img":
        return SdImg2Img(SdImg2ImgConfig(**{"side": 64, **shared}), context)
    if name == "unclip":
        return Unclip(UnclipConfig(**shared), context)
    return IpAdapter(IpAdapterConfig(base=name.removeprefix("ip-adapter-"), **shared), context)


def guides(name, count=2, seed=1):
    numbers = torch.Generator().manual_seed(seed)
    return {guide: torch.randn((count, *size), generator=numbers) for guide, size in SIZES[name].items()}


@pytest.mark.parametrize("name", SIZES)
def test_pictures_are_deterministic_by_seed_and_independent_of_their_batch(folders, generator, name):
    given, paint = guides(name, 3), build(name, folders[name])
    whole = paint(given, 2, generator())
    side = 64 if name == "sd-img2img" else 16
    assert whole.shape == (3, 2, 3, side, side) and whole.min() >= 0 and whole.max() <= 1
    assert torch.equal(paint(given, 2, generator()), whole)
    assert (paint(given, 2, generator(1)) - whole).abs().max() > 1e-3
    last = build(name, folders[name], batch=1)({key: guide[2:] for key, guide in given.items()}, 2, generator())
    torch.testing.assert_close(last[0], whole[2], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "guide"), [(name, guide) for name, sizes in SIZES.items() for guide in sizes])
def test_every_guide_has_a_say(folders, generator, name, guide):
    base, other = guides(name), guides(name, seed=2)
    paint = build(name, folders[name])
    change = (paint({**base, guide: other[guide]}, 1, generator()) - paint(base, 1, generator())).abs().max()
    assert change > 1e-3


@pytest.mark.parametrize("name", SIZES)
def test_a_missing_guide_is_refused_in_words(folders, generator, name):
    needed = "text" if name == "sd-img2img" else "image"
    given = {key: guide for key, guide in guides(name).items() if key != needed}
    with pytest.raises(ComponentError, match=f"needs '{needed}'"):
        build(name, folders[name])(given, 1, generator())


@pytest.mark.parametrize("name", SIZES)
def test_a_folder_without_its_parts_is_told(tmp_path, name):
    with pytest.raises(WeightsMissingError, match=r"unet/config\.json"):
        build(name, tmp_path)


def test_img2img_equals_a_plain_ddim_loop_over_the_same_network(folders, generator):
    """Takagi's way, step by step: decode, resize, encode, noise to .8, denoise with guidance 5."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from safetensors.torch import load_file

    folder = folders["sd-img2img"]
    unet, vae = UNet2DConditionModel.from_pretrained(folder / "unet"), AutoencoderKL.from_pretrained(folder / "vae")
    schedule = DDIMScheduler.from_pretrained(folder / "scheduler")
    empty = load_file(folder / "empty_prompt.safetensors")["states"]
    given = guides("sd-img2img", 1)
    noise = torch.randn((1, 1, 4, 32, 32), generator=restarted(generator()))[:, 0]
    with torch.no_grad():
        pixels = vae.decode(given["low"].transpose(1, 2).reshape(1, 4, 4, 4) / 0.18215).sample.clamp(-1, 1)
        pixels = torch.nn.functional.interpolate(pixels, size=64, mode="bicubic", antialias=True).clamp(-1, 1)
        start = vae.encode(pixels).latent_dist.mode() * 0.18215
        schedule.set_timesteps(10)
        times = schedule.timesteps[2:]
        latents = schedule.add_noise(start, noise, times[:1])
        for time in times:
            without = unet(latents, time, empty).sample
            guided = without + 5.0 * (unet(latents, time, given["text"]).sample - without)
            latents = schedule.step(guided, time, latents).prev_sample
        plain = (vae.decode(latents / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    found = build("sd-img2img", folder, steps=10)(given, 1, generator())
    torch.testing.assert_close(found[:, 0], plain, atol=1e-5, rtol=0)


def test_img2img_without_a_low_guide_starts_from_noise(folders, generator):
    given = {"text": guides("sd-img2img")["text"]}
    assert build("sd-img2img", folders["sd-img2img"])(given, 1, generator()).shape == (2, 1, 3, 64, 64)


def test_the_adapter_equals_diffusers_own_pipeline(folders, generator):
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from safetensors.torch import load_file

    folder = folders["ip-adapter-sd"]
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        unet=UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        **dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor")),
        requires_safety_checker=False,
    )
    pipeline.load_ip_adapter(str(folder), subfolder="", weight_name="ip-adapter.safetensors", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(0.7)
    pipeline.set_progress_bar_config(disable=True)
    given, empty = guides("ip-adapter-sd", 1), load_file(folder / "empty_prompt.safetensors")["states"]
    noise = torch.randn((1, 1, 4, 8, 8), generator=restarted(generator()))[:, 0]
    image = torch.cat([torch.zeros(1, 1, 12), given["image"]])
    plain = pipeline(
        prompt_embeds=given["text"], negative_prompt_embeds=empty, ip_adapter_image_embeds=[image], latents=noise,
        num_inference_steps=4, guidance_scale=5.0, output_type="pt", height=16, width=16,
    ).images  # fmt: skip
    found = build("ip-adapter-sd", folder, steps=4, scale=0.7)(given, 1, generator())
    torch.testing.assert_close(found[:, 0], plain, atol=1e-5, rtol=0)


def test_the_image_vector_is_noised_as_in_diffusers_own_pipeline(folders):
    from diffusers import DDPMScheduler, StableUnCLIPImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from safetensors.torch import load_file

    folder = folders["unclip"]
    normaliser = StableUnCLIPImageNormalizer(10)
    normaliser.load_state_dict(load_file(folder / "image_normalizer/diffusion_pytorch_model.safetensors"))
    pipeline = StableUnCLIPImg2ImgPipeline.__new__(StableUnCLIPImg2ImgPipeline)
    pipeline.register_modules(
        image_normalizer=normaliser,
        image_noising_scheduler=DDPMScheduler.from_pretrained(folder / "image_noising_scheduler"),
    )
    vectors, noise = torch.randn(2, 10), torch.randn(2, 10)
    plain = pipeline.noise_image_embeddings(vectors, 300, noise)
    found = build("unclip", folder, noise_level=300).noised(vectors, noise)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("steps", "strength", "run"), [(20, 0.85, 17), (50, 0.75, 37), (50, 0.8, 40), (20, 1.0, 20), (20, 0.0, 0)]
)
def test_strength_runs_the_published_number_of_steps(steps, strength, run):
    assert steps_to_run(steps, strength) == run


@pytest.mark.parametrize(("name", "calls"), [("DDIMScheduler", 4), ("PNDMScheduler", 5), ("HeunDiscreteScheduler", 7)])
def test_the_loop_runs_every_timestep_of_any_scheduler(name, calls):
    import diffusers

    options = {"skip_prk_steps": True} if name == "PNDMScheduler" else {}
    scheduler, seen = getattr(diffusers, name)(**options), []

    def network(latents, time):
        seen.append(float(time))
        return torch.zeros_like(latents)

    sample(network, scheduler, torch.randn(1, 4, 2, 2), steps=4)
    assert seen == [float(time) for time in scheduler.timesteps] and len(seen) == calls


def test_the_loop_recovers_clean_latents_from_a_network_that_knows_the_noise():
    from diffusers import DDIMScheduler, UniPCMultistepScheduler

    clean, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    for scheduler in (
        DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False),
        UniPCMultistepScheduler(beta_schedule="scaled_linear"),
    ):
        alphas = scheduler.alphas_cumprod

        def knows(latents, time, alphas=alphas):
            alpha = alphas[time]
            return (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()

        for start, strength in ((None, 1.0), (clean, 0.5)):
            found = sample(knows, scheduler, noise, steps=20, start=start, strength=strength)
            torch.testing.assert_close(found, clean, atol=0.05, rtol=0)


def test_the_empty_caption_comes_from_the_folders_own_encoders(tmp_path):
    import tiny_models
    from transformers import CLIPTextModel

    tiny_models.text_encoders(tmp_path, 1)
    found = empty_prompt(tmp_path)["states"]
    ids = torch.tensor([[0, 1, 1, 1, 1, 1]])
    plain = CLIPTextModel.from_pretrained(tmp_path / "text_encoder")(ids).last_hidden_state
    torch.testing.assert_close(found, plain.detach())
    write_empty_prompt(tmp_path)
    (tmp_path / "text_encoder/config.json").unlink()
    torch.testing.assert_close(empty_prompt(tmp_path)["states"], plain.detach())


def test_two_encoders_give_sdxls_states_side_by_side(tmp_path):
    import tiny_models

    tiny_models.text_encoders(tmp_path, 2)
    found = encode(tmp_path)
    assert found["states"].shape == (1, 6, 8 + 16) and found["pooled"].shape == (1, 5)


def test_without_any_source_of_the_empty_caption_the_files_are_named(tmp_path):
    with pytest.raises(WeightsMissingError, match="text_encoder"):
        empty_prompt(tmp_path)


def test_decoders_declare_spaces_that_are_registered(registry):
    from bdk.registry import config_class

    for name in registry.names("decoder"):
        info = registry.component("decoder", name)
        if info.distribution.startswith("brain-decoding-kit"):
            config = config_class(info)()
            assert set(config.spaces().values()) <= set(registry.spaces), name
            assert set(config.required) <= set(config.spaces()), name


def test_missing_manifest_weights_name_the_line_that_gets_them(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_WEIGHTS", str(tmp_path))
    space = Space("sd14/text", 77, 768, "text")
    with pytest.raises(WeightsMissingError, match="bdk weights"):
        SdImg2Img(SdImg2ImgConfig(), DecoderContext({"text": space}))
