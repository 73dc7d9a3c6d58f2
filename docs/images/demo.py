"""Makes the README's picture of a demo run: ``python docs/images/demo.py runs/demo``.

The twenty reconstructions with the highest pixel correlation, each below its stimulus.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bdk
import numpy as np
from bdk.metrics.pixcorr import pixcorr
from PIL import Image

BEST, ACROSS, ENLARGED = 20, 10, 2


def main(folder: str) -> None:
    """Choose, lay out and save."""
    run = bdk.load(folder)
    data = run.artifact("data")
    index = data.json("index.json")
    ids = [index["stimulus_ids"][row] for row in index["test_rows"]]
    truth = np.asarray(data.array("images.npy"))[index["test_rows"]]
    painted = np.stack([np.asarray(Image.open(run.images[stimulus])) for stimulus in ids])
    best = np.argsort(-pixcorr(truth, painted))[:BEST]
    rows = [part for block in np.split(best, BEST // ACROSS) for part in (truth[block], painted[block])]
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    size = (sheet.shape[1] * ENLARGED, sheet.shape[0] * ENLARGED)
    Image.fromarray(sheet).resize(size, Image.Resampling.LANCZOS).save(Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main(sys.argv[1])
