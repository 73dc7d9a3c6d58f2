"""Whether a test stimulus, or something very like one, is where only other pictures may be.

Two looks, since each alone misses things: a perceptual hash of 256 bits, which finds copies that were resized,
recompressed or slightly recoloured (and mirrored ones), and the cosine of embeddings, which finds crops and shifts.
Both thresholds are reported with every finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.fft import dctn

from bdk.errors import DataError

HASH_SIDE, PICTURE_SIDE = 16, 64
MAX_BITS = 32
"""Bits of 256 in which two hashes may differ and still count as the same picture; unrelated ones differ in about 128.
MindEye's own check uses 90, which on smooth scenes also catches pictures that merely share their layout."""
MIN_COSINE = 0.98
"""Cosine of embeddings from which two pictures are looked at more closely."""
LOOSE_BITS = 100
"""Bits that a pair with that cosine may differ in. Two pictures of the same kind of thing in the same place can have
the same embedding and still be different pictures: they then differ in 120 bits or so, and are no leak. (Drawn scenes:
of a million unrelated pairs, 1 in 100,000 differ in 50 bits or fewer and 1 in 200 in 100; copies that were cropped by a
tenth or shifted differ in 65, recompressed or resized ones in 0 to 16.)"""
_BITS_SET = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint16)


