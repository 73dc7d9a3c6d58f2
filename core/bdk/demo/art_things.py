"""Drawings of what people made: vehicles, street furniture, household things, food."""

from __future__ import annotations

from bdk.demo.pen import DARK, GLASS, GREY, LEAF, SILVER, WHITE, WOOD, Colour, Pen, blend, shade


def car(pen: Pen, tint: Colour) -> None:
    pen.shape([(-0.55, 0.3), (-0.35, -0.2), (0.3, -0.2), (0.6, 0.3)], tint)
    pen.shape([(-0.42, 0.25), (-0.28, -0.08), (-0.05, -0.08), (-0.05, 0.25)], GLASS)
    pen.shape([(0.05, 0.25), (0.05, -0.08), (0.25, -0.08), (0.44, 0.25)], GLASS)
    pen.box(-0.98, 0.25, 0.98, 0.75, tint, 0.15)
    pen.box(0.86, 0.34, 0.98, 0.5, (255, 240, 150))
    pen.wheel(-0.55, 0.75, 0.25)
    pen.wheel(0.55, 0.75, 0.25)


def bus(pen: Pen, tint: Colour) -> None:
    pen.box(-0.98, -0.5, 0.98, 0.75, tint, 0.12)
    for x in (-0.85, -0.42, 0.01):
        pen.box(x, -0.3, x + 0.34, 0.12, GLASS)
    pen.box(0.48, -0.3, 0.88, 0.6, GLASS)
    pen.box(-0.98, 0.28, 0.4, 0.38, WHITE)
    pen.wheel(-0.55, 0.78, 0.22)
    pen.wheel(0.5, 0.78, 0.22)


def truck(pen: Pen, tint: Colour) -> None:
    pen.box(-0.98, -0.6, 0.3, 0.65, SILVER)
    pen.box(-0.98, -0.2, 0.3, 0.2, tint)
    pen.shape([(0.36, 0.7), (0.36, -0.25), (0.75, -0.25), (0.98, 0.2), (0.98, 0.7)], tint)
    pen.shape([(0.46, 0.15), (0.46, -0.12), (0.7, -0.12), (0.84, 0.15)], GLASS)
    pen.wheel(-0.6, 0.76, 0.24)
    pen.wheel(0.62, 0.76, 0.24)


def train(pen: Pen, tint: Colour) -> None:
    pen.box(-0.98, 0.82, 0.98, 0.95, GREY)
    pen.box(-0.9, -0.2, 0.55, 0.62, tint, 0.08)
    pen.box(-0.9, -0.65, -0.25, 0.62, shade(tint, 0.7))
    pen.box(-0.76, -0.45, -0.4, -0.05, GLASS)
    pen.box(0.2, -0.7, 0.42, -0.2, DARK)
    pen.blob(0.31, -0.8, 0.24, 0.16, WHITE)
    pen.shape([(0.55, 0.3), (0.95, 0.72), (0.5, 0.72)], DARK)
    for x in (-0.65, -0.15, 0.35):
        pen.wheel(x, 0.68, 0.22)


def boat(pen: Pen, tint: Colour) -> None:
    pen.box(-0.06, -1.0, 0.04, 0.5, WOOD)
    pen.shape([(0.1, -0.95), (0.8, 0.3), (0.1, 0.3)], WHITE)
    pen.shape([(-0.12, -0.75), (-0.65, 0.3), (-0.12, 0.3)], shade(tint, 1.5))
    pen.shape([(-0.98, 0.42), (0.98, 0.42), (0.62, 0.95), (-0.62, 0.95)], tint)


def airplane(pen: Pen, tint: Colour) -> None:
    pen.shape([(-0.7, 0.05), (-0.98, -0.6), (-0.72, -0.6), (-0.38, 0.05)], tint)
    pen.blob(0.0, 0.1, 0.96, 0.24, WHITE)
    pen.box(-0.7, 0.08, 0.85, 0.2, tint)
    pen.shape([(0.2, 0.15), (-0.5, 0.85), (-0.2, 0.85), (0.5, 0.15)], shade(tint, 0.7))
    pen.shape([(0.15, 0.0), (-0.3, -0.5), (-0.1, -0.5), (0.42, 0.0)], shade(tint, 0.7))
    pen.blob(0.75, 0.02, 0.12, 0.07, DARK)


