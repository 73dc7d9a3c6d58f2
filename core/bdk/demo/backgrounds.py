"""The eleven backgrounds of the demo world, each in 32 looks (light, horizon, clouds, hills, ...)."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache

from PIL import Image, ImageDraw

from bdk.demo.pen import Colour, shade

LOOKS = 32


class Canvas:
    """A picture in unit coordinates (0..1, y downwards) with the light of one look."""

    def __init__(self, size: int, rng: random.Random) -> None:
        self.size, self.rng = size, rng
        self.light = rng.uniform(0.82, 1.08)
        self.horizon = rng.uniform(0.46, 0.6)
        self.image = Image.new("RGB", (size, size))
        self._draw = ImageDraw.Draw(self.image)

    def _lit(self, colour: Colour) -> Colour:
        return tuple(min(255, int(c * self.light)) for c in colour)  # type: ignore[return-value]

    def fade(self, top: float, bottom: float, first: Colour, last: Colour) -> None:
        """A band from `top` to `bottom` that fades from one colour to another."""
        a, b = self._lit(first), self._lit(last)
        rows = range(int(top * self.size), int(bottom * self.size))
        for step, y in enumerate(rows):
            share = step / max(1, len(rows) - 1)
            self._draw.line(
                [(0, y), (self.size, y)], fill=tuple(int(p + (q - p) * share) for p, q in zip(a, b, strict=True))
            )

    def blob(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """An ellipse around (x, y)."""
        s = self.size
        self._draw.ellipse([(x - rx) * s, (y - ry) * s, (x + rx) * s, (y + ry) * s], fill=self._lit(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A rectangle."""
        s = self.size
        self._draw.rectangle([left * s, top * s, right * s, bottom * s], fill=self._lit(colour))

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * self.size, y * self.size) for x, y in points], fill=self._lit(colour))


def _cloud(c: Canvas, colour: Colour, low: float = 0.3) -> None:
    x, y = c.rng.uniform(0.1, 0.9), c.rng.uniform(0.08, low)
    for dx, dy, r in ((-0.1, 0.02, 0.07), (0.0, 0.0, 0.09), (0.1, 0.02, 0.07)):
        c.blob(x + dx, y + dy, r * 1.2, r * 0.7, colour)


def _meadow(c: Canvas) -> None:
    c.fade(0, c.horizon, (120, 185, 240), (205, 230, 248))
    _cloud(c, (245, 248, 250))
    c.blob(c.rng.random(), c.horizon + 0.1, 0.5, 0.2, (125, 180, 95))
    c.fade(c.horizon, 1, (140, 195, 85), (85, 150, 55))


def _beach(c: Canvas) -> None:
    c.fade(0, 0.4, (110, 190, 240), (190, 228, 245))
    c.blob(c.rng.uniform(0.1, 0.9), 0.14, 0.08, 0.08, (255, 240, 170))
    c.fade(0.4, c.horizon + 0.08, (40, 130, 190), (80, 185, 205))
    c.fade(c.horizon + 0.08, 1, (245, 228, 175), (225, 195, 130))


def _street(c: Canvas) -> None:
    c.fade(0, c.horizon, (175, 190, 205), (215, 222, 228))
    x = c.rng.uniform(-0.15, 0.0)
    while x < 1:
        width, top = c.rng.uniform(0.16, 0.3), c.rng.uniform(0.1, 0.34)
        c.box(x, top, x + width, c.horizon, c.rng.choice([(170, 120, 100), (150, 145, 150), (190, 170, 140)]))
        c.box(x + width * 0.25, top + 0.06, x + width * 0.7, top + 0.12, (225, 220, 180))
        x += width + 0.02
    c.box(0, c.horizon, 1, c.horizon + 0.07, (180, 178, 172))
    c.fade(c.horizon + 0.07, 1, (100, 100, 106), (78, 78, 84))
    for left in (0.05, 0.4, 0.75):
        c.box(left, 0.9, left + 0.2, 0.93, (225, 220, 190))


def _room(c: Canvas) -> None:
    wall = c.rng.choice([(235, 215, 185), (205, 220, 215), (225, 205, 215), (215, 215, 230)])
    c.fade(0, 0.65, wall, shade(wall, 0.94))
    x = c.rng.choice([0.12, 0.62])
    c.box(x, 0.1, x + 0.26, 0.42, (250, 250, 245))
    c.box(x + 0.03, 0.13, x + 0.23, 0.39, (165, 210, 240))
    c.box(0, 0.63, 1, 0.67, (240, 235, 228))
    c.fade(0.67, 1, (180, 130, 85), (150, 100, 62))


