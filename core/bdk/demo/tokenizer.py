"""The word-level tokenizer of the demo world's CLIP: every word of the caption grammar is one token."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bdk.demo.kinds import SUPER
from bdk.demo.words import LANGUAGES

CONTEXT = 24
"""Tokens of a text: start, at most 22 words, end, padding."""
PAD, START, END, UNKNOWN = range(4)
_FRAME = "a an and next to on in of the street fixture toy dish snack piece furniture device"


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, int]:
    """Number of every known word, in an order that only depends on the grammar."""
    text = [_FRAME, *SUPER.values()]
    for words in LANGUAGES.values():
        for table in (words.nouns, words.tints, words.sizes, words.positions, words.backgrounds):
            text += table.values()
        text += [words.opening, words.join, words.beside]
    known = sorted({word for phrase in text for word in phrase.lower().split()})
    return {word: 4 + number for number, word in enumerate(known)}


def tokenize(texts: list[str]) -> np.ndarray:
    """Token numbers of texts, cut after 22 words.

    Returns:
        Numbers [B, 24], int64; unknown words share one number.
    """
    known = vocabulary()
    rows = np.full((len(texts), CONTEXT), PAD, dtype=np.int64)
    for row, text in zip(rows, texts, strict=True):
        words = text.lower().replace(",", " ").replace(".", " ").split()[: CONTEXT - 2]
        numbers = [START, *(known.get(word, UNKNOWN) for word in words), END]
        row[: len(numbers)] = numbers
    return rows
