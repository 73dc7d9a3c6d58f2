"""The first step: betas and stimuli in the form that every later step reads."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bdk.arrays import new_array
from bdk.data.brain_data import BrainData
from bdk.data.checks import require_finite, varying_voxels
from bdk.errors import DataError
from bdk.making import Making
from bdk.registry import config_class, resolve

BATCH = 256
VOXELS_AT_ONCE = 1024
"""So that the reliability of 25,000 trials takes about 1 GB at a time."""


def make(making: Making) -> None:
    """Average the trials of every stimulus and lay out the stimulus table.

    Files: ``train_betas.npy`` and ``test_betas.npy`` (float32, stimuli x V), ``images.npy`` (uint8), ``index.json``,
    ``ncsnr.npy`` (float64 V) and ``test_repeats.npy`` (float32, test stimuli x R x V), both absent where stimuli
    were shown once.

    Raises:
        DataError: betas with NaN or voxels that never vary, or an empty side of the split.
    """
    info = making.registry.dataset(making.options["use"])
    kind = config_class(info)
    options = {key: value for key, value in making.options.items() if key in kind.model_fields}
    data: BrainData = resolve(info.target, owner=info.distribution)(kind.model_validate(options)).load()
    rows = {split: data.rows(split) for split in ("train", "test")}
    for split, members in rows.items():
        if len(members) == 0:
            raise DataError(f"No stimulus is in the {split} split.", where=f"data {data.name!r}")
        betas = data.averaged(members)
        require_finite(betas, where=f"data {data.name!r}, {split} split")
        if split == "train":
            varying_voxels(betas, "refuse", where=f"data {data.name!r}")
        np.save(making.out / f"{split}_betas.npy", betas)
    _save_images(making, data)
    _save_reliability(making, data)
    (making.out / "index.json").write_text(json.dumps(_index(data, rows), ensure_ascii=False))


def _index(data: BrainData, rows: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "name": data.name,
        "subject": data.subject,
        "stimulus_ids": list(data.stimulus_ids),
        "split": [str(side) for side in data.split],
        "split_name": data.split_name,
        "split_sha256": data.split_sha256,
        "train_rows": rows["train"].tolist(),
        "test_rows": rows["test"].tolist(),
        "captions": [list(texts) for texts in data.captions] if data.captions else None,
        "rois": {name: np.flatnonzero(members).tolist() for name, members in data.rois.items()},
        "stamps": dict(data.stamps),
        "world": dict(data.world),
        "groups": [str(group) for group in data.groups] if data.groups is not None else None,
        "fingerprint": data.fingerprint,
        "repeats": data.repeats.tolist(),
    }


def _save_images(making: Making, data: BrainData) -> None:
    if data.images is None:
        return
    total = len(data.images)
    first = data.images.batch(np.arange(min(1, total)))
    store = new_array(making.out / "images.npy", np.uint8, (total, *first.shape[1:]))
    for start in range(0, total, BATCH):
        rows = np.arange(start, min(start + BATCH, total))
        store[rows] = data.images.batch(rows)
        making.progress(int(rows[-1]) + 1, total, "pictures")
    store.flush()


def _save_reliability(making: Making, data: BrainData) -> None:
    """Noise-ceiling signal-to-noise ratio of every voxel, and the test betas showing by showing."""
    from bdk.noise_ceiling import ncsnr

    trained, tested = data.rows("train"), data.rows("test")
    repeated = trained[data.repeats[trained] >= 2]
    if len(repeated) >= 2:
        trials, position = data.trials_of(repeated)
        columns = (slice(start, start + VOXELS_AT_ONCE) for start in range(0, data.voxels, VOXELS_AT_ONCE))
        found = [
            ncsnr(np.asarray(data.betas[:, part], dtype=np.float32)[trials], repeated[position]) for part in columns
        ]
        np.save(making.out / "ncsnr.npy", np.concatenate(found))
    showings = int(data.repeats[tested].min())
    if showings >= 2:
        np.save(making.out / "test_repeats.npy", np.stack([data.repeat(tested, r) for r in range(showings)], axis=1))
