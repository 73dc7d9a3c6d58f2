"""The second step: ground-truth tensors of one guide, computed once; training never runs CLIP."""

from __future__ import annotations

import json

import numpy as np

from bdk.arrays import new_array
from bdk.making import Making
from bdk.plan import space_from
from bdk.targets import backbone

BATCH = 64
HALF_ABOVE = 2 << 30
"""Bytes of float32 above which targets are stored in half precision, as MindEye trains on them."""


def make(making: Making) -> None:
    """Embed every stimulus.

    Files: ``tokens.npy`` (stimuli x T x D, rows as in the stimulus table), ``about.json``.
    """
    data = making.inputs["data"]
    space = space_from(making.options["space"])
    embedder = backbone(space)
    index = data.json("index.json")
    source = index["captions"] if space.modality == "text" else data.array("images.npy")
    total = len(source)
    dtype = np.float16 if total * space.size * 4 > HALF_ABOVE else np.float32
    tokens = new_array(making.out / "tokens.npy", dtype, (total, space.tokens, space.dim))
    for start in range(0, total, BATCH):
        part = source[start : start + BATCH]
        batch = [tuple(texts) for texts in part] if space.modality == "text" else np.array(part)
        tokens[start : start + len(part)] = embedder.embed(batch).cpu().numpy()
        making.progress(min(start + BATCH, total), total)
    tokens.flush()
    (making.out / "about.json").write_text(json.dumps({"space": space.id, "stamp": space.stamp}))
