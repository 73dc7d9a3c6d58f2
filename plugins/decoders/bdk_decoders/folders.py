"""Local folders of diffusion models: which device, which precision, which scheduler, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from bdk.devices import device as default_device
from bdk.errors import ComponentError, WeightsMissingError
from bdk.weights import Manifest
from jaxtyping import Float
from torch import Tensor

from bdk_decoders.configs import DiffusionConfig


def model_folder(config: DiffusionConfig) -> Path:
    """The folder of a decoder's model, with every part it needs.

    Args:
        config: its ``weights`` option names the folder; empty to look its model up in the weights manifest.

    Raises:
        WeightsMissingError: the folder or a file is not there.
    """
    name, needs = config.model()
    folder = Path(config.weights) if config.weights else Manifest.load().entry(name).path
    missing = [part for part in needs if not (folder / part).is_file()]
    if missing:
        raise WeightsMissingError(
            f"The model folder of {name!r} lacks {', '.join(missing)}.",
            where=str(folder),
            mend="Copy the model's subfolders there, as diffusers saves them, in safetensors.",
        )
    return folder


def placement(config: DiffusionConfig) -> tuple[torch.device, torch.dtype]:
    """Device and number type of a decoder: half precision on an accelerator only.

    Raises:
        ComponentError: half precision was asked for on a CPU.
    """
    place = default_device() if config.device == "auto" else torch.device(config.device)
    if place.type == "cpu" and config.precision == "half":
        raise ComponentError(
            "Half precision on a CPU is about 100 times slower than full.",
            where="decoder.precision",
            mend='Use precision = "auto".',
        )
    return place, torch.float16 if place.type != "cpu" and config.precision != "full" else torch.float32


def on_device(model: Any, place: torch.device, dtype: torch.dtype) -> Any:
    """A frozen model on its device, in its precision."""
    model = model.to(place).eval().requires_grad_(False)
    return model.half() if dtype == torch.float16 else model


def load_unet(folder: Path, place: torch.device, dtype: torch.dtype) -> Any:
    """The folder's UNet, frozen."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(
        folder / "unet", local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False
    )
    return on_device(unet, place, dtype)


def pixels_per_latent(vae: Any) -> int:
    """Pixels along one side of one latent position."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


@torch.no_grad()
def paint(vae: Any, latents: Float[Tensor, "N C h w"]) -> Float[Tensor, "N 3 H W"]:
    """Scaled latents to pictures in 0..1, float32 on the CPU."""
    decoded = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
    return (decoded.float() / 2 + 0.5).clamp(0, 1).cpu()


def own_scheduler(folder: Path) -> Any:
    """The scheduler that the folder names, with its own options."""
    import diffusers

    options = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    return getattr(diffusers, options["_class_name"]).from_config(options)


def ddim(folder: Path) -> Any:
    """A DDIM scheduler (eta 0) with the noise schedule of the folder's own scheduler."""
    from diffusers import DDIMScheduler

    return DDIMScheduler.from_config(
        schedule(folder), timestep_spacing="leading", clip_sample=False, set_alpha_to_one=False
    )


def unipc(folder: Path) -> Any:
    """A UniPC scheduler (order 2) with the noise schedule of the folder's own scheduler.

    Timesteps are spaced evenly and end at timestep 0, not at zero noise: so did diffusers 0.13, which the published
    systems ran on.
    """
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler.from_config(
        schedule(folder), timestep_spacing="linspace", final_sigmas_type="sigma_min"
    )


def schedule(folder: Path) -> dict[str, Any]:
    """The folder's scheduler options that every diffusers scheduler shares."""
    options = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    shared = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type",
              "steps_offset", "timestep_spacing")  # fmt: skip
    return {key: options[key] for key in shared if key in options}
