"""Tiny random weights in the form of the published ones, a tiny gallery, and a small prepared NSD folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tests.tiny_spaces import CONTEXT, SIDE, WIDTH


@dataclass
class World:
    """Where everything lies."""

    data: Path
    versatile: Path
    stable: Path
    gallery: Path
    generators: dict[str, Path]


def make(root: Path) -> World:
    """Write everything and note it in the weights manifest (``BDK_WEIGHTS`` must name a folder for it)."""
    from bdk.weights import Manifest
    from bdk_decoders.convert_vd import convert

    from tests.plugins.decoders import tiny_models

    stable = tiny_models.stable_diffusion(root / "sd14", empty=(CONTEXT, WIDTH))
    versatile = convert(tiny_models.published_vd(root / "published"), root / "versatile")
    Manifest.load().add("tiny-clip", clip(root / "clip"))
    Manifest.load().add("tiny-vae", stable / "vae")
    made = {"gu": generator(root / "icgan.pt", 1), "mind-reader": generator(root / "lafite.pt", 2)}
    return World(prepared(root / "nsd"), versatile, stable, gallery(root / "gallery"), made)


def clip(folder: Path) -> Path:
    """A tiny CLIP in open_clip's folder form."""
    import open_clip
    from safetensors.torch import save_file

    config = {
        "embed_dim": WIDTH,
        "quick_gelu": True,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 14},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 2},
    }
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.05 * torch.randn_like(parameter)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


class Painter(torch.nn.Module):
    """A generator of 8 x 8 pictures: noise, then one or two vectors."""

    def __init__(self, noise: int, vectors: int) -> None:
        super().__init__()
        self.net = torch.nn.Linear(noise + vectors * WIDTH, 3 * 8 * 8)

    def forward(self, *inputs):
        return torch.tanh(self.net(torch.cat(inputs, dim=1))).unflatten(1, (3, 8, 8))


def generator(path: Path, vectors: int) -> Path:
    """One exported as a user would; as much noise as the spec says."""
    noise = {1: 119, 2: 512}[vectors]
    torch.manual_seed(vectors)
    examples = (torch.randn(2, noise), *(torch.randn(2, WIDTH) for _ in range(vectors)))
    torch.jit.trace(Painter(noise, vectors), examples).save(str(path))
    return path


def gallery(root: Path, rows: int = 40) -> Path:
    """Pictures with captions, in the layout of real galleries, under keys of the tiny CLIP."""
    from bdk import registry
    from bdk.galleries.writing import GalleryWriter
    from bdk.targets import backbone
    from PIL import Image

    (root / "pictures").mkdir(parents=True)
    pixels = np.random.default_rng(5).integers(0, 255, (rows, 16, 16, 3), dtype=np.uint8)
    names = [f"pictures/{row:03d}.png" for row in range(rows)]
    for name, picture in zip(names, pixels, strict=True):
        Image.fromarray(picture).save(root / name)
    space = registry.load([str(Path(__file__).with_name("tiny_spaces.py"))]).space("tiny/pooled")
    writer = GalleryWriter(root)
    captions = [f"thing number {row}" for row in range(rows)]
    writer.add({"image": backbone(space).pooled(pixels).numpy()}, {"caption": captions, "path": names})
    writer.close(name="tiny", key_model=space.id, dim=WIDTH, licence="MIT", source="a test", pictures="file")
    return root


def prepared(root: Path) -> Path:
    """A miniature NSD tree in the official formats, prepared by the kit: nsd37, 8,859 + 982 pictures."""
    from bdk.data.nsd.options import Options
    from bdk.data.nsd.prepare import prepare

    from tests.core.data import mini_nsd

    tree = mini_nsd.make(root / "tree", kinds=("hdf5",), sessions=37, side=8)
    prepare(Options(tree.root, 1, root / "prepared", captions=tree.coco))
    return root / "prepared"
