"""Drawings of what lives: people, animals, plants. Each takes the pen and the tint of the object."""

from __future__ import annotations

from bdk.demo.pen import DARK, LEAF, SKIN, WHITE, WOOD, Colour, Pen, blend, shade


def person(pen: Pen, tint: Colour) -> None:
    pen.box(-0.26, 0.25, -0.04, 1.0, shade(tint, 0.5))
    pen.box(0.04, 0.25, 0.26, 1.0, shade(tint, 0.5))
    pen.stroke([(-0.3, -0.3), (-0.5, 0.25)], 0.16, SKIN)
    pen.stroke([(0.3, -0.3), (0.5, 0.25)], 0.16, SKIN)
    pen.box(-0.36, -0.42, 0.36, 0.34, tint, 0.12)
    pen.blob(0, -0.7, 0.25, 0.28, SKIN)
    pen.shape([(-0.27, -0.7), (-0.22, -0.98), (0.22, -0.98), (0.27, -0.7), (0, -0.82)], DARK)


def _legs(pen: Pen, places: tuple[float, ...], top: float, width: float, colour: Colour) -> None:
    for x in places:
        pen.box(x - width / 2, top, x + width / 2, 1.0, colour)


def dog(pen: Pen, tint: Colour) -> None:
    _legs(pen, (-0.52, -0.3, 0.24, 0.46), 0.4, 0.15, shade(tint, 0.8))
    pen.stroke([(-0.6, 0.2), (-0.9, -0.35)], 0.13, tint)
    pen.box(-0.68, 0.0, 0.58, 0.6, tint, 0.25)
    pen.blob(0.58, -0.22, 0.34, 0.32, tint)
    pen.box(0.62, -0.2, 0.98, 0.06, shade(tint, 1.25), 0.1)
    pen.blob(0.36, -0.2, 0.13, 0.32, shade(tint, 0.55))
    pen.blob(0.95, -0.14, 0.07, 0.07, DARK)
    pen.blob(0.66, -0.3, 0.06, 0.06, DARK)


def cat(pen: Pen, tint: Colour) -> None:
    pen.stroke([(-0.4, 0.85), (-0.8, 0.6), (-0.75, 0.0)], 0.14, shade(tint, 0.75))
    pen.blob(-0.05, 0.55, 0.46, 0.46, tint)
    pen.shape([(-0.42, -0.2), (-0.4, -0.95), (0.0, -0.5)], tint)
    pen.shape([(0.42, -0.2), (0.44, -0.95), (0.04, -0.5)], tint)
    pen.blob(0.02, -0.22, 0.46, 0.4, tint)
    pen.blob(-0.16, -0.26, 0.1, 0.12, WHITE)
    pen.blob(0.2, -0.26, 0.1, 0.12, WHITE)
    pen.blob(-0.16, -0.26, 0.05, 0.1, DARK)
    pen.blob(0.2, -0.26, 0.05, 0.1, DARK)
    pen.blob(0.02, 0.6, 0.22, 0.34, shade(tint, 1.4))


def bird(pen: Pen, tint: Colour) -> None:
    pen.shape([(-0.5, 0.2), (-1.0, -0.02), (-0.95, 0.42)], shade(tint, 0.7))
    pen.blob(-0.05, 0.2, 0.55, 0.36, tint)
    pen.blob(0.5, -0.16, 0.28, 0.27, tint)
    pen.shape([(0.72, -0.26), (1.0, -0.1), (0.72, 0.0)], (245, 165, 40))
    pen.shape([(0.15, 0.15), (-0.25, -0.85), (-0.5, -0.7), (-0.35, 0.2)], shade(tint, 0.6))
    pen.blob(0.56, -0.2, 0.07, 0.07, DARK)


def horse(pen: Pen, tint: Colour) -> None:
    _legs(pen, (-0.55, -0.36, 0.18, 0.36), 0.3, 0.14, shade(tint, 0.75))
    pen.stroke([(-0.62, 0.05), (-0.88, 0.6)], 0.14, DARK)
    pen.box(-0.7, -0.1, 0.48, 0.48, tint, 0.25)
    pen.shape([(0.1, 0.1), (0.42, -0.85), (0.68, -0.8), (0.5, 0.3)], tint)
    pen.shape([(0.42, -0.9), (0.66, -0.95), (0.98, -0.5), (0.85, -0.38), (0.5, -0.55)], tint)
    pen.stroke([(0.4, -0.9), (0.22, -0.4), (0.05, -0.05)], 0.16, DARK)
    pen.blob(0.68, -0.7, 0.05, 0.05, DARK)


def sheep(pen: Pen, tint: Colour) -> None:
    _legs(pen, (-0.42, -0.2, 0.18, 0.38), 0.45, 0.13, DARK)
    for x, y in ((-0.55, 0.1), (-0.3, -0.2), (0.05, -0.25), (0.35, -0.05), (-0.4, 0.35), (0.0, 0.4), (0.3, 0.35)):
        pen.blob(x, y, 0.32, 0.3, shade(tint, 1.45))
    pen.blob(0.68, -0.1, 0.24, 0.32, DARK)
    pen.blob(0.62, -0.38, 0.24, 0.14, shade(tint, 1.45))
    pen.blob(0.74, -0.12, 0.06, 0.06, WHITE)


