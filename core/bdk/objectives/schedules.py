"""Values that change while training."""

from __future__ import annotations

import math


def cosine_anneal(start: float, end: float, progress: float) -> float:
    """From ``start`` (progress 0) to ``end`` (progress 1) along a half cosine.

    Source: MindEye (commit 6b30ea5) ``cosine_anneal``, which moves once an epoch; ours moves with every step.
    """
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
