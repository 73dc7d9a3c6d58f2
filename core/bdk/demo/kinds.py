"""The kinds of objects in the demo world: name, super-category, backgrounds that suit it, and its drawing.

Names are COCO's where COCO has the thing. A kind is one row of `_ROWS`; its drawing is in `art_living` or `art_things`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bdk.demo import art_living, art_things
from bdk.demo.pen import Colour, Pen

TINTS: dict[str, Colour] = {
    "red": (214, 48, 42),
    "yellow": (244, 196, 48),
    "green": (70, 165, 74),
    "blue": (52, 108, 212),
    "purple": (146, 70, 176),
    "white": (232, 232, 228),
}


_ROWS = """
person        | person     | meadow beach street room snow mountain night
dog           | animal     | meadow beach street room snow
cat           | animal     | meadow street room night table
bird          | animal     | sky meadow beach water snow
horse         | animal     | meadow savanna mountain beach
sheep         | animal     | meadow mountain snow
cow           | animal     | meadow mountain
elephant      | animal     | savanna water
giraffe       | animal     | savanna
fish          | animal     | water
tree          | plant      | meadow savanna mountain street snow
flower        | plant      | meadow mountain savanna
potted plant  | plant      | room table street
car           | vehicle    | street night beach mountain snow
bus           | vehicle    | street night snow
truck         | vehicle    | street night savanna mountain
train         | vehicle    | meadow mountain snow night
boat          | vehicle    | water beach
airplane      | vehicle    | sky night street
bicycle       | vehicle    | street meadow beach
house         | building   | meadow snow mountain night street
tent          | building   | meadow mountain snow savanna beach
traffic light | street     | street night
stop sign     | street     | street night snow
bench         | street     | meadow street beach snow
fire hydrant  | street     | street night snow
umbrella      | accessory  | beach street sky
backpack      | accessory  | mountain room meadow
suitcase      | accessory  | street room beach
ball          | sports     | meadow beach room street
kite          | sports     | sky meadow beach
surfboard     | sports     | beach water
cup           | kitchen    | table room
bottle        | kitchen    | table beach room
bowl          | kitchen    | table room
vase          | kitchen    | table room
apple         | food       | table meadow
banana        | food       | table beach
cake          | food       | table room
pizza         | food       | table room
chair         | furniture  | room beach meadow
couch         | furniture  | room
bed           | furniture  | room
lamp          | furniture  | room table
tv            | electronic | room table
laptop        | electronic | table room
clock         | electronic | table room street
"""

AIRBORNE = frozenset({"airplane", "kite", "bird"})
"""Kinds that fly: drawn above the horizon, without a shadow."""


@dataclass(frozen=True)
class Kind:
    """One kind of object."""

    name: str
    super: str
    places: tuple[str, ...]
    draw: Callable[[Pen, Colour], None]


def _drawing(name: str) -> Callable[[Pen, Colour], None]:
    function = name.replace(" ", "_")
    return getattr(art_living, function, None) or getattr(art_things, function)


def _read(row: str) -> Kind:
    name, group, places = (cell.strip() for cell in row.split("|"))
    return Kind(name, group, tuple(places.split()), _drawing(name))


KINDS: dict[str, Kind] = {kind.name: kind for kind in map(_read, _ROWS.strip().splitlines())}
SUPER: dict[str, str] = {kind.name: kind.super for kind in KINDS.values()}
"""Super-category of every kind."""


def kinds_at(background: str) -> tuple[str, ...]:
    """Names of the kinds that suit a background, in the table's order."""
    return tuple(kind.name for kind in KINDS.values() if background in kind.places)
