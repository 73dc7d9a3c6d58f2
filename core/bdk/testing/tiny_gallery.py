"""A gallery of two hundred items, whose nearest neighbours and tokens are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from bdk.galleries.gallery import Gallery
from bdk.galleries.pictures import decode_picture
from bdk.galleries.writing import GalleryWriter
from bdk.spaces import Space
from bdk.testing.cases import SPACES, numbers
from bdk.testing.codes import Codes

ROWS, KEYS, DIM = 200, 12, 16
LOST = 7
"""The item whose picture cannot be had."""
KEY_MODEL = "check/pooled"
_BACKBONE = "bdk.testing.codes:Codes"


@dataclass(frozen=True)
class TinyGallery:
    """The gallery, the keys to search it with, and what should be found.

    Args:
        root: its folder.
    """

    root: Path

    @property
    def spaces(self) -> dict[str, Space]:
        """The space of each guide that can be fetched."""
        image, text = SPACES[:2]
        return {"image": replace(image, backbone=_BACKBONE), "text": replace(text, backbone=_BACKBONE)}

    @cached_property
    def rows(self) -> Tensor:
        """Embeddings as stored, of unit length, in double precision."""
        stored = Gallery(self.root).embeddings("image").take(np.arange(ROWS))
        return F.normalize(torch.from_numpy(np.array(stored)).double(), dim=1)

    @property
    def keys(self) -> Tensor:
        """Keys of unit length; the first is an item's own embedding."""
        keys = numbers(KEYS, DIM, seed=61)
        keys[0] = self.rows[5].float()
        return F.normalize(keys, dim=1)

    def exact(self, keys: Tensor, k: int, exclude: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Ids and cosines of the k nearest items."""
        scores = F.normalize(keys.double(), dim=1) @ self.rows.T
        if exclude is not None:
            for row, gone in enumerate(exclude):
                scores[row, gone[gone >= 0]] = -torch.inf
        best = scores.topk(k, dim=1)
        return best.indices, best.values.float()

    def tokens(self, id: int, guide: str) -> Tensor:
        """The tokens that `fetch` must give for an item; NaN where its picture cannot be had."""
        space = self.spaces[guide]
        if guide == "text":
            return Codes(space).embed([(caption(id),)])[0]
        if id == LOST:
            return torch.full((space.tokens, space.dim), torch.nan)
        pixels = decode_picture((self.root / picture_path(id)).read_bytes(), 1_000_000)
        assert isinstance(pixels, np.ndarray)
        return Codes(space).embed(pixels[None])[0]


def caption(id: int) -> str:
    """Every item's own."""
    return f"item number {id}"


def picture_path(id: int) -> str:
    """Relative to the gallery."""
    return f"pictures/{id:03d}.png"


def write_tiny_gallery(root: Path) -> TinyGallery:
    """Write the gallery into a folder, in the project's own layout."""
    (root / "pictures").mkdir(parents=True)
    draw = np.random.default_rng(62)
    for id in range(ROWS):
        if id != LOST:
            Image.fromarray(draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(root / picture_path(id))
    image, text = (F.normalize(numbers(ROWS, DIM, seed=seed), dim=1).numpy() for seed in (63, 64))
    captions, paths = [caption(id) for id in range(ROWS)], [picture_path(id) for id in range(ROWS)]
    writer = GalleryWriter(root)
    for part in (slice(0, 120), slice(120, ROWS)):  # two shards, as large galleries have
        writer.add({"image": image[part], "text": text[part]}, {"caption": captions[part], "path": paths[part]})
    writer.close(
        name="check", key_model=KEY_MODEL, dim=DIM, licence="MIT", source="the conformance kit", pictures="file"
    )
    return TinyGallery(root)
