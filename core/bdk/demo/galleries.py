"""Stand-ins for LAION: galleries of demo scenes with one web-like caption each. No gallery holds a stimulus.

A row is re-made from its scene id alone: `draw_scene(id)`, rendered, encoded; the small twin of index, url, image.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bdk.demo.backgrounds import BACKGROUNDS
from bdk.demo.captions import captions, language_of
from bdk.demo.kinds import KINDS
from bdk.demo.scenes import Scene, scenes
from bdk.demo.stimuli import all_attributes


@dataclass(frozen=True)
class GalleryPlan:
    """What a stand-in gallery is drawn from.

    Attributes:
        first_id: where its scene ids begin.
        size: scenes of the whole gallery.
        languages: share of each caption language.
        without_kinds: kinds it lacks.
        without_backgrounds: backgrounds it lacks.
    """

    first_id: int
    size: int
    languages: dict[str, float]
    without_kinds: frozenset[str] = frozenset()
    without_backgrounds: frozenset[str] = frozenset()


GALLERIES: dict[str, GalleryPlan] = {
    "laion400m": GalleryPlan(
        30_000_000,
        3_000,
        {"en": 0.55, "de": 0.15, "fr": 0.15, "es": 0.15},
        frozenset({"giraffe", "kite", "surfboard", "fire hydrant", "cake", "laptop"}),
        frozenset({"savanna", "night"}),
    ),
    "laion2b": GalleryPlan(40_000_000, 12_000, {"en": 1.0}),
}
_FORM_SHARES = (0.45, 0.2, 0.15, 0.15, 0.05)


@dataclass(frozen=True)
class Gallery:
    """Rows of a gallery, in order of their scene ids."""

    name: str
    scenes: list[Scene]
    captions: list[str]
    languages: list[str]


def _plan(name: str) -> GalleryPlan:
    if name not in GALLERIES:
        raise ValueError(f"No gallery '{name}' in the demo world. Known: {', '.join(GALLERIES)}.")
    return GALLERIES[name]


def gallery_scenes(name: str, n: int | None = None, seed: int = 0) -> list[Scene]:
    """Scenes of a gallery, none of which shows what a stimulus shows.

    Args:
        name: `laion400m` or `laion2b`.
        n: take the first `n` only; None takes the whole gallery.
        seed: of the world.
    """
    plan = _plan(name)
    return scenes(
        plan.first_id,
        plan.size if n is None else n,
        seed,
        kinds=frozenset(KINDS) - plan.without_kinds,
        backgrounds=frozenset(BACKGROUNDS) - plan.without_backgrounds,
        exclude=all_attributes(seed),
    )


def gallery_caption(name: str, scene: Scene) -> tuple[str, str]:
    """Caption and language of one gallery scene, by lot from its id; seldom as full as a stimulus's first caption."""
    language = language_of(scene, _plan(name).languages)
    form = random.Random(f"form:{scene.id}").choices(range(5), _FORM_SHARES)[0]
    return captions(scene, 5, language)[form], language


def gallery(name: str, n: int | None = None, seed: int = 0) -> Gallery:
    """Scenes, captions and languages of a gallery; arguments as in `gallery_scenes`."""
    members = gallery_scenes(name, n, seed)
    texts = [gallery_caption(name, scene) for scene in members]
    return Gallery(name, members, [text for text, _ in texts], [language for _, language in texts])
