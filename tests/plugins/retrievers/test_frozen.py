import pytest
import torch
from bdk.errors import ComponentError, DataError, SpaceMismatchError


@pytest.fixture
def recorded(build, gallery, keys, tmp_path):
    retriever = build("exact", root=gallery, record=tmp_path / "record")
    found = retriever.search(keys(), 6)
    return tmp_path / "record", retriever, found


def test_a_replay_gives_the_same_bytes(build, recorded, keys):
    folder, _, found = recorded
    replayed = build("frozen", folder=folder).search(keys(), 6)
    assert torch.equal(replayed.ids, found.ids) and torch.equal(replayed.scores, found.scores)


def test_fewer_neighbours_are_the_first_of_those_recorded(build, recorded, keys):
    folder, _, found = recorded
    assert torch.equal(build("frozen", folder=folder).search(keys(), 4).ids, found.ids[:, :4])


def test_order_and_rounding_of_the_keys_do_not_matter(build, recorded, keys):
    folder, _, found = recorded
    shaken = keys().flip(0) + 1e-5 * torch.randn(12, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(build("frozen", folder=folder).search(shaken, 6).ids, found.ids.flip(0))


def test_tokens_pictures_and_descriptions_come_without_the_gallery(build, recorded, gallery):
    folder, live, found = recorded
    frozen = build("frozen", folder=folder)
    ids = torch.cat([found.ids, torch.full((12, 1), -1)], dim=1)
    live_tokens, frozen_tokens = live.fetch(ids, "text"), frozen.fetch(ids, "text")
    assert torch.equal(live_tokens.nan_to_num(-9), frozen_tokens.nan_to_num(-9))
    (gallery / "manifest.json").unlink()
    again = build("frozen", folder=folder)
    first = int(found.ids[0, 0])
    assert again.describe([first])[0]["caption"] == f"caption {first}"
    assert again.stamps()["gallery"] == "toy" and again.stamps()["backend"] == "frozen"


@pytest.mark.parametrize("change", ["key", "k", "exclude"])
def test_what_was_not_recorded_is_refused(build, recorded, keys, change):
    folder, _, _ = recorded
    frozen = build("frozen", folder=folder)
    asked = keys(seed=5) if change == "key" else keys()
    exclude = torch.zeros(12, 1, dtype=torch.int64) if change == "exclude" else None
    with pytest.raises(ComponentError, match="12 of 12 keys were not recorded"):
        frozen.search(asked, 7 if change == "k" else 6, exclude)


def test_exclusions_are_part_of_the_question(build, gallery, keys, tmp_path):
    live = build("exact", root=gallery, record=tmp_path / "record")
    plain = live.search(keys(), 3)
    without = live.search(keys(), 3, plain.ids[:, :1])
    frozen = build("frozen", folder=tmp_path / "record")
    assert torch.equal(frozen.search(keys(), 3).ids, plain.ids)
    padded = torch.cat([plain.ids[:, :1], torch.full((12, 3), -1)], dim=1)
    assert torch.equal(frozen.search(keys(), 3, padded).ids, without.ids)


def test_keys_of_another_space_are_refused(build, recorded, context):
    from dataclasses import replace

    with pytest.raises(SpaceMismatchError):
        build("frozen", replace(context, key_model="other/pooled"), folder=recorded[0])


def test_an_empty_folder_is_refused(build, tmp_path):
    with pytest.raises(DataError, match="Nothing is recorded"):
        build("frozen", folder=tmp_path)