def _snow(c: Canvas) -> None:
    c.fade(0, c.horizon, (165, 185, 210), (220, 228, 238))
    for x in (c.rng.uniform(0, 0.3), c.rng.uniform(0.3, 0.6), c.rng.uniform(0.6, 1)):
        c.shape([(x - 0.09, c.horizon + 0.02), (x, c.horizon - 0.26), (x + 0.09, c.horizon + 0.02)], (75, 115, 105))
    c.fade(c.horizon, 1, (246, 249, 252), (212, 222, 236))


def _savanna(c: Canvas) -> None:
    c.fade(0, c.horizon, (245, 175, 95), (252, 225, 160))
    c.blob(c.rng.uniform(0.15, 0.85), c.horizon - 0.1, 0.12, 0.12, (255, 235, 140))
    c.fade(c.horizon, 1, (215, 175, 85), (170, 125, 55))
    x = c.rng.uniform(0.05, 0.95)
    c.box(x - 0.01, c.horizon - 0.14, x + 0.01, c.horizon + 0.01, (95, 70, 45))
    c.blob(x, c.horizon - 0.16, 0.13, 0.045, (110, 120, 50))


def _sky(c: Canvas) -> None:
    c.fade(0, 1, (60, 135, 220), (185, 220, 245))
    for _ in range(3):
        _cloud(c, (246, 249, 252), 0.9)


def _water(c: Canvas) -> None:
    c.fade(0, c.horizon - 0.06, (150, 200, 235), (215, 235, 245))
    c.fade(c.horizon - 0.06, 1, (60, 150, 190), (20, 75, 135))
    for _ in range(6):
        x, y = c.rng.random(), c.rng.uniform(c.horizon, 0.97)
        c.blob(x, y, 0.11, 0.012, (125, 195, 220))


def _night(c: Canvas) -> None:
    c.fade(0, c.horizon, (12, 16, 48), (48, 48, 98))
    c.blob(c.rng.uniform(0.1, 0.9), 0.14, 0.075, 0.075, (240, 238, 210))
    for _ in range(9):
        c.blob(c.rng.random(), c.rng.uniform(0, 0.4), 0.01, 0.01, (230, 230, 245))
    c.fade(c.horizon, 1, (42, 46, 62), (24, 26, 40))


def _mountain(c: Canvas) -> None:
    c.fade(0, 0.62, (140, 180, 225), (225, 232, 240))
    for x in (c.rng.uniform(0, 0.35), c.rng.uniform(0.6, 1)):
        top = c.rng.uniform(0.1, 0.25)
        c.shape([(x - 0.5, 0.66), (x, top), (x + 0.5, 0.66)], (120, 125, 145))
        c.shape([(x - 0.11, top + 0.1), (x, top), (x + 0.11, top + 0.1)], (248, 250, 252))
    c.fade(0.62, 1, (135, 150, 95), (100, 115, 70))


def _table(c: Canvas) -> None:
    wall = c.rng.choice([(120, 145, 150), (150, 120, 120), (125, 140, 115), (165, 155, 140)])
    c.fade(0, c.horizon, wall, shade(wall, 0.85))
    c.fade(c.horizon, 1, (205, 160, 105), (165, 115, 65))
    c.box(0, c.horizon, 1, c.horizon + 0.02, (225, 185, 135))


_PAINTERS: dict[str, Callable[[Canvas], None]] = {
    "meadow": _meadow,
    "beach": _beach,
    "street": _street,
    "room": _room,
    "snow": _snow,
    "savanna": _savanna,
    "sky": _sky,
    "water": _water,
    "night": _night,
    "mountain": _mountain,
    "table": _table,
}
BACKGROUNDS: tuple[str, ...] = tuple(_PAINTERS)


@lru_cache(maxsize=len(_PAINTERS) * LOOKS)
def paint(background: str, look: int, size: int) -> Image.Image:
    """The background, `size` x `size` pixels; do not draw on it, it is cached.

    Args:
        background: one of `BACKGROUNDS`.
        look: 0..31, seeds light, horizon and decoration.
        size: pixels of a side.
    """
    canvas = Canvas(size, random.Random(f"{background}:{look}"))
    _PAINTERS[background](canvas)
    return canvas.image
