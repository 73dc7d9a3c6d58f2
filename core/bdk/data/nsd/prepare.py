"""From NSD's official files to a prepared folder, session by session, so that little memory is needed and a killed
preparation goes on where it stopped."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from bdk.data.brain_data import split_sha256
from bdk.data.nsd.captions import read_captions
from bdk.data.nsd.design import Design, check_responses, read_design, read_stimulus_table
from bdk.data.nsd.layout import SESSIONS, Layout
from bdk.data.nsd.options import Options
from bdk.data.nsd.pictures import open_brick, write_images
from bdk.data.nsd.rois import Regions, available, read_regions
from bdk.data.nsd.sessions import finish_betas, write_sessions
from bdk.data.nsd.tables import write_tables
from bdk.data.nsd.whole_files import write_text
from bdk.data.prepared import MANIFEST, PUBLISHED_SPLITS, Progress, read_manifest, write_manifest
from bdk.errors import DataError

WORK = ".work"
NOTE = "options.sha256"
VOXEL_ORDER = "C order of (X, Y, Z): x slowest, z fastest"


@dataclass(frozen=True)
class Inputs:
    """Everything small that is read and checked before the long work."""

    sessions: list[Path]
    design: Design
    runs: np.ndarray | None
    regions: Regions
    rows: list[dict[str, str]]
    captions: list[list[str]] | None


def prepare(options: Options, progress: Progress = lambda stage, done, total: None) -> dict[str, Any]:
    """Prepare one subject.

    Everything small is read and checked first, and every session's file is looked for, before anything is written.

    Returns:
        The manifest.

    Raises:
        DataError: missing, damaged or contradicting files; the file is named. Also a folder that holds something else,
            or is being prepared by another process.
    """
    if _is_done(options):
        return read_manifest(options.out)
    inputs = read_inputs(options)
    work = options.out / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        write_text(work / NOTE, options.identity())
        with FileLock(work / "lock", timeout=0):
            manifest = _write(options, inputs, work, progress)
    except Timeout as error:
        raise DataError("Another process is preparing this folder.", where=str(options.out)) from error
    except PermissionError as error:
        raise DataError(f"The folder cannot be written: {error}", where=str(options.out)) from error
    shutil.rmtree(work)
    return manifest


def _is_done(options: Options) -> bool:
    """Whether the folder is complete.

    Raises:
        DataError: it holds, or has begun to hold, something else.
    """
    note, identity = options.out / WORK / NOTE, options.identity()
    if (options.out / MANIFEST).is_file():
        if read_manifest(options.out).get("options_sha256") == identity:
            return True
        fault, mend = "The folder holds a set prepared with other options.", "Name another."
    elif note.is_file() and note.read_text() != identity:
        fault = "The folder holds an unfinished preparation with other options."
        mend = "Finish it with its own options, delete it, or name another folder."
    elif not note.is_file() and options.out.exists() and not _is_empty(options.out):
        fault, mend = "The folder to write is not empty.", "Name a new folder."
    else:
        return False
    raise DataError(fault, where=str(options.out), mend=mend)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def read_inputs(options: Options) -> Inputs:
    """Read and check design, regions, stimulus table and captions, and look for every session's file.

    Raises:
        DataError: as `prepare`.
    """
    layout = Layout(options.root, options.subject, options.version)
    count = min(PUBLISHED_SPLITS[options.split][0], SESSIONS[layout.name])
    sessions = [layout.session(number, options.betas) for number in range(1, count + 1)]
    design = read_design(layout, count)
    _require_published(layout, options.split, design)
    rows = read_stimulus_table(layout.stimulus_table, design.nsd_ids)
    _require_shared(rows, design, layout)
    if options.images:
        with open_brick(layout.stimuli, design.nsd_ids):
            pass
    return Inputs(
        sessions,
        design,
        check_responses(layout.responses, design),
        read_regions(layout, options.masks, available(layout)),
        rows,
        _captions(options, rows),
    )


def _write(options: Options, inputs: Inputs, work: Path, progress: Progress) -> dict[str, Any]:
    design, regions = inputs.design, inputs.regions
    invalid = write_sessions(options, work, inputs.sessions, regions, progress)
    finish_betas(options, work, design, len(regions.coordinates), progress)
    if options.images:
        brick = Layout(options.root, options.subject, options.version).stimuli
        write_images(options.out, work, brick, design.nsd_ids, progress)
    write_tables(options, design, regions, inputs.rows, inputs.runs, inputs.captions)
    return write_manifest(options.out, _facts(options, design, regions, inputs.sessions, invalid), progress)


def _require_published(layout: Layout, split: str, design: Design) -> None:
    sessions, train, test = PUBLISHED_SPLITS[split]
    found = (int((~design.shared).sum()), int(design.shared.sum()))
    if SESSIONS[layout.name] >= sessions and found != (train, test):
        raise DataError(
            f"The first {sessions} sessions show {found[0]} + {found[1]} images, not the published {train} + {test}.",
            where=str(layout.design),
            mend="The design is not NSD's.",
        )


def _require_shared(rows: list[dict[str, str]], design: Design, layout: Layout) -> None:
    stated = np.array([row["shared1000"].strip().lower() in ("true", "1") for row in rows])
    if (stated != design.shared).any():
        number = design.nsd_ids[np.flatnonzero(stated != design.shared)[0]]
        raise DataError(
            f"Image {number} is shared in one of the stimulus table and the design, and not in the other.",
            where=f"{layout.stimulus_table}, {layout.design}",
        )


def _captions(options: Options, rows: list[dict[str, str]]) -> list[list[str]] | None:
    if options.captions is None:
        return None
    return read_captions(options.captions, [int(row["cocoId"]) for row in rows], [row["cocoSplit"] for row in rows])


def _facts(
    options: Options, design: Design, regions: Regions, paths: list[Path], invalid: dict[str, int]
) -> dict[str, Any]:
    ids = [f"nsd-{number:05d}" for number in design.nsd_ids]
    return {
        "name": "nsd",
        "subject": f"subj{options.subject:02d}",
        "split": options.split,
        "split_sha256": split_sha256(options.split, ids, design.split),
        "sessions": len(paths),
        "sizes": {
            "trials": len(design.trial_stimulus),
            "stimuli": len(ids),
            "train": int((~design.shared).sum()),
            "test": int(design.shared.sum()),
            "voxels": int(regions.mask.sum()),
        },
        "volume": list(regions.mask.shape),
        "voxel_order": VOXEL_ORDER,
        "masks": list(options.masks),
        "betas": {"version": options.version, "unit": _unit(options), "read_from": _route(paths)},
        "zscore": options.zscore,
        "trials": options.trials,
        "voxels_at_zero_by_session": invalid,
        "options_sha256": options.identity(),
        "stamps": {},
    }


def _unit(options: Options) -> str:
    return "percent signal change" if options.zscore == "none" else f"z-scored ({options.zscore})"


def _route(paths: list[Path]) -> str:
    kinds = sorted({"hdf5" if path.suffix == ".hdf5" else "nifti" for path in paths})
    return " and ".join(kinds)
