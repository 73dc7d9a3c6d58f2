"""CLIP towers through open_clip: hidden tokens and pooled vectors, as the published decoders want them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from bdk.errors import PlanError, WeightsMissingError
from bdk.spaces import Space
from bdk.targets.backbones import Stimuli, as_captions, as_pixels, backbone, mean_over_captions
from bdk.weights import Manifest

Form = Literal["image_tokens", "image_pooled", "image_embed", "text_tokens", "text_pooled", "text_states"]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BATCH = 32


class ClipBackbone:
    """One output of one CLIP model.

    Forms, with I = ``ln_post(hidden) @ proj`` over the image tokens, and X = ``ln_final(hidden)`` over the text tokens:
    ``image_tokens``: I divided by the length of I[0] (Versatile Diffusion); ``image_pooled``: I[0], unit length;
    ``image_embed``: I[0] as it is (IP-Adapter, unCLIP); ``text_tokens``: X @ proj divided by the length of its
    end-of-text row (Versatile Diffusion); ``text_pooled``: that row, unit length; ``text_states``: X (Stable
    Diffusion 1.x, ``clip_skip`` 0). Text is averaged over a stimulus's captions after normalisation.

    Pictures are resized with antialiasing to the model's side (bicubic, shorter side) and centre-cropped. MindEye
    resized tensors without antialiasing, a difference of the library version it ran on, not a choice of the paper.

    Args:
        space: gives tokens and dim, which the model must match.
        model: open_clip's name of the architecture.
        weights: name in the weights manifest.
        form: see above.
        quick_gelu: use the activation that OpenAI's weights were trained with.
        path: safetensors file, or a folder with ``open_clip_config.json`` and ``open_clip_model.safetensors``; empty to
            look the weights up by name.
        device: where to compute.
    """

    def __init__(
        self,
        space: Space,
        *,
        model: str,
        weights: str,
        form: Form,
        quick_gelu: bool = False,
        path: str = "",
        device: str = "cpu",
    ) -> None:
        self.space, self.form, self.device = space, form, device
        file = Path(path) if path else Manifest.load().entry(weights).path
        self.clip, self.tokenize = load_clip(model, str(file), quick_gelu, device)
        self.side = _side(self.clip)

    def embed(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        if self.form.startswith("text"):
            return mean_over_captions(as_captions(stimuli), self.texts)
        tokens = self._image(stimuli)
        if self.form == "image_tokens":
            return tokens / tokens[:, :1].norm(dim=-1, keepdim=True)
        return tokens[:, :1] if self.form == "image_embed" else F.normalize(tokens[:, :1], dim=-1)

    def pooled(self, stimuli: Stimuli) -> Float[Tensor, "B P"]:
        if self.form.startswith("text"):
            ends = mean_over_captions(as_captions(stimuli), lambda texts: F.normalize(self._states(texts)[1], dim=-1))
            return F.normalize(ends, dim=-1)
        return F.normalize(self._image(stimuli)[:, 0], dim=-1)

    @torch.no_grad()
    def _image(self, stimuli: Stimuli) -> Float[Tensor, "B T D"]:
        """Projected hidden tokens of pictures, CLS first."""
        parts = []
        for pixels in as_pixels(stimuli, "cpu").split(BATCH):
            hidden = self.clip.visual.forward_intermediates(
                self._prepared(pixels), indices=1, output_fmt="NLC", output_extra_tokens=True, intermediates_only=True
            )
            tokens = torch.cat([hidden["image_intermediates_prefix"][-1], hidden["image_intermediates"][-1]], dim=1)
            parts.append((self.clip.visual.ln_post(tokens) @ self.clip.visual.proj).float().cpu())
        return torch.cat(parts)

    def _prepared(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 S S"]:
        return normalise_pixels(resize_and_crop(pixels.to(self.device), self.side))

    def texts(self, texts: list[str]) -> Float[Tensor, "N T D"]:
        """Tokens of texts as they are, empty ones too; not averaged."""
        states, ends = self._states(texts)
        if self.form == "text_states":
            return states
        if self.form == "text_pooled":
            return F.normalize(ends, dim=-1)[:, None]
        tokens = states @ self.clip.text_projection.float().cpu()
        return tokens / ends.norm(dim=-1, keepdim=True)[:, None]

    @torch.no_grad()
    def _states(self, texts: list[str]) -> tuple[Float[Tensor, "N T W"], Float[Tensor, "N D"]]:
        """Final hidden states of texts, and the projected end-of-text row of each."""
        states, ends = [], []
        for start in range(0, len(texts), BATCH):
            ids: Int[Tensor, "N T"] = self.tokenize(texts[start : start + BATCH]).to(self.device)
            out = self.clip.forward_intermediates(
                text=ids, text_indices=1, normalize=False, normalize_intermediates=True
            )
            states.append(out["text_intermediates"][-1].float().cpu())
            ends.append(out["text_features"].float().cpu())
        return torch.cat(states), torch.cat(ends)


@cache
def load_clip(model: str, path: str, quick_gelu: bool, device: str):
    """A frozen open_clip model from local files, and its tokenizer; loaded once per process.

    Raises:
        WeightsMissingError: the files are not there, or are not safetensors.
    """
    import open_clip

    file = Path(path)
    if file.is_dir() and (file / "open_clip_config.json").is_file():
        name, pretrained = f"local-dir:{path}", None
    elif file.is_dir():
        name, pretrained = model, str(_only_safetensors(file))
    else:
        name, pretrained = model, path
        _refuse_pickle(file)
    clip = open_clip.create_model(
        name, pretrained=pretrained, device=device, force_quick_gelu=quick_gelu, require_pretrained=True
    )
    return clip.eval().requires_grad_(False), open_clip.get_tokenizer(name)


def resize_and_crop(pixels: Float[Tensor, "B 3 H W"], side: int) -> Float[Tensor, "B 3 S S"]:
    """Bicubic with antialiasing to a shorter side, then the middle square; values stay in 0..1."""
    height, width = pixels.shape[-2:]
    if (height, width) == (side, side):
        return pixels
    scale = side / min(height, width)
    size = (max(side, round(height * scale)), max(side, round(width * scale)))
    resized = F.interpolate(pixels, size=size, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return resized[..., top : top + side, left : left + side]


def normalise_pixels(pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """Subtract CLIP's channel means and divide by its channel deviations."""
    mean = torch.tensor(CLIP_MEAN, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(CLIP_STD, device=pixels.device).view(3, 1, 1)
    return (pixels - mean) / std


def _side(clip: Any) -> int:
    size = clip.visual.image_size
    return size[0] if isinstance(size, tuple | list) else int(size)


def _only_safetensors(folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise WeightsMissingError(
            f"{len(found)} safetensors files are here; one is expected.",
            where=str(folder),
            mend="Put open_clip's open_clip_model.safetensors of the model into that folder.",
        )
    return found[0]


def _refuse_pickle(file: Path) -> None:
    if not file.is_file() or file.suffix != ".safetensors":
        raise WeightsMissingError(
            f"CLIP weights are read from safetensors only, and {file.name!r} is none or is not there.",
            where=str(file),
            mend="open_clip's releases hold an open_clip_model.safetensors; use that file.",
        )


def encode_texts(space: Space, texts: list[str]) -> Float[Tensor, "N T D"]:
    """Texts in a space of a CLIP text tower, one by one; unlike captions of stimuli they may be empty.

    Raises:
        PlanError: the space is none of a CLIP text tower.
    """
    maker = backbone(space)
    if not isinstance(maker, ClipBackbone) or not maker.form.startswith("text"):
        raise PlanError(f"Texts cannot be encoded in space {space}.", mend="Choose a space of a CLIP text tower.")
    return maker.texts(texts)