def bicycle(pen: Pen, tint: Colour) -> None:
    for x in (-0.55, 0.55):
        pen.blob(x, 0.55, 0.43, 0.43, DARK)
        pen.blob(x, 0.55, 0.29, 0.29, SILVER)
    frame = [(-0.55, 0.55), (-0.2, -0.15), (0.4, -0.15), (0.0, 0.55), (-0.55, 0.55)]
    pen.stroke(frame, 0.14, tint)
    pen.stroke([(0.55, 0.55), (0.36, -0.5), (0.65, -0.55)], 0.14, tint)
    pen.stroke([(0.0, 0.55), (-0.26, -0.35)], 0.14, tint)
    pen.box(-0.48, -0.48, -0.05, -0.32, DARK)


def house(pen: Pen, tint: Colour) -> None:
    pen.box(-0.75, -0.15, 0.75, 1.0, (240, 228, 205))
    pen.shape([(-0.98, -0.1), (0.0, -0.98), (0.98, -0.1)], tint)
    pen.box(-0.18, 0.4, 0.18, 1.0, shade(tint, 0.6))
    pen.box(-0.6, 0.1, -0.28, 0.42, GLASS)
    pen.box(0.28, 0.1, 0.6, 0.42, GLASS)


def tent(pen: Pen, tint: Colour) -> None:
    pen.shape([(-0.98, 1.0), (0.0, -0.65), (0.98, 1.0)], tint)
    pen.shape([(-0.05, -0.65), (-0.98, 1.0), (-0.5, 1.0)], shade(tint, 0.7))
    pen.shape([(0.0, -0.2), (0.34, 1.0), (-0.25, 1.0)], DARK)


def traffic_light(pen: Pen, tint: Colour) -> None:
    pen.box(-0.09, 0.2, 0.09, 1.0, GREY)
    pen.box(-0.36, -1.0, 0.36, 0.36, shade(tint, 0.6), 0.1)
    for y, lamp in ((-0.72, (235, 50, 45)), (-0.32, (250, 200, 50)), (0.08, (70, 200, 90))):
        pen.blob(0, y, 0.19, 0.18, lamp)


def stop_sign(pen: Pen, tint: Colour) -> None:
    pen.box(-0.08, 0.1, 0.08, 1.0, GREY)
    corners = [
        (-0.28, -1),
        (0.28, -1),
        (0.68, -0.62),
        (0.68, -0.1),
        (0.28, 0.28),
        (-0.28, 0.28),
        (-0.68, -0.1),
        (-0.68, -0.62),
    ]
    pen.shape(corners, WHITE)
    pen.shape([(x * 0.84, -0.36 + (y + 0.36) * 0.84) for x, y in corners], tint)
    pen.box(-0.42, -0.48, 0.42, -0.24, WHITE)


def bench(pen: Pen, tint: Colour) -> None:
    for x in (-0.75, 0.75):
        pen.box(x - 0.08, -0.3, x + 0.08, 1.0, DARK)
    for y in (-0.35, -0.05, 0.3):
        pen.box(-0.96, y, 0.96, y + 0.2, tint)


def fire_hydrant(pen: Pen, tint: Colour) -> None:
    pen.box(-0.5, 0.82, 0.5, 1.0, shade(tint, 0.6))
    pen.box(-0.34, -0.4, 0.34, 0.85, tint)
    pen.box(-0.65, -0.05, 0.65, 0.25, shade(tint, 0.75))
    pen.blob(0, -0.42, 0.4, 0.34, tint)
    pen.box(-0.46, -0.5, 0.46, -0.34, shade(tint, 0.7))
    pen.box(-0.1, -0.95, 0.1, -0.7, tint)


def umbrella(pen: Pen, tint: Colour) -> None:
    pen.stroke([(0, -0.8), (0, 0.85), (0.18, 0.95), (0.32, 0.8)], 0.09, WOOD)
    pen.shape([(-0.98, 0.0), (-0.75, -0.5), (-0.3, -0.82), (0, -0.9), (0.3, -0.82), (0.75, -0.5), (0.98, 0.0)], tint)
    pen.shape([(-0.33, 0.0), (-0.18, -0.55), (0, -0.9), (0.18, -0.55), (0.33, 0.0)], shade(tint, 1.5))


def backpack(pen: Pen, tint: Colour) -> None:
    pen.stroke([(-0.2, -0.7), (-0.15, -0.95), (0.15, -0.95), (0.2, -0.7)], 0.1, DARK)
    pen.box(-0.6, -0.75, 0.6, 1.0, tint, 0.35)
    pen.box(-0.42, 0.2, 0.42, 0.85, shade(tint, 0.65), 0.12)
    pen.box(-0.45, -0.2, 0.45, -0.08, shade(tint, 0.5))


def suitcase(pen: Pen, tint: Colour) -> None:
    pen.stroke([(-0.28, -0.3), (-0.28, -0.7), (0.28, -0.7), (0.28, -0.3)], 0.12, DARK)
    pen.box(-0.92, -0.4, 0.92, 0.95, tint, 0.12)
    pen.box(-0.62, -0.4, -0.42, 0.95, shade(tint, 0.55))
    pen.box(0.42, -0.4, 0.62, 0.95, shade(tint, 0.55))


