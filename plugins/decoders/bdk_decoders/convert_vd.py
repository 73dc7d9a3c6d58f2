"""Versatile Diffusion's published checkpoint (an image UNet and a text UNet) to one dual-guided UNet, once."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from bdk.errors import WeightsMissingError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bdk_decoders.dual_transformer import dual_unet

TEXT_TOKENS = 77
_BLOCK = re.compile(r"^(.*\battentions\.\d+)\.(.+)$")
_WEIGHTS = "diffusion_pytorch_model"


def convert(source: Path, out: Path) -> Path:
    """Write the dual form of a published folder: ``image_unet``, ``vae`` and ``scheduler``, all safetensors.

    The text UNet gives only its cross-attention blocks, each under the name of the image UNet's block at the same
    place; its class is not needed. The result is checked by loading it strictly.

    Args:
        source: folder with ``image_unet``, ``text_unet``, ``vae`` and ``scheduler`` as published.
        out: folder to write; must not hold a ``image_unet`` yet.

    Returns:
        ``out``.

    Raises:
        WeightsMissingError: a part is missing, is already dual, or does not fit the other.
    """
    if (out / "image_unet").exists():
        raise WeightsMissingError("The folder to write already holds a model.", where=str(out), mend="Name another.")
    config = json.loads(_file(source / "image_unet", "config.json").read_text())
    image = _state(source / "image_unet")
    if any(".transformers." in key for key in image):
        raise WeightsMissingError("The image UNet is already in dual form.", where=str(source), mend="Use it as it is.")
    dual = merge(image, _state(source / "text_unet"), where=str(source))
    _require_fit(config, dual, source)
    aside = out.with_name(out.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "image_unet").mkdir(parents=True)
    (aside / "image_unet" / "config.json").write_text(json.dumps({**config, "dual_cross_attention": True}, indent=2))
    save_file(dual, aside / "image_unet" / f"{_WEIGHTS}.safetensors")
    _convert_vae(source / "vae", aside / "vae")
    shutil.copytree(source / "scheduler", aside / "scheduler")
    out.mkdir(parents=True, exist_ok=True)
    for part in aside.iterdir():
        part.rename(out / part.name)
    aside.rmdir()
    return out


def merge(image: dict[str, Tensor], text: dict[str, Tensor], *, where: str) -> dict[str, Tensor]:
    """One dual state dict of an image UNet's and a text UNet's.

    Raises:
        WeightsMissingError: the text UNet has other blocks than the image UNet.
    """
    dual, lacking = {}, []
    for key, value in image.items():
        block = _BLOCK.match(key)
        if block is None:
            dual[key] = value
            continue
        if key not in text or text[key].shape != value.shape:
            lacking.append(key)
            continue
        dual[f"{block[1]}.transformers.0.{block[2]}"] = value
        dual[f"{block[1]}.transformers.1.{block[2]}"] = text[key].to(value.dtype)
    if lacking:
        raise WeightsMissingError(
            f"The text UNet lacks {len(lacking)} tensors of the image UNet's blocks, or has them in another shape "
            f"(the first: {lacking[0]}).",
            where=where,
        )
    return {key: value.contiguous() for key, value in dual.items()}


def _require_fit(config: dict[str, Any], dual: dict[str, Tensor], source: Path) -> None:
    with torch.device("meta"):
        wanted = dual_unet(config, TEXT_TOKENS).state_dict()
    wrong = sorted(set(wanted) ^ set(dual)) or [key for key in dual if wanted[key].shape != dual[key].shape]
    if wrong:
        raise WeightsMissingError(
            f"{len(wrong)} tensors do not fit the UNet that config.json describes (the first: {wrong[0]}).",
            where=str(source / "image_unet"),
        )


def _state(folder: Path) -> dict[str, Tensor]:
    """A state dict from safetensors, or from a `.bin` read without running any code of its own."""
    if (folder / f"{_WEIGHTS}.safetensors").is_file():
        return load_file(folder / f"{_WEIGHTS}.safetensors")
    path = _file(folder, f"{_WEIGHTS}.bin")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsMissingError(f"The file holds more than tensors: {error}", where=str(path)) from error


def _convert_vae(source: Path, out: Path) -> None:
    from diffusers import AutoencoderKL

    _file(source, "config.json")
    AutoencoderKL.from_pretrained(source, local_files_only=True).save_pretrained(out, safe_serialization=True)


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise WeightsMissingError(
            f"{name} is missing.",
            where=str(folder),
            mend="The published folder has image_unet, text_unet, vae and scheduler.",
        )
    return folder / name