@dataclass(frozen=True)
class Match:
    """A test stimulus, and a picture elsewhere that is nearly the same.

    Args:
        test: row of the test stimulus.
        other: row (or id) of the picture that resembles it.
        bits: differing bits of the perceptual hashes; None if hashes were not compared.
        cosine: of the embeddings; None if they were not compared.
        mirrored: whether the hash matched the mirrored picture.
    """

    test: int
    other: int
    bits: int | None = None
    cosine: float | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Audit:
    """What a search for near-duplicates found.

    Args:
        where: what was searched, such as ``gallery laion2b``.
        tests: test stimuli that were looked for.
        searched: pictures that were searched.
        matches: findings, the closest first.
        max_bits: threshold of the hash.
        min_cosine: threshold of the cosine.
    """

    where: str
    tests: int
    searched: int
    matches: tuple[Match, ...]
    max_bits: int
    min_cosine: float

    @property
    def others(self) -> list[int]:
        """Rows or ids to leave out, sorted."""
        return sorted({match.other for match in self.matches})

    def summary(self) -> str:
        """One line for stamps and tables."""
        if not self.matches:
            return f"{self.where}: none of {self.tests} test stimuli among {self.searched} pictures"
        stimuli = len({match.test for match in self.matches})
        return (
            f"{self.where}: {stimuli} of {self.tests} test stimuli have a near-duplicate among {self.searched} pictures"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {**asdict(self), "matches": [asdict(match) for match in self.matches], "summary": self.summary()}


def perceptual_hash(picture: np.ndarray) -> np.ndarray:
    """256 bits that survive resizing, recompression and small changes of colour.

    Signs of the lowest 16 x 16 cosine coefficients of a 64 x 64 grey copy, about their median (pHash).

    Args:
        picture: uint8 H x W x 3, or float 3 x H x W in 0..1.

    Returns:
        32 bytes, uint8. A flat picture has no coefficients to speak of; its hash is all zeros.
    """
    from PIL import Image

    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(np.moveaxis(pixels, 0, -1) * 255), 0, 255).astype(np.uint8)
    small = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    small = small.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    low = dctn(np.asarray(small, dtype=np.float64), norm="ortho")[:HASH_SIDE, :HASH_SIDE]
    low[0, 0] = 0.0  # mean brightness says nothing about the picture
    if np.abs(low).max() < 1e-6:
        return np.zeros(HASH_SIDE * HASH_SIDE // 8, dtype=np.uint8)
    return np.packbits(low > np.median(low))


def perceptual_hashes(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Hashes of several pictures, N x 32 bytes."""
    rows = [perceptual_hash(picture) for picture in pictures]
    return np.stack(rows) if rows else np.zeros((0, HASH_SIDE * HASH_SIDE // 8), dtype=np.uint8)


def mirror_hash(hashes: np.ndarray) -> np.ndarray:
    """Hashes of the mirrored pictures: odd horizontal frequencies change sign, and so their bits, near enough."""
    bits = np.unpackbits(hashes, axis=1).reshape(-1, HASH_SIDE, HASH_SIDE).copy()
    bits[:, :, 1::2] ^= 1
    return np.packbits(bits.reshape(len(hashes), -1), axis=1)


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differing bits of each hash of ``a`` (N x 32) and each of ``b`` (M x 32); uint16 N x M."""
    counts = np.zeros((len(a), len(b)), dtype=np.uint16)
    for byte in range(a.shape[1]):
        counts += _BITS_SET[np.bitwise_xor.outer(a[:, byte], b[:, byte])]
    return counts


def near_duplicates(
    *,
    where: str,
    test_hashes: np.ndarray | None = None,
    other_hashes: np.ndarray | None = None,
    test_embeddings: np.ndarray | None = None,
    other_embeddings: np.ndarray | None = None,
    other_ids: Sequence[int] | None = None,
    max_bits: int = MAX_BITS,
    min_cosine: float = MIN_COSINE,
    mirrored: bool = True,
    block: int = 4096,
) -> Audit:
    """Find pictures that are nearly a test stimulus.

    Args:
        where: what is searched, for the report.
        test_hashes: N x 32 bytes; leave out to compare embeddings alone.
        other_hashes: M x 32 bytes.
        test_embeddings: N x P; leave out to compare hashes alone.
        other_embeddings: M x P, array or memory map, in the same space.
        other_ids: M ids to report instead of rows.
        max_bits: hashes that differ in no more bits are matches.
        min_cosine: embeddings with no smaller cosine are matches, if the hashes (where there are any) differ in no
            more than `LOOSE_BITS`.
        mirrored: whether to look for mirrored copies too.
        block: pictures compared at a time.

    Returns:
        Every pair found by either look, with both measurements where both were made.

    Raises:
        DataError: nothing to compare, or lengths that contradict each other.
    """
    tests, total = _sizes(where, (test_hashes, other_hashes), (test_embeddings, other_embeddings), other_ids)
    matches: list[Match] = []
    for start in range(0, total, block):
        rows = slice(start, min(start + block, total))
        bits, flipped = _hash_part(test_hashes, other_hashes, rows, mirrored)
        cosine = _cosine_part(test_embeddings, other_embeddings, rows)
        ids = range(rows.start, rows.stop) if other_ids is None else other_ids[rows]
        matches += _matches(bits, flipped, cosine, ids, max_bits, min_cosine)
    matches.sort(key=lambda match: (match.bits or 0, -(match.cosine or 0.0), match.test, match.other))
    return Audit(where, tests, total, tuple(matches), max_bits, min_cosine)


def _sizes(where: str, hashes: Any, embeddings: Any, other_ids: Any) -> tuple[int, int]:
    """How many tests, and how many pictures to search; refuses sides that are missing or do not fit."""
    looks = [pair for pair in (hashes, embeddings) if all(side is not None for side in pair)]
    if not looks:
        raise DataError("A search for near-duplicates needs hashes or embeddings of both sides.", where=where)
    tests, total = len(looks[0][0]), len(looks[0][1])
    for name, array in (("other_embeddings", looks[-1][1]), ("other_ids", other_ids)):
        if array is not None and len(array) != total:
            raise DataError(f"{name} has {len(array)} rows, {total} are expected.", where=where)
    return tests, total


def _cosine_part(test: Any, other: Any, rows: slice) -> np.ndarray | None:
    return None if test is None or other is None else _unit(test) @ _unit(other[rows]).T


def _hash_part(test: Any, other: Any, rows: slice, mirrored: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Differing bits, the fewer of plain and mirrored, and where the mirrored ones were fewer."""
    if test is None or other is None:
        return None, None
    bits = hamming(test, other[rows])
    if not mirrored:
        return bits, np.zeros(bits.shape, dtype=bool)
    flipped = hamming(mirror_hash(test), other[rows])
    return np.minimum(bits, flipped), flipped < bits


def _matches(
    bits: np.ndarray | None,
    flipped: np.ndarray | None,
    cosine: np.ndarray | None,
    ids: Sequence[int],
    max_bits: int,
    min_cosine: float,
) -> list[Match]:
    known = bits if bits is not None else cosine
    assert known is not None
    hit = np.zeros(known.shape, dtype=bool)
    if bits is not None:
        hit |= bits <= max_bits
    if cosine is not None:
        hit |= (cosine >= min_cosine) & (bits <= LOOSE_BITS if bits is not None else True)
    return [
        Match(
            int(test),
            int(ids[other]),
            None if bits is None else int(bits[test, other]),
            None if cosine is None else round(float(cosine[test, other]), 6),
            bool(flipped is not None and flipped[test, other]),
        )
        for test, other in np.argwhere(hit)
    ]


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