def ball(pen: Pen, tint: Colour) -> None:
    pen.blob(0, 0.25, 0.74, 0.74, tint)
    pen.shape([(-0.2, -0.48), (0.2, -0.48), (0.3, 0.25), (0.2, 0.98), (-0.2, 0.98), (-0.3, 0.25)], WHITE)
    pen.blob(-0.42, -0.05, 0.14, 0.16, shade(tint, 1.5))


def kite(pen: Pen, tint: Colour) -> None:
    pen.stroke([(0, 0.35), (-0.25, 0.6), (0.05, 0.8), (-0.2, 1.0)], 0.08, DARK)
    pen.shape([(0, -1.0), (0.68, -0.35), (0, 0.5), (-0.68, -0.35)], tint)
    pen.shape([(0, -1.0), (0.68, -0.35), (0, -0.35)], shade(tint, 1.5))
    pen.shape([(0, 0.5), (-0.68, -0.35), (0, -0.35)], shade(tint, 0.65))


def surfboard(pen: Pen, tint: Colour) -> None:
    pen.blob(0, 0.0, 0.34, 0.98, tint)
    pen.box(-0.06, -0.9, 0.06, 0.9, WHITE)
    pen.shape([(0.1, 0.6), (0.42, 0.98), (0.1, 0.95)], DARK)


def cup(pen: Pen, tint: Colour) -> None:
    pen.blob(0.58, 0.25, 0.36, 0.4, tint)
    pen.blob(0.58, 0.25, 0.2, 0.23, shade(tint, 0.45))
    pen.box(-0.7, -0.4, 0.5, 1.0, tint, 0.14)
    pen.blob(-0.1, -0.4, 0.6, 0.2, shade(tint, 1.5))
    pen.blob(-0.1, -0.4, 0.46, 0.13, (95, 60, 35))


def bottle(pen: Pen, tint: Colour) -> None:
    pen.box(-0.14, -1.0, 0.14, -0.2, shade(tint, 0.75))
    pen.box(-0.18, -1.0, 0.18, -0.82, DARK)
    pen.box(-0.38, -0.35, 0.38, 1.0, tint, 0.2)
    pen.box(-0.38, 0.1, 0.38, 0.6, WHITE)


def bowl(pen: Pen, tint: Colour) -> None:
    for x, y in ((-0.35, 0.05), (0.05, -0.08), (0.4, 0.06)):
        pen.blob(x, y, 0.3, 0.28, (235, 120, 60))
    pen.shape([(-0.98, 0.15), (0.98, 0.15), (0.75, 0.65), (0.35, 0.98), (-0.35, 0.98), (-0.75, 0.65)], tint)
    pen.box(-0.98, 0.12, 0.98, 0.28, shade(tint, 1.5))


def vase(pen: Pen, tint: Colour) -> None:
    for x in (-0.35, 0.0, 0.35):
        pen.stroke([(0, 0.0), (x, -0.65)], 0.08, LEAF)
        pen.blob(x, -0.74, 0.2, 0.2, (240, 140, 180))
    pen.blob(0, 0.5, 0.5, 0.5, tint)
    pen.shape([(-0.3, -0.15), (0.3, -0.15), (0.2, 0.2), (-0.2, 0.2)], tint)
    pen.box(-0.44, 0.42, 0.44, 0.56, shade(tint, 0.6))


def apple(pen: Pen, tint: Colour) -> None:
    pen.stroke([(0, -0.2), (0.08, -0.8)], 0.1, WOOD)
    pen.blob(0.36, -0.66, 0.28, 0.14, LEAF)
    pen.blob(-0.28, 0.3, 0.5, 0.64, tint)
    pen.blob(0.28, 0.3, 0.5, 0.64, tint)
    pen.blob(-0.4, 0.05, 0.13, 0.2, shade(tint, 1.5))


def banana(pen: Pen, tint: Colour) -> None:
    peel = blend(tint, (250, 215, 60), 2 / 3)
    outer = [(-0.95, -0.35), (-0.8, 0.35), (-0.35, 0.8), (0.25, 0.85), (0.75, 0.5), (0.98, -0.1)]
    inner = [(0.82, -0.15), (0.45, 0.2), (0.0, 0.3), (-0.45, 0.1), (-0.75, -0.4)]
    pen.shape(outer + inner, peel)
    pen.shape([(-0.98, -0.5), (-0.7, -0.5), (-0.72, -0.25), (-0.95, -0.2)], WOOD)
    pen.stroke([(-0.85, -0.1), (-0.45, 0.5), (0.25, 0.6), (0.88, 0.0)], 0.07, shade(tint, 0.6))


