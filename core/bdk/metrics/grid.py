"""Stimuli above their reconstructions, in one picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from bdk.metrics.sources import Pictures

TILE, GAP, COLUMNS = 128, 4, 12


def picture_grid(stimuli: Pictures, reconstructions: Pictures, candidates: int = 1, most: int = 24) -> Image.Image:
    """Draw the first stimuli, each with its candidates below it.

    Args:
        stimuli: N pictures.
        reconstructions: N * S pictures.
        candidates: S; at most four are drawn.
        most: stimuli that are drawn.
    """
    shown, deep = min(most, len(stimuli)), min(candidates, 4)
    columns = min(COLUMNS, shown)
    bands = -(-shown // columns)
    height = bands * ((deep + 1) * (TILE + GAP) + 2 * GAP) + GAP
    sheet = Image.new("RGB", (columns * (TILE + GAP) + GAP, height), "white")
    for index in range(shown):
        band, column = divmod(index, columns)
        x, y = GAP + column * (TILE + GAP), GAP + band * ((deep + 1) * (TILE + GAP) + 2 * GAP)
        sheet.paste(_tile(stimuli, index), (x, y))
        for s in range(deep):
            sheet.paste(_tile(reconstructions, index * candidates + s), (x, y + (s + 1) * (TILE + GAP)))
    return sheet


def _tile(pictures: Pictures, index: int) -> Image.Image:
    pixels = (pictures.picture(index).permute(1, 2, 0) * 255).round().byte().numpy()
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((TILE, TILE), Image.Resampling.BICUBIC)
