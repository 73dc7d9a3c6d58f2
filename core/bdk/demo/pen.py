"""The pen that every demo object is drawn with: shapes in a unit box, on a transparent layer.

Coordinates: x and y run from -1 to 1, y downwards; an object stands on y = 1. All art of the demo world is
drawn by this package, from these four strokes.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

DARK: Colour = (45, 42, 48)
GREY: Colour = (135, 138, 145)
SILVER: Colour = (200, 205, 210)
GLASS: Colour = (175, 215, 235)
WOOD: Colour = (140, 92, 50)
LEAF: Colour = (60, 140, 55)
SKIN: Colour = (235, 190, 150)
WHITE: Colour = (250, 250, 248)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker (factor < 1) or lighter (factor > 1, towards white)."""
    if factor <= 1:
        return blend((0, 0, 0), colour, factor)
    return blend(colour, (255, 255, 255), factor - 1)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two; `share` (0..1) is the second one's."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


class Pen:
    """Draws on a square transparent layer of `pixels` x `pixels`."""

    def __init__(self, pixels: int) -> None:
        self.layer = Image.new("RGBA", (pixels, pixels), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.layer)
        self._half = (pixels - 1) / 2

    def _at(self, x: float, y: float) -> tuple[float, float]:
        # A rim of 4 % stays free for the outline.
        return self._half * (1 + 0.96 * x), self._half * (1 + 0.96 * y)

    def blob(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """An ellipse around (x, y)."""
        self._draw.ellipse([*self._at(x - rx, y - ry), *self._at(x + rx, y + ry)], fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour, round: float = 0.0) -> None:
        """A rectangle, its corners rounded by `round`."""
        corners = [*self._at(left, top), *self._at(right, bottom)]
        self._draw.rounded_rectangle(corners, radius=round * self._half, fill=colour)

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon([self._at(x, y) for x, y in points], fill=colour)

    def stroke(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        """A line through the points, `width` in units of the box."""
        pixels = max(1, round(width * self._half))
        self._draw.line([self._at(x, y) for x, y in points], fill=colour, width=pixels, joint="curve")

    def wheel(self, x: float, y: float, radius: float) -> None:
        """A tyre with a hub."""
        self.blob(x, y, radius, radius, DARK)
        self.blob(x, y, radius * 0.45, radius * 0.45, SILVER)
