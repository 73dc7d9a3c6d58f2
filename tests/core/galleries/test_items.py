"""Each distinct picture and caption is encoded once; what cannot be had is NaN and counted."""

import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import torch
from bdk.errors import ComponentError
from bdk.galleries.items import Items, gather
from bdk.galleries.pictures import FilePictures
from bdk.galleries.token_cache import TokenCache
from bdk.spaces import Space


class Counting:
    """Encodes by arithmetic and remembers what it saw."""

    seen: ClassVar[list] = []
    shift = 0.0

    def __init__(self, space, *, device="cpu", **options):
        self.space = space

    def embed(self, stimuli):
        Counting.seen.extend([s if isinstance(s, tuple) else s.shape for s in stimuli])
        sums = [len(s[0]) if isinstance(s, tuple) else float(np.asarray(s, dtype=np.float64).mean()) for s in stimuli]
        ramp = torch.arange(self.space.size, dtype=torch.float32).view(self.space.tokens, self.space.dim) / 10
        return torch.stack([ramp + value / 100 + Counting.shift for value in sums])


@pytest.fixture
def spaces(monkeypatch):
    module = types.ModuleType("counting_backbone")
    module.Counting = Counting
    monkeypatch.setitem(sys.modules, "counting_backbone", module)
    monkeypatch.setattr("bdk.targets.backbones._MADE", {})
    Counting.seen, Counting.shift = [], 0.0
    target = "counting_backbone:Counting"
    return {
        "image": Space("toy/image", 5, 4, "image", "cls", target, pooled="toy/pooled"),
        "text": Space("toy/text", 3, 4, "text", "pooled", target, pooled="toy/pooled"),
    }


@pytest.fixture
def items(spaces, tmp_path, png):
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(png(colour=(40 * number, 0, 0)))
    (tmp_path / "same.png").write_bytes(png(colour=(0, 0, 0)))
    return Items(spaces, FilePictures(tmp_path, 10**6), TokenCache(tmp_path / "tokens", 10**9))


def row(name, caption="a caption"):
    return {"path": f"{name}.png", "caption": caption}


def test_equal_pictures_and_captions_are_encoded_once(items):
    found = items.tokens({7: row(0), 8: row("same"), 9: row(1)}, "image")
    assert set(found) == {7, 8, 9} and torch.equal(found[7], found[8]) and not torch.equal(found[7], found[9])
    assert items.encoded == 2
    items.tokens({1: row(0, "cat"), 2: row(1, "cat"), 3: row(2, "dog")}, "text")
    assert items.encoded == 4


def test_a_second_question_encodes_nothing_and_answers_alike(items, spaces, tmp_path):
    first = items.tokens({1: row(1), 2: row(2)}, "image")
    again = Items(spaces, FilePictures(tmp_path, 10**6), TokenCache(tmp_path / "tokens", 10**9))
    second = again.tokens({1: row(1), 2: row(2)}, "image")
    assert again.encoded == 0
    assert all(torch.equal(first[id], second[id]) for id in (1, 2))


def test_new_weights_under_an_old_name_never_meet_old_tokens(items, spaces, tmp_path):
    first = items.tokens({1: row(1)}, "image")
    Counting.shift = 1.0
    again = Items(spaces, FilePictures(tmp_path, 10**6), TokenCache(tmp_path / "tokens", 10**9))
    assert not torch.equal(again.tokens({1: row(1)}, "image")[1], first[1])
    assert again.encoded == 1


def test_what_cannot_be_had_is_absent_and_counted_once_by_reason(items, tmp_path, broken_jpeg):
    (tmp_path / "broken.png").write_bytes(broken_jpeg())
    rows = {1: row(1), 2: row("gone"), 3: {}, 4: row("broken"), 5: row("gone2")}
    for _ in range(2):
        assert set(items.tokens(rows, "image")) == {1}
    items.tokens({1: row(1, " "), 2: row(2, "x")}, "text")
    assert items.missing() == {
        "image": {"broken-image": 1, "file-not-found": 2, "no-path": 1},
        "text": {"no-caption": 1},
    }


def test_gather_keeps_the_shape_and_marks_the_missing(spaces):
    tokens = {5: torch.ones(5, 4), 9: torch.zeros(5, 4)}
    table = gather(tokens, torch.tensor([[5, -1, 9], [7, 9, 5]]), spaces["image"])
    assert table.shape == (2, 3, 5, 4)
    assert table.isnan().flatten(2).all(2).tolist() == [[False, True, False], [True, False, False]]
    assert torch.equal(table[0, 0], tokens[5]) and torch.equal(table[1, 1], tokens[9])


def test_a_guide_that_was_not_announced_is_refused(items):
    with pytest.raises(ComponentError, match="no guide 'low'"):
        items.tokens({}, "low")


def test_tokens_kept_aside_are_found(items):
    items.keep("image", [row(1), row("gone")], torch.full((2, 5, 4), 3.0))
    assert torch.equal(items.tokens({1: row(1)}, "image")[1], torch.full((5, 4), 3.0))
    assert items.encoded == 0
