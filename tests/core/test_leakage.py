"""Planted test stimuli are found in training pictures and galleries; other pictures are not."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from bdk.demo.scenes import draw_scene, render
from bdk.errors import DataError
from bdk.leakage import hamming, mirror_hash, near_duplicates, perceptual_hash, perceptual_hashes
from PIL import Image


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([render(draw_scene(i)) for i in range(300)])


def jpeg(picture: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


COPIES = {
    "recompressed": jpeg,
    "enlarged": lambda p: np.asarray(Image.fromarray(p).resize((200, 200), Image.Resampling.BICUBIC)),
    "reduced": lambda p: np.asarray(Image.fromarray(p).resize((40, 40), Image.Resampling.BILINEAR)),
    "darker": lambda p: (p * 0.9).astype(np.uint8),
    "mirrored": lambda p: p[:, ::-1],
}


@pytest.mark.parametrize("copy", sorted(COPIES))
def test_a_planted_copy_of_a_test_stimulus_is_found(pictures, copy):
    tests, others = pictures[:20], list(pictures[20:])
    others[137] = COPIES[copy](tests[7])
    audit = near_duplicates(
        where="gallery", test_hashes=perceptual_hashes(tests), other_hashes=perceptual_hashes(others)
    )
    assert [(match.test, match.other) for match in audit.matches] == [(7, 137)]
    assert audit.matches[0].mirrored == (copy == "mirrored")


def test_pictures_of_other_scenes_are_not_found(pictures):
    hashes = perceptual_hashes(pictures)
    audit = near_duplicates(where="training split", test_hashes=hashes[:100], other_hashes=hashes[100:])
    assert audit.matches == ()
    assert audit.summary() == "training split: none of 100 test stimuli among 200 pictures"


def test_a_crop_is_found_by_its_embedding(pictures):
    crop = np.asarray(Image.fromarray(pictures[3]).crop((3, 3, 61, 61)).resize((64, 64)))
    others = [*pictures[20:], crop]
    generator = np.random.default_rng(0)
    test_embeddings, other_embeddings = generator.normal(size=(20, 64)), generator.normal(size=(len(others), 64))
    other_embeddings[-1] = test_embeddings[3] + 0.05 * generator.normal(size=64)
    hashes = {"test_hashes": perceptual_hashes(pictures[:20]), "other_hashes": perceptual_hashes(others)}
    assert near_duplicates(where="gallery", **hashes).matches == ()
    audit = near_duplicates(
        where="gallery", **hashes, test_embeddings=test_embeddings, other_embeddings=other_embeddings
    )
    assert [(match.test, match.other) for match in audit.matches] == [(3, len(others) - 1)]
    assert audit.matches[0].cosine > 0.98 and audit.matches[0].bits > 32


def test_two_pictures_with_one_meaning_are_no_leak(pictures):
    """Embeddings that agree while the pictures differ: the same kind of thing, painted anew."""
    same = np.ones((1, 8))
    hashes = perceptual_hashes(pictures[:2])
    assert hamming(hashes[:1], hashes[1:])[0, 0] > 100
    audit = near_duplicates(
        where="gallery",
        test_hashes=hashes[:1],
        other_hashes=hashes[1:],
        test_embeddings=same,
        other_embeddings=same,
    )
    assert audit.matches == ()


def test_embeddings_alone_are_enough_and_ids_are_reported():
    tests, others = np.eye(4), np.vstack([np.full((1, 4), 0.5), np.eye(4)[2] * 3])
    audit = near_duplicates(
        where="gallery", test_embeddings=tests, other_embeddings=others, other_ids=[901, 902], block=1
    )
    assert [(match.test, match.other, match.bits) for match in audit.matches] == [(2, 902, None)]
    assert audit.others == [902]


def test_the_report_is_plain_json(pictures):
    hashes = perceptual_hashes(pictures[:3])
    audit = near_duplicates(where="gallery", test_hashes=hashes, other_hashes=hashes)
    assert json.loads(json.dumps(audit.to_json()))["summary"].startswith("gallery: 3 of 3 test stimuli")


def test_nothing_to_compare_is_refused():
    with pytest.raises(DataError, match="hashes or embeddings"):
        near_duplicates(where="gallery")
    with pytest.raises(DataError, match="other_ids has 1 rows"):
        near_duplicates(where="gallery", test_embeddings=np.eye(2), other_embeddings=np.eye(2), other_ids=[1])


def test_hashes_of_bytes_and_floats_agree(pictures):
    floats = np.moveaxis(pictures[0], -1, 0) / 255
    assert np.array_equal(perceptual_hash(floats), perceptual_hash(pictures[0]))


def test_a_flat_picture_has_an_empty_hash():
    assert not perceptual_hash(np.full((30, 30, 3), 90, dtype=np.uint8)).any()


def test_mirroring_a_hash_is_hashing_the_mirrored_picture(pictures):
    direct = perceptual_hashes([picture[:, ::-1] for picture in pictures[:30]])
    assert hamming(direct, mirror_hash(perceptual_hashes(pictures[:30]))).diagonal().max() <= 12


def test_hamming_counts_bits():
    a = np.zeros((1, 32), dtype=np.uint8)
    b = a.copy()
    b[0, 3], b[0, 31] = 0b10110000, 1
    assert hamming(a, b)[0, 0] == 4
