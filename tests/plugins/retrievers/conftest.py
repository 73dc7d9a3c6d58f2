"""A small gallery over pictures in files, spaces whose backbone is arithmetic, and a way to build a retriever."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from bdk import registry as registries
from bdk.contexts import RetrieverContext
from bdk.galleries.writing import GalleryWriter
from bdk.registry import config_class, resolve
from bdk.spaces import Space
from PIL import Image

DIM = 16


class Arithmetic:
    """Tokens from the mean colour of a picture or the length of a caption."""

    def __init__(self, space, *, device="cpu", **options):
        self.space = space

    def embed(self, stimuli):
        sums = [len(s[0]) if isinstance(s, tuple) else float(np.asarray(s, dtype=np.float64).mean()) for s in stimuli]
        ramp = torch.arange(self.space.size, dtype=torch.float32).view(self.space.tokens, self.space.dim) / 10
        return torch.stack([ramp + value / 100 for value in sums])

    def pooled(self, stimuli):
        return torch.nn.functional.normalize(self.embed(stimuli)[:, 0], dim=1)


@pytest.fixture
def spaces(monkeypatch):
    module = types.ModuleType("arithmetic_backbone")
    module.Arithmetic = Arithmetic
    monkeypatch.setitem(sys.modules, "arithmetic_backbone", module)
    monkeypatch.setattr("bdk.targets.backbones._MADE", {})
    target = "arithmetic_backbone:Arithmetic"
    return {
        "image": Space("toy/image", 5, 4, "image", "cls", target, pooled="toy/pooled"),
        "text": Space("toy/text", 3, 4, "text", "pooled", target, pooled="toy/pooled"),
    }


def unit(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def gallery(tmp_path):
    """300 rows in 3 shards; pictures 0..9 exist."""
    root = tmp_path / "gallery"
    writer = GalleryWriter(root)
    for shard in range(3):
        ids = range(shard * 100, shard * 100 + 100)
        captions = [f"caption {id}" if id != 5 else "" for id in ids]
        writer.add(
            {"image": unit(100, shard), "text": unit(100, 10 + shard)},
            {"caption": captions, "path": [f"{id}.png" for id in ids]},
        )
    for id in range(10):
        Image.new("RGB", (20, 20), (20 * id, 0, 0)).save(root / f"{id}.png")
    writer.close(name="toy", key_model="toy/pooled", dim=DIM, pictures="file")
    return root


@pytest.fixture
def context(spaces, tmp_path):
    return RetrieverContext(spaces, DIM, "toy/pooled", tmp_path / "cache")


@pytest.fixture
def build(context):
    """``build(name, context=None, **options)``: a retriever as the registry offers it."""

    def make(name: str, context: RetrieverContext = context, **options):
        info = registries.load().component("retriever", name)
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        return resolve(info.target)(config_class(info).model_validate(plain), context)

    return make


@pytest.fixture
def keys():
    def make(n: int = 12, seed: int = 99) -> torch.Tensor:
        return torch.from_numpy(unit(n, seed))

    return make
