"""Betas of all sessions into one file, a session at a time; then averaged and z-scored, a block at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bdk.data.nsd.betas import read_session
from bdk.data.nsd.design import Design
from bdk.data.nsd.layout import TRIALS_PER_SESSION
from bdk.data.nsd.options import Options
from bdk.data.nsd.rois import Regions
from bdk.data.nsd.whole_files import new_array, write_rows, write_text
from bdk.data.prepared import Progress
from bdk.data.zscore import moments
from bdk.errors import DataError

STIMULI_AT_ONCE = 512
CONSTANT = 1e-9


def write_sessions(
    options: Options, work: Path, paths: list[Path], regions: Regions, progress: Progress
) -> dict[str, int]:
    """Single trials of every session into one file; sessions that are already there are left.

    Returns:
        Voxels kept at 0 in each session, by session.
    """
    shape = (len(paths) * TRIALS_PER_SESSION, int(regions.mask.sum()))
    file = work / "single.npy"
    if not file.is_file() and not (options.out / "betas.npy").is_file():
        new_array(file, np.float32, shape)
    for number, path in enumerate(paths, 1):
        mark = work / f"session-{number:02d}.json"
        if not mark.is_file():
            betas = read_session(path, regions.mask)
            betas, zeroed = _session_scaled(betas, path, options)
            write_rows(file, (number - 1) * TRIALS_PER_SESSION, betas)
            write_text(mark, json.dumps(zeroed))
        progress("sessions", number, len(paths))
    marks = {f"{n:02d}": json.loads((work / f"session-{n:02d}.json").read_text()) for n in range(1, len(paths) + 1)}
    return {number: count for number, count in marks.items() if count}


def _session_scaled(betas: np.ndarray, path: Path, options: Options) -> tuple[np.ndarray, int]:
    """One session's betas, z-scored over its trials (deviation over n) if asked for, and how many do not vary."""
    mean, std = moments(betas, np.arange(len(betas)), ddof=0)
    constant = ~(std > CONSTANT)
    if constant.any() and options.invalid == "refuse":
        raise DataError(
            f"{int(constant.sum())} voxels do not vary in this session (of the mask, the first is voxel "
            f"{np.flatnonzero(constant)[0]}).",
            where=str(path),
            mend="NSD marks voxels without data so. `--invalid zero` keeps them at 0 there and says how many; the work "
            "done so far is kept.",
        )
    if options.zscore == "session":
        betas = ((betas - mean) / np.where(constant, np.inf, std)).astype(np.float32)
    return betas, int(constant.sum())


def finish_betas(options: Options, work: Path, design: Design, voxels: int, progress: Progress) -> None:
    """Average and z-score by training rows, if asked for, into a file aside; then take its place."""
    target = options.out / "betas.npy"
    if target.is_file():
        return
    source = np.load(work / "single.npy", mmap_mode="r")
    if options.trials == "single" and options.zscore != "train":
        (work / "single.npy").replace(target)
        return
    rows = len(design.nsd_ids) if options.trials == "average" else len(source)
    aside = work / "betas.npy"
    new_array(aside, np.float32, (rows, voxels))
    for start, part in _rows(source, design) if options.trials == "average" else _blocks(source):
        write_rows(aside, start, part)
        progress("averaging" if options.trials == "average" else "copying", start + len(part), rows)
    del source
    if options.zscore == "train":
        train = ~design.shared if options.trials == "average" else ~design.shared[design.trial_stimulus]
        stored = np.load(aside, mmap_mode="r")
        mean, std = moments(stored, np.flatnonzero(train), ddof=1)
        if not (std > CONSTANT).all():
            raise DataError("Some voxels do not vary over the training rows.", where=str(options.root))
        for start, part in _blocks(stored):
            write_rows(aside, start, (part - mean) / std)
            progress("z-scoring", start + len(part), rows)
    aside.replace(target)


def _rows(source: np.ndarray, design: Design) -> Iterator[tuple[int, np.ndarray]]:
    """Mean over the trials of each image, a block of images at a time."""
    order = np.argsort(design.trial_stimulus, kind="stable")
    starts = np.searchsorted(design.trial_stimulus[order], np.arange(len(design.nsd_ids)))
    ends = np.r_[starts[1:], len(order)]
    for first in range(0, len(starts), STIMULI_AT_ONCE):
        last = min(first + STIMULI_AT_ONCE, len(starts))
        trials = order[starts[first] : ends[last - 1]]
        sums = np.add.reduceat(source[trials], starts[first:last] - starts[first], axis=0, dtype=np.float64)
        yield first, (sums / (ends - starts)[first:last, None]).astype(np.float32)


def _blocks(source: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(source), TRIALS_PER_SESSION):
        yield start, np.array(source[start : start + TRIALS_PER_SESSION])
