"""Scenes of the demo world: drawn by lot from an id alone, rendered from their fields alone.

A scene is one or two objects on a background that suits them. The same id gives the same scene for ever, so a
gallery needs to store ids only.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from bdk.demo.backgrounds import BACKGROUNDS, LOOKS, paint
from bdk.demo.kinds import AIRBORNE, KINDS, TINTS, kinds_at
from bdk.demo.pen import Pen

SIZES: dict[str, float] = {"small": 0.34, "medium": 0.47, "large": 0.62}
"""Side of an object's box, share of the picture."""
POSITIONS: dict[str, float] = {"left": 0.25, "centre": 0.5, "right": 0.75}
"""Middle of an object's box, share of the picture's width."""
_FEET = {"small": 0.76, "medium": 0.84, "large": 0.93}
_SUPERSAMPLE = 4
_HELD_OUT_ONE_IN = 8


class Object(NamedTuple):
    """One object of a scene."""

    kind: str
    tint: str
    size: str
    position: str
    flip: bool


@dataclass(frozen=True)
class Scene:
    """Everything a picture is drawn from.

    Attributes:
        id: number the scene was drawn by lot from.
        background: one of `BACKGROUNDS`.
        look: 0..31, variation of the background.
        objects: one or two, the nearer one last.
        jitter: (x, y) shift of each object, share of the picture.
    """

    id: int
    background: str
    look: int
    objects: tuple[Object, ...]
    jitter: tuple[tuple[float, float], ...]

    @property
    def attributes(self) -> tuple:
        """What the scene shows, without look and jitter: two scenes with equal attributes are alike."""
        return (self.background, tuple(sorted(self.objects)))


def _draw_object(rng: random.Random, kinds: list[str], position: str) -> Object:
    kind = rng.choice(kinds)
    return Object(kind, rng.choice(list(TINTS)), rng.choice(list(SIZES)), position, rng.random() < 0.5)


def draw_scene(id: int, seed: int = 0) -> Scene:
    """The scene of an id.

    Args:
        id: any whole number.
        seed: another seed is another world.
    """
    rng = random.Random(f"{seed}:{id}")
    background = rng.choice(BACKGROUNDS)
    count = 1 if rng.random() < 0.45 else 2
    positions = rng.sample(list(POSITIONS), count)
    kinds = list(kinds_at(background))
    objects = [_draw_object(rng, kinds, position) for position in positions]
    if [o.size for o in objects] == ["large", "large"]:
        objects[0] = objects[0]._replace(size="medium")
    objects.sort(key=lambda o: SIZES[o.size])
    jitter = tuple((rng.uniform(-0.04, 0.04), rng.uniform(-0.03, 0.03)) for _ in objects)
    return Scene(id, background, rng.randrange(LOOKS), tuple(objects), jitter)


def is_held_out(scene: Scene) -> bool:
    """Whether the scene's attributes belong to the eighth of the world that no shipped network was trained on."""
    return zlib.crc32(repr(scene.attributes).encode()) % _HELD_OUT_ONE_IN == 0


def scenes(
    start: int,
    n: int,
    seed: int = 0,
    kinds: frozenset[str] | None = None,
    backgrounds: frozenset[str] | None = None,
    held_out: bool | None = None,
    exclude: frozenset[tuple] = frozenset(),
) -> list[Scene]:
    """The first `n` scenes with ids from `start` on that pass every filter.

    Args:
        start: first id to try.
        n: number of scenes.
        seed: of the world.
        kinds: only scenes whose objects are all of these kinds.
        backgrounds: only these backgrounds.
        held_out: only scenes inside (True) or outside (False) the held-out eighth; None takes both.
        exclude: attributes that no scene may have.
    """
    found: list[Scene] = []
    id = start
    while len(found) < n:
        scene = draw_scene(id, seed)
        id += 1
        fits_kinds = kinds is None or all(o.kind in kinds for o in scene.objects)
        fits_place = backgrounds is None or scene.background in backgrounds
        fits_split = held_out is None or is_held_out(scene) == held_out
        if fits_kinds and fits_place and fits_split and scene.attributes not in exclude:
            found.append(scene)
    return found


@lru_cache(maxsize=4096)
def _sticker(kind: str, tint: str, pixels: int, flip: bool) -> Image.Image:
    """The object on a transparent layer, with a thin dark outline."""
    pen = Pen(pixels)
    KINDS[kind].draw(pen, TINTS[tint])
    layer = pen.layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else pen.layer
    rim = Image.new("RGBA", layer.size, (30, 28, 34, 255))
    rim.putalpha(layer.getchannel("A").filter(ImageFilter.MaxFilter(5)))
    rim.alpha_composite(layer)
    return rim


@lru_cache(maxsize=64)
def _shadow(pixels: int) -> Image.Image:
    y, x = np.mgrid[-1:1:16j, -1 : 1 : complex(0, pixels)]
    alpha = np.clip(1.2 - (x**2 + y**2), 0, 0.5) * 200
    shadow = Image.new("RGBA", (pixels, 16), (0, 0, 0, 0))
    shadow.putalpha(Image.fromarray(alpha.astype(np.uint8)).crop((0, 0, pixels, 16)))
    return shadow.resize((pixels, max(4, pixels // 6)))


def _place(picture: Image.Image, thing: Object, jitter: tuple[float, float], side: int, casts_shadow: bool) -> None:
    pixels = int(SIZES[thing.size] * side)
    middle = int((POSITIONS[thing.position] + jitter[0]) * side)
    feet = int((_FEET[thing.size] + jitter[1]) * side)
    if thing.kind in AIRBORNE:
        feet = int(side * (SIZES[thing.size] + 0.08 + jitter[1] + 0.05))
    elif casts_shadow:
        shadow = _shadow(pixels)
        picture.alpha_composite(
            shadow, (max(0, middle - pixels // 2), min(side - shadow.height, feet - shadow.height // 2))
        )
    sticker = _sticker(thing.kind, thing.tint, pixels, thing.flip)
    left = min(max(0, middle - pixels // 2), side - pixels)
    picture.alpha_composite(sticker, (left, min(feet, side) - pixels))


def render(scene: Scene, size: int = 64) -> np.ndarray:
    """Draw a scene, at four times the size, then down-sampled.

    Args:
        scene: what to draw.
        size: pixels of a side.

    Returns:
        Picture [size, size, 3], uint8.
    """
    side = size * _SUPERSAMPLE
    picture = paint(scene.background, scene.look, side).convert("RGBA")
    for thing, jitter in zip(scene.objects, scene.jitter, strict=True):
        _place(picture, thing, jitter, side, casts_shadow=scene.background != "sky")
    return np.asarray(picture.convert("RGB").reduce(_SUPERSAMPLE))
