"""Pictures as PNG: whole for the run folder, small and inline for the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

EDGE = 96
"""Longer side of an inline picture, pixels; smaller ones are left as they are."""


def png(pixels: np.ndarray) -> bytes:
    """A picture (uint8 H x W x 3) as PNG; equal pixels give equal bytes."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def thumb(pixels: np.ndarray, edge: int = EDGE) -> np.ndarray:
    """The picture, scaled down (Lanczos) until its longer side is at most ``edge``."""
    height, width = pixels.shape[:2]
    if max(height, width) <= edge:
        return pixels
    scale = edge / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.LANCZOS))


def data_uri(pixels: np.ndarray, edge: int = EDGE) -> str:
    """The scaled picture as a ``data:`` address."""
    return "data:image/png;base64," + base64.b64encode(png(thumb(pixels, edge))).decode("ascii")
