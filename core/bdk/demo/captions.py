"""Captions of a scene from a small grammar: five per scene, from everything it shows to the things alone."""

from __future__ import annotations

import random

from bdk.demo.kinds import SUPER
from bdk.demo.scenes import Object, Scene
from bdk.demo.words import LANGUAGES, Words

CAPTIONS_PER_SCENE = 5
MOST_WORDS = 20
_GROUP_NOUNS = {
    "street": "street fixture",
    "sports": "toy",
    "kitchen": "dish",
    "food": "snack",
    "furniture": "piece of furniture",
    "electronic": "device",
}


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _english(words: Words, thing: Object, size: bool, tint: bool, position: bool) -> str:
    parts = [words.sizes[thing.size]] * size + [words.tints[thing.tint]] * tint + [words.nouns[thing.kind]]
    return " ".join([_article(" ".join(parts))] + [words.positions[thing.position]] * position)


def _trailing(words: Words, thing: Object, size: bool, tint: bool, position: bool) -> str:
    parts = [words.nouns[thing.kind]] + [words.tints[thing.tint]] * tint
    return " ".join(parts + [words.sizes[thing.size]] * size + [words.positions[thing.position]] * position)


def _phrase(language: str, thing: Object, size: bool = False, tint: bool = False, position: bool = False) -> str:
    describe = _english if language == "en" else _trailing
    return describe(LANGUAGES[language], thing, size, tint, position)


def _everything(scene: Scene, language: str) -> str:
    words = LANGUAGES[language]
    crowded = language != "en" and len(scene.objects) > 1
    things = [_phrase(language, o, size=not crowded, tint=True, position=True) for o in _left_to_right(scene)]
    return f" {words.join} ".join(things) + " " + words.backgrounds[scene.background]


def _left_to_right(scene: Scene) -> list[Object]:
    return sorted(scene.objects, key=lambda o: ("left", "centre", "right").index(o.position))


def _picture_of(scene: Scene, language: str) -> str:
    words = LANGUAGES[language]
    things = f" {words.join} ".join(_phrase(language, o, tint=True) for o in scene.objects)
    return f"{words.opening} {things} {words.backgrounds[scene.background]}"


def _where(scene: Scene, language: str) -> str:
    words = LANGUAGES[language]
    things = f" {words.join} ".join(_phrase(language, o, position=True) for o in _left_to_right(scene))
    return f"{words.backgrounds[scene.background]} {things}"


def _side_by_side(scene: Scene, language: str) -> str:
    things = [_phrase(language, o, size=True, tint=True) for o in reversed(scene.objects)]
    return f" {LANGUAGES[language].beside} ".join(things)


def _roughly(scene: Scene, language: str) -> str:
    words = LANGUAGES[language]
    if language != "en":
        return f"{words.nouns[scene.objects[-1].kind]} {words.backgrounds[scene.background]}"
    groups = " and ".join(_article(_GROUP_NOUNS.get(SUPER[o.kind], SUPER[o.kind])) for o in scene.objects)
    return f"{groups} {words.backgrounds[scene.background]}"


_FORMS = (_everything, _picture_of, _where, _side_by_side, _roughly)


def captions(scene: Scene, n: int = 5, language: str = "en") -> tuple[str, ...]:
    """Captions of a scene, the fullest one first.

    Args:
        scene: what to describe.
        n: how many, 1 to 5.
        language: `en`, `de`, `fr` or `es`.

    Returns:
        `n` captions of at most 20 words.

    Raises:
        ValueError: for an unknown language, or more captions than the grammar has.
    """
    if language not in LANGUAGES:
        raise ValueError(f"No captions in language '{language}'. Known: {', '.join(LANGUAGES)}.")
    if not 1 <= n <= CAPTIONS_PER_SCENE:
        raise ValueError(f"A scene has 1 to {CAPTIONS_PER_SCENE} captions, asked for {n}.")
    return tuple(form(scene, language) for form in _FORMS[:n])


def language_of(scene: Scene, shares: dict[str, float]) -> str:
    """The language in which a scene of a mixed gallery is captioned, by lot from its id."""
    return random.Random(f"language:{scene.id}").choices(list(shares), list(shares.values()))[0]
