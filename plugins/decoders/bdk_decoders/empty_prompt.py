"""What a text-conditioned diffusion model hears when nothing is said: the states of the empty caption."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from bdk.errors import MissingExtraError, WeightsMissingError
from bdk.spaces import Space
from bdk.targets.clip import encode_texts
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

FILE = "empty_prompt.safetensors"


def empty_prompt(folder: Path, space: Space | None = None) -> dict[str, Float[Tensor, "1 ..."]]:
    """States of the empty caption (``states``: 1 x T x D) and, for SDXL, its pooled vector (``pooled``: 1 x P).

    Looked for in this order: ``empty_prompt.safetensors`` in the folder; the folder's own tokenizers and text encoders
    (needs transformers); the backbone of the text guide's space.

    Args:
        folder: of the diffusion model.
        space: of the text guide, if it has one.

    Raises:
        WeightsMissingError: none of them is there.
    """
    if (folder / FILE).is_file():
        return load_file(folder / FILE)
    if (folder / "text_encoder" / "config.json").is_file():
        return encode(folder)
    if space is not None:
        return {"states": encode_texts(space, [""])}
    raise WeightsMissingError(
        f"The states of the empty caption are needed, and there is neither {FILE} nor a text encoder.",
        where=str(folder),
        mend="Copy the model's tokenizer and text_encoder folders (SDXL: tokenizer_2 and text_encoder_2 too) there.",
    )


def write_empty_prompt(folder: Path) -> Path:
    """Keep the states of the empty caption beside the model, so that its text encoders are not needed again."""
    save_file(encode(folder), folder / FILE)
    return folder / FILE


@torch.no_grad()
def encode(folder: Path) -> dict[str, Float[Tensor, "1 ..."]]:
    """The empty caption through the folder's own text encoders.

    One encoder: its last hidden states (SD 1.x and 2.x). Two: both encoders' second last hidden states side by side,
    and the second's projected end-of-text token (SDXL).

    Raises:
        MissingExtraError: transformers is not installed.
    """
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtraError(
            f"Encoding the empty caption of {folder} needs transformers.",
            where=str(folder),
            mend=f"pip install transformers, or put {FILE} into the folder.",
        )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    if not (folder / "text_encoder_2").is_dir():
        return {"states": _run(folder, "", CLIPTextModel).last_hidden_state.float().contiguous()}
    first = _run(folder, "", CLIPTextModel)
    second = _run(folder, "_2", CLIPTextModelWithProjection)
    states = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
    return {"states": states.float().contiguous(), "pooled": second.text_embeds.float().contiguous()}


def _run(folder: Path, suffix: str, kind: Any) -> Any:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / f"tokenizer{suffix}", local_files_only=True)
    encoder = kind.from_pretrained(folder / f"text_encoder{suffix}", local_files_only=True).eval()
    length = encoder.config.max_position_embeddings
    ids = tokenizer("", padding="max_length", max_length=length, return_tensors="pt").input_ids
    return encoder(ids, output_hidden_states=True)
