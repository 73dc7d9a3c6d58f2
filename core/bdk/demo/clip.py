"""The demo world's CLIP, ready to use: image and text tokens in the manner of Versatile Diffusion, and embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from bdk.demo.clip_net import ClipNet
from bdk.demo.files import read_weights
from bdk.demo.tokenizer import tokenize

_BATCH = 128
_LEAST = 8
"""Pictures encoded at least, the last one repeated: very small batches round differently, and an interrupted search that
goes on, with part of its pictures encoded already, must end with the same tokens."""


def as_pictures(images: np.ndarray | Tensor) -> Float[Tensor, "B 3 H W"]:
    """Pictures in 0..1 with channels first, from uint8 [B, H, W, 3] or from float [B, 3, H, W]."""
    tensor = torch.from_numpy(np.array(images)) if isinstance(images, np.ndarray) else images
    if tensor.dtype == torch.uint8:
        return tensor.permute(0, 3, 1, 2).float() / 255
    return tensor.float()


class TinyClip:
    """A frozen tiny CLIP.

    Every hidden token is projected into the joint space and divided by the length of the pooled token (image: token 0,
    text: the end token), as Versatile Diffusion does with CLIP ViT-L/14.
    """

    def __init__(self, net: ClipNet, device: str = "cpu") -> None:
        self.net = net.to(device).eval()
        self.device = device

    @classmethod
    def load(cls, weights_dir: Path | str | None = None, device: str = "cpu") -> TinyClip:
        """The shipped weights, or those in `weights_dir`."""
        return cls(read_weights("clip", ClipNet(), weights_dir), device)

    @torch.no_grad()
    def image_tokens(self, images: np.ndarray | Tensor) -> Float[Tensor, "B 65 128"]:
        """CLS token, then 64 patch tokens row by row, divided by the CLS token's length."""
        return torch.cat([self._image_batch(part) for part in _parts(images)])

    def _image_batch(self, images: np.ndarray | Tensor) -> Float[Tensor, "B 65 128"]:
        pictures = as_pictures(images).to(self.device)
        if pictures.shape[-1] != 64:
            pictures = F.interpolate(pictures, size=(64, 64), mode="area")
        padded = torch.cat([pictures, pictures[-1:].expand(max(0, _LEAST - len(pictures)), -1, -1, -1)])
        tokens = self.net.image(padded)[: len(pictures)]
        return (tokens / tokens[:, :1].norm(dim=-1, keepdim=True)).cpu()

    @torch.no_grad()
    def text_tokens(self, texts: list[str]) -> Float[Tensor, "B 24 128"]:
        """One token per word position (start, words, end, padding), divided by the end token's length."""
        return self._text(texts)[0]

    @torch.no_grad()
    def text_embedding(self, texts: list[str]) -> Float[Tensor, "B 128"]:
        """The end token, unit length."""
        return self._text(texts)[1]

    def _text(self, texts: list[str]) -> tuple[Float[Tensor, "B 24 128"], Float[Tensor, "B 128"]]:
        distinct = list(dict.fromkeys(texts))
        number = {text: row for row, text in enumerate(distinct)}
        halves = [self._text_batch(distinct[i : i + 4 * _BATCH]) for i in range(0, len(distinct), 4 * _BATCH)]
        rows = torch.tensor([number[text] for text in texts])
        return torch.cat([tokens for tokens, _ in halves])[rows], torch.cat([pooled for _, pooled in halves])[rows]

    @torch.no_grad()
    def text_tokens_of(self, numbers: Int[Tensor, "B 24"]) -> Float[Tensor, "B 24 128"]:
        """Text tokens of texts that are already token numbers."""
        return self._text_numbers(numbers)[0]

    def _text_batch(self, texts: list[str]) -> tuple[Float[Tensor, "B 24 128"], Float[Tensor, "B 128"]]:
        tokens, pooled = self._text_numbers(torch.from_numpy(tokenize(texts)))
        return tokens.cpu(), pooled.cpu()

    def _text_numbers(self, numbers: Int[Tensor, "B 24"]) -> tuple[Float[Tensor, "B 24 128"], Float[Tensor, "B 128"]]:
        tokens, pooled = self.net.text(numbers.to(self.device))
        length = pooled.norm(dim=-1, keepdim=True)
        return tokens / length[:, None], pooled / length

    def image_embedding(self, images: np.ndarray | Tensor) -> Float[Tensor, "B 128"]:
        """The CLS token, unit length."""
        return self.image_tokens(images)[:, 0]


def _parts(images: np.ndarray | Tensor) -> list[np.ndarray | Tensor]:
    return [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
