"""What every retriever over a gallery keeps: exactly k, exclusions, padding, NaN for what is missing, stamps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bdk.errors import ComponentError, DataError, SpaceMismatchError, SpecError
from bdk.galleries.gallery import Gallery
from bdk.interfaces import Retriever


@pytest.fixture(params=["exact", "faiss"])
def name(request):
    if request.param == "faiss":
        pytest.importorskip("faiss")
    return request.param


def slow_search(root, keys, k, exclude=None, within="image"):
    """The plainest search there is: every cosine in double precision, sorted."""
    gallery = Gallery(root)
    stored = gallery.embeddings(within).take(np.arange(len(gallery))).astype(np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    ids, scores = [], []
    for row, key in enumerate(keys.double().numpy()):
        cosine = stored @ (key / np.linalg.norm(key))
        if exclude is not None:
            cosine[[id for id in exclude[row].tolist() if id >= 0]] = -np.inf
        order = np.lexsort((np.arange(len(cosine)), -cosine))[:k]
        ids.append(order)
        scores.append(cosine[order])
    return np.stack(ids), np.stack(scores)


def test_it_is_a_retriever(build, gallery, name):
    assert isinstance(build(name, root=gallery), Retriever)


@pytest.mark.parametrize("k", [1, 4, 16, 300])
def test_the_search_equals_the_plainest_one(build, gallery, keys, name, k):
    found = build(name, root=gallery).search(keys(), k)
    ids, scores = slow_search(gallery, keys(), k)
    assert np.array_equal(found.ids.numpy(), ids)
    assert np.abs(found.scores.numpy() - scores).max() < 1e-6


def test_captions_can_be_searched_instead_of_images(build, gallery, keys, name):
    found = build(name, root=gallery, search_in="text").search(keys(), 5)
    assert np.array_equal(found.ids.numpy(), slow_search(gallery, keys(), 5, within="text")[0])


def test_excluded_ids_are_never_found_and_others_take_their_place(build, gallery, keys, name):
    retriever = build(name, root=gallery)
    first = retriever.search(keys(), 40).ids
    exclude = torch.cat([first[:, :30], torch.full((12, 2), -1)], dim=1)
    found = retriever.search(keys(), 5, exclude)
    assert np.array_equal(found.ids.numpy(), slow_search(gallery, keys(), 5, exclude)[0])
    assert torch.equal(found.ids, first[:, 30:35])


def test_fewer_items_than_k_are_padded(build, gallery, keys, name):
    exclude = torch.arange(298).repeat(12, 1)
    found = build(name, root=gallery).search(keys(), 4, exclude)
    assert ((found.ids >= 0).sum(dim=1) == 2).all()
    assert (found.ids[:, 2:] == -1).all() and torch.isinf(found.scores[:, 2:]).all()
    assert set(found.ids[:, :2].flatten().tolist()) == {298, 299}


def test_more_neighbours_than_items_are_padded_and_stamped(build, gallery, keys, name):
    retriever = build(name, root=gallery)
    found = retriever.search(keys(2), 302)
    assert found.ids.shape == (2, 302) and (found.ids[:, 300:] == -1).all() and (found.ids[:, :300] >= 0).all()
    assert retriever.stamps()["unfilled_neighbours"] == 4


def test_keys_do_not_influence_each_other_and_are_not_written(build, gallery, keys, name):
    retriever, asked = build(name, root=gallery), keys()
    before = asked.clone()
    together = retriever.search(asked, 6)
    alone = [retriever.search(asked[row : row + 1], 6) for row in range(12)]
    assert torch.equal(together.ids, torch.cat([found.ids for found in alone]))
    assert torch.equal(asked, before)


def test_the_length_of_a_key_does_not_matter(build, gallery, keys, name):
    retriever = build(name, root=gallery)
    assert torch.equal(retriever.search(keys(), 6).ids, retriever.search(7 * keys(), 6).ids)


def test_fetched_tokens_have_the_shape_of_the_ids_and_nan_where_nothing_can_be_had(build, gallery, name):
    retriever = build(name, root=gallery)
    ids = torch.tensor([[0, 3, -1], [3, 250, 5]])
    image, text = retriever.fetch(ids, "image"), retriever.fetch(ids, "text")
    assert image.shape == (2, 3, 5, 4) and text.shape == (2, 3, 3, 4)
    assert image.isnan().flatten(2).all(2).tolist() == [[False, False, True], [False, True, False]]
    assert text.isnan().flatten(2).all(2).tolist() == [[False, False, True], [False, False, True]]
    assert torch.equal(image[0, 1], image[1, 0])
    assert retriever.stamps()["missing_items"] == {"image": {"file-not-found": 1}, "text": {"no-caption": 1}}


def test_an_item_is_encoded_once_however_often_it_is_fetched(build, gallery, name):
    retriever = build(name, root=gallery)
    for _ in range(3):
        retriever.fetch(torch.tensor([[1, 2, 1], [2, 1, 1]]), "image")
    assert retriever.items.encoded == 2
    assert build(name, root=gallery).fetch(torch.tensor([[1]]), "image").isfinite().all()


def test_pictures_and_descriptions_of_items(build, gallery, name):
    retriever = build(name, root=gallery)
    picture = retriever.picture(9)
    assert picture.shape == (3, 512, 512) and abs(float(picture[0].mean()) - 180 / 255) < 0.01
    assert retriever.picture(250) is None
    assert retriever.describe([7, -1]) == [{"id": 7, "caption": "caption 7", "path": "7.png"}, {"id": -1}]


def test_near_equal_items_are_passed_over_only_if_asked(build, gallery, keys, name):
    plain = build(name, root=gallery)
    merged = build(name, root=gallery, dedup=True, dedup_cosine=0.3)
    assert (plain.stamps()["dedup"], merged.stamps()["dedup"]) == (False, True)
    found = merged.search(keys(), 3).ids
    assert torch.equal(found[:, 0], plain.search(keys(), 3).ids[:, 0])
    assert not torch.equal(found, plain.search(keys(), 3).ids)


def test_items_on_a_list_are_never_found(build, gallery, keys, name, tmp_path):
    first = build(name, root=gallery).search(keys(), 8).ids
    banned = sorted(set(first[:, :4].flatten().tolist()))
    (tmp_path / "out.json").write_text(json.dumps({"ids": banned}))
    retriever = build(name, root=gallery, leave_out=tmp_path / "out.json")
    found = retriever.search(keys(), 4)
    assert not set(found.ids.flatten().tolist()) & set(banned) and (found.ids >= 0).all()
    assert retriever.stamps()["left_out"] == len(banned)
    (tmp_path / "out.json").write_text("[]")
    with pytest.raises(DataError, match="leave out"):
        build(name, root=gallery, leave_out=tmp_path / "out.json")


def test_queries_of_another_model_or_size_are_refused(build, gallery, context, name):
    for other in (replace(context, key_model="clip-vit-l14/pooled"), replace(context, key_dim=768)):
        with pytest.raises(SpaceMismatchError):
            build(name, other, root=gallery)


def test_a_damaged_gallery_is_refused(build, gallery, name):
    path = gallery / "embeddings/image/00002.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        build(name, root=gallery)
    assert caught.value.where == str(path)


def test_a_gallery_must_be_named(build, name):
    with pytest.raises(SpecError, match="gallery folder"):
        build(name)


def test_an_unknown_guide_is_refused(build, gallery, name):
    with pytest.raises(ComponentError, match="no guide"):
        build(name, root=gallery).fetch(torch.tensor([[0]]), "low")


def test_the_stamps_say_what_was_searched(build, gallery, name):
    stamps = build(name, root=gallery).stamps()
    assert (stamps["gallery"], stamps["gallery_items"], stamps["search_in"]) == ("toy", 300, "image")
    assert len(stamps["gallery_fingerprint"]) == 64 and name in stamps["backend"]
    assert "stand_in" not in stamps and "missing_items" not in stamps
