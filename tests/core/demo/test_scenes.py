"""Scenes, captions, stimuli and galleries: drawn by lot from ids, the same for ever, kept apart."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from bdk.demo.backgrounds import BACKGROUNDS
from bdk.demo.captions import MOST_WORDS, captions
from bdk.demo.galleries import GALLERIES, gallery, gallery_scenes
from bdk.demo.kinds import KINDS, SUPER, TINTS, kinds_at
from bdk.demo.scenes import Object, Scene, draw_scene, is_held_out, render, scenes
from bdk.demo.stimuli import SUBJECTS, all_attributes, shared_test, stimuli, training
from bdk.demo.tokenizer import UNKNOWN, tokenize
from bdk.demo.words import LANGUAGES


def test_the_world_has_enough_kinds_and_backgrounds():
    assert len(KINDS) >= 36
    assert len(set(SUPER.values())) >= 10
    assert len(BACKGROUNDS) == 11
    assert all(len(kinds_at(background)) >= 3 for background in BACKGROUNDS)


def test_an_id_always_gives_the_same_scene_and_the_same_picture():
    assert draw_scene(77) == draw_scene(77)
    assert draw_scene(77) != draw_scene(78)
    assert np.array_equal(render(draw_scene(77)), render(draw_scene(77)))


def test_a_picture_has_the_size_asked_for():
    for size in (32, 64, 128):
        picture = render(draw_scene(5), size)
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.uint8


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_shows_on_its_background_and_its_tint_matters(kind):
    place = KINDS[kind].places[0]
    pictures = [
        render(Scene(0, place, 3, (Object(kind, tint, "large", "centre", False),), ((0.0, 0.0),))).astype(int)
        for tint in TINTS
    ]
    bare = render(Scene(0, place, 3, (), ())).astype(int)
    assert (np.abs(pictures[0] - bare).sum(-1) > 60).mean() > 0.02
    assert all(np.abs(pictures[0] - other).sum() > 2000 for other in pictures[1:])


def test_objects_stand_where_they_belong():
    for scene in scenes(0, 300):
        assert all(scene.background in KINDS[thing.kind].places for thing in scene.objects)
        assert len({thing.position for thing in scene.objects}) == len(scene.objects)


def test_captions_are_short_and_known_to_the_tokenizer():
    for scene in scenes(0, 400):
        for language in LANGUAGES:
            texts = captions(scene, 5, language)
            assert len(texts) == 5
            assert max(len(text.split()) for text in texts) <= MOST_WORDS
            assert (tokenize(list(texts)) != UNKNOWN).all()


def test_the_first_caption_names_kind_tint_and_background():
    scene = draw_scene(11)
    text = captions(scene, 1)[0]
    assert all(thing.kind in text and thing.tint in text for thing in scene.objects)


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="Known: en"):
        captions(draw_scene(0), 1, "xx")


def test_all_subjects_share_the_test_stimuli_and_nothing_else():
    first, second = stimuli(50, 20), stimuli(50, 20, subject="subj02")
    assert first[50:] == second[50:] == shared_test(20)
    assert not {s.id for s in first[:50]} & {s.id for s in second[:50]}


def test_no_training_stimulus_shows_what_a_test_stimulus_shows():
    test = {scene.attributes for scene in shared_test(300)}
    for subject in SUBJECTS:
        assert not test & {scene.attributes for scene in training(subject, 500)}
    assert all(is_held_out(scene) for scene in shared_test(300))


@pytest.mark.parametrize("name", list(GALLERIES))
def test_no_gallery_holds_a_stimulus(name):
    members = gallery_scenes(name)
    shown = all_attributes()
    ids = {scene.id for subject in SUBJECTS for scene in stimuli(200, 200, subject=subject)}
    assert len(members) == GALLERIES[name].size
    assert not any(scene.attributes in shown for scene in members)
    assert not ids & {scene.id for scene in members}
    assert draw_scene(members[-1].id) == members[-1]


def test_the_small_gallery_speaks_four_languages_and_lacks_things():
    small = gallery("laion400m", 400)
    assert set(small.languages) == {"en", "de", "fr", "es"}
    plan = GALLERIES["laion400m"]
    assert not {thing.kind for scene in small.scenes for thing in scene.objects} & plan.without_kinds
    assert not {scene.background for scene in small.scenes} & plan.without_backgrounds
    assert set(gallery("laion2b", 100).languages) == {"en"}


def test_a_quick_gallery_is_the_beginning_of_the_whole_one():
    assert gallery_scenes("laion2b", 50) == gallery_scenes("laion2b", 80)[:50]


def test_importing_the_world_leaves_torch_out():
    code = "import sys, bdk.demo, bdk.demo.brain, bdk.demo.galleries; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
