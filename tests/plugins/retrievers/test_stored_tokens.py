"""Tokens stored in a gallery are what fetching would have encoded, and are read instead."""

import numpy as np
import pytest
import torch
from bdk.errors import DataError
from bdk.galleries import stored_tokens
from bdk.galleries.manifest import read_manifest
from bdk.galleries.stored_tokens import store_tokens

IDS = torch.tensor([[0, 3, -1], [3, 250, 5]])


@pytest.fixture
def stored(gallery, spaces, tmp_path):
    for space in spaces.values():
        store_tokens(gallery, space, rows=128)
    return gallery


@pytest.mark.parametrize("guide", ["image", "text"])
def test_what_is_read_equals_what_was_encoded(build, gallery, spaces, guide):
    encoded = build("exact", root=gallery)
    before = encoded.fetch(IDS, guide)
    store_tokens(gallery, spaces[guide], rows=128)
    reading = build("exact", root=gallery)
    assert torch.equal(reading.fetch(IDS, guide).nan_to_num(-9), before.nan_to_num(-9))
    assert (encoded.items.encoded > 0, reading.items.encoded) == (True, 0)


def test_rows_that_could_not_be_had_are_counted_when_they_are_read(build, stored):
    retriever = build("exact", root=stored)
    for guide in ("image", "text"):
        retriever.fetch(IDS, guide)
    assert retriever.stamps()["missing_items"] == {"image": {"no-stored-tokens": 1}, "text": {"no-stored-tokens": 1}}


def test_the_manifest_names_space_network_and_shards(stored, gallery, spaces):
    entry = read_manifest(stored).tokens["image"]
    assert (entry.space, entry.tokens, entry.dim, len(entry.network)) == ("toy/image", 5, 4, 16)
    assert [shard.rows for shard in entry.shards] == [128, 128, 44]
    assert np.load(stored / entry.shards[2].path).shape == (44, 5, 4)


def test_an_interrupted_storing_goes_on_with_the_shard_it_was_at(gallery, spaces, monkeypatch):
    real, written = stored_tokens._write_shard, []

    def dying(path, *given):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, *given)

    monkeypatch.setattr(stored_tokens, "_write_shard", dying)
    with pytest.raises(KeyboardInterrupt):
        store_tokens(gallery, spaces["text"], rows=128)
    assert read_manifest(gallery).tokens == {}
    with pytest.raises(KeyboardInterrupt):
        store_tokens(gallery, spaces["text"], rows=128)
    written.clear()
    store_tokens(gallery, spaces["text"], rows=128)
    assert written == ["00002.npy"] and len(read_manifest(gallery).tokens["text"].shards) == 3


def test_a_damaged_token_shard_is_refused_by_name(build, stored):
    path = stored / read_manifest(stored).tokens["image"].shards[1].path
    data = bytearray(path.read_bytes())
    data[-9] ^= 8
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        build("exact", root=stored)
    assert caught.value.where == str(path)


def test_a_second_space_for_a_guide_and_one_without_a_backbone_are_refused(stored, spaces):
    from dataclasses import replace

    with pytest.raises(DataError, match="already stores image tokens"):
        store_tokens(stored, replace(spaces["image"], id="toy/other"))
    with pytest.raises(DataError, match="Nothing encodes"):
        store_tokens(stored, replace(spaces["image"], backbone=""))