def cow(pen: Pen, tint: Colour) -> None:
    _legs(pen, (-0.58, -0.36, 0.2, 0.42), 0.4, 0.16, WHITE)
    pen.box(-0.75, -0.2, 0.52, 0.55, WHITE, 0.18)
    pen.blob(-0.42, 0.08, 0.26, 0.22, tint)
    pen.blob(0.12, 0.24, 0.22, 0.2, tint)
    pen.box(0.44, -0.5, 0.86, 0.1, tint, 0.12)
    pen.box(0.5, -0.12, 0.95, 0.12, (240, 180, 175), 0.1)
    pen.stroke([(0.42, -0.45), (0.34, -0.78)], 0.09, DARK)
    pen.stroke([(0.84, -0.45), (0.92, -0.78)], 0.09, DARK)


def elephant(pen: Pen, tint: Colour) -> None:
    skin = blend(tint, (140, 140, 140), 2 / 3)
    _legs(pen, (-0.62, -0.32, 0.06, 0.32), 0.3, 0.26, shade(skin, 0.8))
    pen.blob(-0.2, 0.05, 0.68, 0.55, skin)
    pen.stroke([(0.72, -0.2), (0.88, 0.3), (0.8, 0.85)], 0.2, skin)
    pen.blob(0.55, -0.32, 0.36, 0.38, skin)
    pen.blob(0.3, -0.3, 0.27, 0.42, shade(skin, 0.75))
    pen.shape([(0.66, 0.0), (0.98, 0.12), (0.7, 0.16)], WHITE)
    pen.blob(0.68, -0.42, 0.05, 0.05, DARK)


def giraffe(pen: Pen, tint: Colour) -> None:
    coat = blend(tint, (245, 205, 110), 2 / 3)
    _legs(pen, (-0.48, -0.3, 0.1, 0.26), 0.4, 0.11, coat)
    pen.box(-0.6, 0.12, 0.36, 0.52, coat, 0.2)
    pen.shape([(0.05, 0.2), (0.4, -0.85), (0.58, -0.8), (0.34, 0.35)], coat)
    pen.box(0.38, -0.98, 0.88, -0.7, coat, 0.12)
    for x, y in ((-0.4, 0.28), (-0.12, 0.22), (0.1, 0.38), (0.24, 0.0), (0.34, -0.32), (0.46, -0.6), (-0.26, 0.44)):
        pen.blob(x, y, 0.08, 0.09, shade(tint, 0.55))


def fish(pen: Pen, tint: Colour) -> None:
    pen.shape([(-0.4, 0.1), (-0.95, -0.35), (-0.85, 0.1), (-0.95, 0.55)], shade(tint, 0.7))
    pen.shape([(-0.2, -0.2), (0.1, -0.65), (0.4, -0.2)], shade(tint, 0.7))
    pen.blob(0.15, 0.1, 0.72, 0.42, tint)
    pen.stroke([(0.05, -0.28), (0.05, 0.48)], 0.12, WHITE)
    pen.blob(0.58, 0.0, 0.12, 0.12, WHITE)
    pen.blob(0.6, 0.0, 0.06, 0.06, DARK)


def tree(pen: Pen, tint: Colour) -> None:
    pen.box(-0.14, 0.2, 0.14, 1.0, WOOD)
    crown = blend(tint, LEAF, 1 / 3)
    for x, y, r in ((-0.38, -0.05, 0.4), (0.38, -0.05, 0.4), (0.0, -0.5, 0.48), (0.0, 0.0, 0.42)):
        pen.blob(x, y, r, r, crown)
    pen.blob(-0.12, -0.6, 0.22, 0.18, shade(crown, 1.3))


def flower(pen: Pen, tint: Colour) -> None:
    pen.stroke([(0, 0), (0, 1.0)], 0.12, LEAF)
    pen.blob(0.28, 0.65, 0.28, 0.13, LEAF)
    pen.blob(-0.28, 0.75, 0.28, 0.13, LEAF)
    for x, y in ((0.0, -0.7), (0.38, -0.42), (0.24, 0.04), (-0.24, 0.04), (-0.38, -0.42)):
        pen.blob(x, y, 0.27, 0.27, tint)
    pen.blob(0, -0.32, 0.22, 0.22, (250, 205, 60))


def potted_plant(pen: Pen, tint: Colour) -> None:
    for tip in ((-0.75, -0.45), (-0.4, -0.9), (0.05, -1.0), (0.45, -0.85), (0.78, -0.4)):
        pen.shape([(-0.12, 0.25), (tip[0], tip[1]), (0.16, 0.25)], LEAF)
    pen.shape([(-0.5, 0.28), (0.5, 0.28), (0.34, 1.0), (-0.34, 1.0)], tint)
    pen.box(-0.58, 0.18, 0.58, 0.38, shade(tint, 0.75))
