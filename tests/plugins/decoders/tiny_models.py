"""Folders of tiny random diffusion models, in diffusers' layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from bdk.contexts import DecoderContext
from bdk.spaces import Space
from safetensors.torch import load_file, save_file

REFERENCE = Path(__file__).parent / "data" / "versatile_diffusion_0_13.safetensors"
WEIGHTS = "diffusion_pytorch_model.safetensors"
SMALL = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4}
UNET = {
    **SMALL,
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": 2,
}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def context(**sizes: tuple[int, int]) -> DecoderContext:
    """A context with spaces of these sizes."""
    return DecoderContext({name: Space(f"tiny/{name}", *size, "image") for name, size in sizes.items()})


def published_vd(folder: Path) -> Path:
    """The stored tiny model in the layout of Versatile Diffusion's release: an image UNet and a text UNet."""
    from safetensors import safe_open

    with safe_open(REFERENCE, "pt") as file:
        configs = file.metadata()
    tensors = load_file(REFERENCE)
    for part in ("image_unet", "text_unet", "vae"):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(configs[part])
        state = {key.removeprefix(f"{part}/"): value.float() for key, value in tensors.items() if key.startswith(part)}
        save_file(state, folder / part / WEIGHTS)
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(configs["scheduler"])
    return folder


def reference() -> dict[str, torch.Tensor]:
    """Guides, noise and pictures of diffusers 0.13.0 with those weights."""
    return {key: value for key, value in load_file(REFERENCE).items() if "/" not in key}


def _roughen(model: torch.nn.Module) -> None:
    """Random weights large enough that every input has a say in the output."""
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.2 * torch.randn_like(parameter)


def vae(folder: Path) -> None:
    from diffusers import AutoencoderKL

    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    AutoencoderKL(**SMALL, **kinds, latent_channels=4, sample_size=16).save_pretrained(folder)


def stable_diffusion(folder: Path, *, empty: tuple[int, int] = (6, 8), **unet: object) -> Path:
    """UNet, VAE, scheduler and the empty caption's states."""
    from diffusers import DDIMScheduler, UNet2DConditionModel

    torch.manual_seed(0)
    model = UNet2DConditionModel(**{**UNET, "cross_attention_dim": empty[1], **unet})
    _roughen(model)
    model.save_pretrained(folder / "unet")
    vae(folder / "vae")
    DDIMScheduler(**BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1).save_pretrained(
        folder / "scheduler"
    )
    save_file({"states": torch.randn(1, *empty)}, folder / "empty_prompt.safetensors")
    return folder


def unclip(folder: Path, dim: int = 10) -> Path:
    """Stable Diffusion with an image vector as class embedding, normaliser and noising schedule."""
    from diffusers import DDPMScheduler

    stable_diffusion(folder, class_embed_type="projection", projection_class_embeddings_input_dim=2 * dim)
    (folder / "image_normalizer").mkdir()
    save_file({"mean": torch.randn(1, dim), "std": torch.rand(1, dim) + 0.5}, folder / "image_normalizer" / WEIGHTS)
    DDPMScheduler(beta_schedule="squaredcos_cap_v2").save_pretrained(folder / "image_noising_scheduler")
    return folder


def ip_adapter(folder: Path, base: str = "sd", dim: int = 12) -> Path:
    """Stable Diffusion (or XL) with a plain adapter for one pooled vector."""
    if base == "sd":
        stable_diffusion(folder)
    else:
        added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4}
        stable_diffusion(folder, **added, projection_class_embeddings_input_dim=6 * 4 + 5)
        empty = load_file(folder / "empty_prompt.safetensors")
        save_file({**empty, "pooled": torch.randn(1, 5)}, folder / "empty_prompt.safetensors")
    width, tokens = 8, 4
    state = {
        "image_proj.proj.weight": torch.randn(tokens * width, dim) * 0.5,
        "image_proj.proj.bias": torch.zeros(tokens * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    number = 1
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            channels = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for kind in ("to_k_ip", "to_v_ip"):
                state[f"ip_adapter.{number}.{kind}.weight"] = torch.randn(channels, width) * 0.5
            number += 2
    save_file(state, folder / "ip-adapter.safetensors")
    return folder


def text_encoders(folder: Path, count: int) -> None:
    """One or two tiny text encoders with a tokenizer, as Stable Diffusion 1.x and XL have them."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
    for number in range(1, count + 1):
        suffix = "" if number == 1 else "_2"
        (folder / f"tokenizer{suffix}").mkdir(parents=True)
        (folder / f"tokenizer{suffix}/vocab.json").write_text(json.dumps(vocabulary))
        (folder / f"tokenizer{suffix}/merges.txt").write_text("#version: 0.2\n")
        CLIPTokenizer(
            vocab=str(folder / f"tokenizer{suffix}/vocab.json"), merges=str(folder / f"tokenizer{suffix}/merges.txt")
        ).save_pretrained(folder / f"tokenizer{suffix}")
        sizes = {"hidden_size": 8 * number, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
        config = CLIPTextConfig(**sizes, vocab_size=3, max_position_embeddings=6, projection_dim=5, eos_token_id=1)
        kind = CLIPTextModel if number == 1 else CLIPTextModelWithProjection
        torch.manual_seed(number)
        kind(config).save_pretrained(folder / f"text_encoder{suffix}")
