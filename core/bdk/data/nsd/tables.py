"""The tables of a prepared folder: trials, stimuli, voxels."""

from __future__ import annotations

import numpy as np

from bdk.data.nsd.design import Design
from bdk.data.nsd.options import Options
from bdk.data.nsd.rois import Regions
from bdk.data.nsd.whole_files import write_parquet


def write_tables(
    options: Options,
    design: Design,
    regions: Regions,
    rows: list[dict[str, str]],
    runs: np.ndarray | None,
    captions: list[list[str]] | None,
) -> None:
    single = options.trials == "single"
    stimuli = np.arange(len(design.nsd_ids))
    trials = {
        "trial": np.arange(len(design.trial_stimulus)) if single else stimuli,
        "session": design.trial_session if single else np.zeros_like(stimuli),
        "run": runs
        if single and runs is not None
        else np.zeros(len(design.trial_stimulus if single else stimuli), int),
        "stimulus": design.trial_stimulus if single else stimuli,
        "repeat": design.trial_repeat if single else np.zeros_like(stimuli),
    }
    table = {
        "stimulus": stimuli,
        "id": [f"nsd-{number:05d}" for number in design.nsd_ids],
        "nsd_id": design.nsd_ids,
        "coco_id": np.array([int(row["cocoId"]) for row in rows]),
        "coco_split": [row["cocoSplit"] for row in rows],
        "split": design.split.tolist(),
        "showings": np.bincount(design.trial_stimulus, minlength=len(stimuli)),
    }
    x, y, z = regions.coordinates.T
    write_parquet(options.out / "trials.parquet", trials)
    write_parquet(options.out / "stimuli.parquet", {**table, "captions": captions} if captions else table)
    write_parquet(options.out / "voxels.parquet", {"x": x, "y": y, "z": z, **regions.members})