def cake(pen: Pen, tint: Colour) -> None:
    pen.box(-0.96, 0.85, 0.96, 1.0, SILVER)
    pen.box(-0.75, 0.0, 0.75, 0.85, tint)
    pen.box(-0.75, -0.12, 0.75, 0.2, WHITE, 0.1)
    pen.box(-0.75, 0.48, 0.75, 0.6, WHITE)
    for x in (-0.45, 0.0, 0.45):
        pen.box(x - 0.06, -0.5, x + 0.06, -0.1, (120, 190, 235))
        pen.blob(x, -0.64, 0.1, 0.16, (255, 190, 50))


def pizza(pen: Pen, tint: Colour) -> None:
    pen.blob(0, 0.3, 0.98, 0.66, (205, 145, 75))
    pen.blob(0, 0.28, 0.82, 0.53, (250, 215, 110))
    for x, y in ((-0.45, 0.2), (0.05, 0.02), (0.48, 0.22), (-0.12, 0.5), (0.3, 0.58)):
        pen.blob(x, y, 0.17, 0.13, tint)


def chair(pen: Pen, tint: Colour) -> None:
    pen.box(-0.62, -1.0, -0.4, 1.0, shade(tint, 0.6))
    pen.box(0.42, 0.2, 0.6, 1.0, shade(tint, 0.6))
    pen.box(-0.6, -0.95, -0.25, 0.1, tint, 0.1)
    pen.box(-0.65, 0.08, 0.68, 0.34, tint, 0.08)


def couch(pen: Pen, tint: Colour) -> None:
    pen.box(-0.75, -0.35, 0.75, 0.5, shade(tint, 0.8), 0.15)
    pen.box(-0.7, 0.25, 0.7, 0.75, shade(tint, 1.2), 0.1)
    pen.box(-0.98, -0.02, -0.62, 0.82, tint, 0.15)
    pen.box(0.62, -0.02, 0.98, 0.82, tint, 0.15)
    pen.box(-0.85, 0.8, -0.7, 1.0, WOOD)
    pen.box(0.7, 0.8, 0.85, 1.0, WOOD)


def bed(pen: Pen, tint: Colour) -> None:
    pen.box(-0.98, -0.55, -0.82, 1.0, WOOD)
    pen.box(0.84, 0.1, 0.98, 1.0, WOOD)
    pen.box(-0.85, 0.3, 0.9, 0.78, WHITE)
    pen.box(-0.3, 0.12, 0.9, 0.72, tint, 0.1)
    pen.blob(-0.56, 0.15, 0.27, 0.2, SILVER)


def lamp(pen: Pen, tint: Colour) -> None:
    pen.box(-0.07, -0.2, 0.07, 0.95, DARK)
    pen.blob(0, 0.92, 0.42, 0.1, DARK)
    pen.shape([(-0.34, -0.95), (0.34, -0.95), (0.68, -0.05), (-0.68, -0.05)], tint)
    pen.shape([(-0.14, -0.95), (0.1, -0.95), (0.14, -0.05), (-0.24, -0.05)], shade(tint, 1.6))


def tv(pen: Pen, tint: Colour) -> None:
    pen.box(-0.4, 0.8, 0.4, 1.0, DARK)
    pen.box(-0.98, -0.5, 0.98, 0.82, DARK, 0.08)
    pen.box(-0.84, -0.36, 0.84, 0.68, tint)
    pen.shape([(-0.84, 0.68), (-0.3, 0.0), (0.1, 0.4), (0.4, 0.15), (0.84, 0.68)], shade(tint, 0.6))


def laptop(pen: Pen, tint: Colour) -> None:
    pen.box(-0.72, -0.5, 0.72, 0.6, DARK, 0.06)
    pen.box(-0.6, -0.38, 0.6, 0.48, tint)
    pen.shape([(-0.72, 0.6), (0.72, 0.6), (0.98, 0.95), (-0.98, 0.95)], SILVER)
    pen.shape([(-0.6, 0.66), (0.6, 0.66), (0.7, 0.8), (-0.7, 0.8)], GREY)


def clock(pen: Pen, tint: Colour) -> None:
    pen.blob(0, 0.1, 0.86, 0.86, tint)
    pen.blob(0, 0.1, 0.66, 0.66, WHITE)
    pen.stroke([(0, -0.42), (0, 0.1), (0.38, 0.3)], 0.12, DARK)
    pen.blob(0, 0.1, 0.1, 0.1, DARK)
