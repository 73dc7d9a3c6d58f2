"""Training pictures and captions of the demo world's networks, drawn once and kept as memory-mapped files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from bdk.arrays import new_array
from bdk.demo.captions import captions, language_of
from bdk.demo.scenes import Scene, render, scenes
from bdk.demo.tokenizer import CONTEXT, tokenize

TRAINING_IDS = 10_000_000
CHECKING_IDS = 20_000_000
_LANGUAGE_SHARES = {"en": 0.88, "de": 0.04, "fr": 0.04, "es": 0.04}


def training_scenes(n: int) -> list[Scene]:
    """Scenes that the shipped networks are trained on; none is in the held-out eighth."""
    return scenes(TRAINING_IDS, n, held_out=False)


def checking_scenes(n: int) -> list[Scene]:
    """Scenes whose attributes no shipped network was trained on."""
    return scenes(CHECKING_IDS, n, held_out=True)


def _render_part(part: list[Scene]) -> np.ndarray:
    return np.stack([render(scene) for scene in part])


def _rendered(members: list[Scene], workers: int) -> Iterator[np.ndarray]:
    parts = [members[i : i + 250] for i in range(0, len(members), 250)]
    if workers < 2:
        yield from map(_render_part, parts)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_render_part, parts)


def render_all(members: list[Scene]) -> np.ndarray:
    """Pictures of scenes, [B, 64, 64, 3] uint8."""
    return np.concatenate(list(_rendered(members, 1)))


def training_pictures(folder: Path, n: int, workers: int = 2) -> np.ndarray:
    """Pictures of the first `n` training scenes, drawn into `folder` the first time.

    Returns:
        Memory map [n, 64, 64, 3], uint8.
    """
    path = folder / f"pictures-{n}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f"pictures-{n}.{os.getpid()}.tmp"
        pictures = new_array(aside, np.uint8, (n, 64, 64, 3))
        done = 0
        for part in _rendered(training_scenes(n), workers):
            pictures[done : done + len(part)] = part
            done += len(part)
        pictures.flush()
        aside.replace(path)
    return np.load(path, mmap_mode="r")


def training_captions(folder: Path, n: int) -> np.ndarray:
    """Token numbers of the five captions of the first `n` training scenes; one scene in eight is not in English.

    Returns:
        Numbers [n, 5, 24], int16.
    """
    path = folder / f"captions-{n}.npy"
    if not path.exists():
        texts = [
            text for scene in training_scenes(n) for text in captions(scene, 5, language_of(scene, _LANGUAGE_SHARES))
        ]
        aside = folder / f"captions-{n}.{os.getpid()}.npy"
        np.save(aside, tokenize(texts).reshape(n, 5, CONTEXT).astype(np.int16))
        aside.replace(path)
    return np.load(path)
