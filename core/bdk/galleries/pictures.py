"""Pictures of gallery rows, however they are had: a local file, a URL, or a scene of the demo world."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

Row = dict[str, object]
SIDE = 512
"""Pixels; real pictures are resized to this shorter side and centre-cropped, as MindEye does with what it retrieves."""
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True)
class Missing:
    """A picture that cannot be had, and why (one of a few words, so that reasons can be counted)."""

    reason: str


class PictureSource(Protocol):
    """Where a gallery's pictures come from."""

    def contents(self, rows: Sequence[Row]) -> list[str | Missing]:
        """A name of each row's picture that changes with the picture; what is not at hand is brought here first."""
        ...

    def load(self, row: Row) -> np.ndarray | Missing:
        """The picture [H, W, 3], uint8."""
        ...


class NoPictures:
    """For galleries that hold captions only."""

    def contents(self, rows: Sequence[Row]) -> list[str | Missing]:
        return [Missing("gallery-has-no-pictures") for _ in rows]

    def load(self, row: Row) -> np.ndarray | Missing:
        return Missing("gallery-has-no-pictures")


class ScenePictures:
    """Pictures of the demo world, drawn again from the scene's id."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed, self.size = seed, size

    def contents(self, rows: Sequence[Row]) -> list[str | Missing]:
        return [
            f"scene:{self.seed}:{self.size}:{row['scene']}" if "scene" in row else Missing("no-scene") for row in rows
        ]

    def load(self, row: Row) -> np.ndarray | Missing:
        from bdk.demo.scenes import draw_scene, render

        if "scene" not in row:
            return Missing("no-scene")
        return render(draw_scene(int(str(row["scene"])), self.seed), self.size)


class FilePictures:
    """Pictures in files, named in the metadata relative to the gallery folder, or absolutely."""

    def __init__(self, root: Path, max_pixels: int) -> None:
        self.root, self.max_pixels = root, max_pixels

    def contents(self, rows: Sequence[Row]) -> list[str | Missing]:
        found = [self._bytes(row) for row in rows]
        return [data if isinstance(data, Missing) else hashlib.sha256(data).hexdigest() for data in found]

    def load(self, row: Row) -> np.ndarray | Missing:
        data = self._bytes(row)
        return data if isinstance(data, Missing) else decode_picture(data, self.max_pixels)

    def _bytes(self, row: Row) -> bytes | Missing:
        if not row.get("path"):
            return Missing("no-path")
        try:
            return (self.root / str(row["path"])).read_bytes()
        except FileNotFoundError:
            return Missing("file-not-found")
        except OSError:
            return Missing("file-unreadable")


def decode_picture(data: bytes, max_pixels: int, side: int = SIDE) -> np.ndarray | Missing:
    """Decode, resize the shorter side to ``side`` and crop the middle square.

    The header's size is checked before a pixel is decoded, so a small file that unpacks to gigabytes is refused.

    Args:
        data: an image file's bytes.
        max_pixels: bound on width x height.
        side: pixels of the result's sides.

    Returns:
        uint8 [side, side, 3], or why there is none: ``not-an-image``, ``too-many-pixels`` or ``broken-image``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError:
        return Missing("too-many-pixels")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return Missing("not-an-image")
    if picture.width * picture.height > max_pixels:
        return Missing("too-many-pixels")
    try:
        picture.draft("RGB", (side, side))
        square = _square(picture.convert("RGB"), side)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        return Missing("broken-image")
    return np.array(square)


def _square(picture: Image.Image, side: int) -> Image.Image:
    scale = side / min(picture.size)
    wide, high = (max(side, round(length * scale)) for length in picture.size)
    resized = picture.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = (wide - side) // 2, (high - side) // 2
    return resized.crop((left, top, left + side, top + side))
