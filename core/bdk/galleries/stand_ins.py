"""The demo world's galleries: built once, in the same layout as real ones, and labelled as the stand-ins they are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import filelock
import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.canonical import digest
from bdk.errors import RetrieverUnavailableError
from bdk.galleries.items import Items, backbone_identity
from bdk.galleries.manifest import MANIFEST, Manifest
from bdk.galleries.pictures import Missing, Row, ScenePictures
from bdk.galleries.token_cache import TokenCache
from bdk.galleries.writing import GalleryWriter
from bdk.spaces import Space

SIZES = {"laion2b": 12_000, "laion400m": 3_000}
"""Rows of each stand-in unless `retriever.n` says otherwise."""
STAMP = "stand-in drawn by the demo world, not LAION"
KEY_MODEL = "demo-clip/pooled"
_SHARD = 1024
_VERSION = 1
Recipe = dict[str, str | int | float | bool]


def stand_in(
    name: str, n: int | None, world: Mapping[str, object], cache: Path, tokens: TokenCache | None = None
) -> Path:
    """The folder of a stand-in gallery, built if it is not there.

    Args:
        name: ``laion2b`` or ``laion400m``.
        n: rows; none takes `SIZES`.
        world: the data set's world: ``name``, ``seed`` and, if not 64, ``size`` (pixels).
        cache: folder under which galleries are kept, by content.
        tokens: where the image tokens go that embedding the pictures yields anyway; none drops them.

    Raises:
        RetrieverUnavailableError: the world has no such gallery.
    """
    if world.get("name") != "demo" or name not in SIZES:
        raise RetrieverUnavailableError(
            f"World {world.get('name')!r} has no stand-in for the gallery {name!r}.",
            where="retriever.use",
            mend=f"Set retriever.root to a real gallery. The demo world stands in for: {', '.join(SIZES)}.",
        )
    from bdk.registry import load

    spaces = load().spaces
    recipe: Recipe = {
        "world": "demo",
        "gallery": name,
        "rows": n or SIZES[name],
        "seed": int(str(world.get("seed", 0))),
        "size": int(str(world.get("size", 64))),
        "version": _VERSION,
        "network": backbone_identity(spaces["demo-clip/image"]),
    }
    folder = cache / "galleries" / f"{name}-{digest(recipe)[:16]}"
    if not (folder / MANIFEST).is_file():
        _build(folder, name, recipe, spaces, tokens)
    return folder


def _build(folder: Path, name: str, recipe: Recipe, spaces: Mapping[str, Space], tokens: TokenCache | None) -> None:
    """Build aside and rename, one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if (folder / MANIFEST).is_file():
            return
        aside = folder.with_name(folder.name + ".new")
        shutil.rmtree(aside, ignore_errors=True)
        write_stand_in(aside, name, recipe, spaces, tokens)
        aside.replace(folder)


def write_stand_in(
    root: Path, name: str, recipe: Recipe, spaces: Mapping[str, Space], tokens: TokenCache | None = None
) -> Manifest:
    """Draw, caption and embed the scenes of a stand-in, shard by shard."""
    from bdk.demo.galleries import gallery_scenes

    scenes = gallery_scenes(name, int(recipe["rows"]), int(recipe["seed"]))
    writer, pictures = GalleryWriter(root), ScenePictures(int(recipe["seed"]), int(recipe["size"]))
    items = Items({"image": spaces["demo-clip/image"]}, pictures, tokens or TokenCache(root, 0))
    languages: set[str] = set()
    for start in range(0, len(scenes), _SHARD):
        metadata = _describe(name, scenes[start : start + _SHARD])
        languages |= set(metadata["language"])
        rows: list[Row] = [{"scene": id} for id in metadata["scene"]]
        seen = _see(rows, pictures, spaces["demo-clip/image"])
        items.keep("image", rows, seen)
        writer.add(
            {"image": F.normalize(seen[:, 0], dim=1).numpy(), "text": _read(metadata["caption"], spaces)}, metadata
        )
    return writer.close(
        name=name,
        key_model=KEY_MODEL,
        dim=spaces["demo-clip/image"].dim,
        clip_model="tiny CLIP",
        clip_pretrained=str(recipe["network"]),
        languages=tuple(sorted(languages)),
        licence="MIT",
        source="scenes drawn by the demo world",
        stand_in=True,
        stamp=STAMP,
        pictures="scene",
        recipe=recipe,
    )


def _describe(name: str, scenes: list) -> dict[str, list]:
    from bdk.demo.galleries import gallery_caption

    captions = [gallery_caption(name, scene) for scene in scenes]
    return {
        "scene": [scene.id for scene in scenes],
        "caption": [caption for caption, _ in captions],
        "language": [language for _, language in captions],
        "licence": ["MIT"] * len(scenes),
    }


def _see(rows: list[Row], pictures: ScenePictures, space: Space) -> Float[Tensor, "B T D"]:
    """Image tokens of every row; token 0 is the pooled embedding."""
    from bdk.targets import backbone

    drawn = [picture for row in rows if not isinstance(picture := pictures.load(row), Missing)]
    return backbone(space).embed(np.stack(drawn))


def _read(captions: list[str], spaces: Mapping[str, Space]) -> np.ndarray:
    """Caption embeddings, unit length."""
    from bdk.targets import backbone

    return backbone(spaces["demo-clip/text"]).pooled([(caption,) for caption in captions]).numpy()
