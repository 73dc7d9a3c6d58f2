"""Which image was shown in which trial, and which images are for testing."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdk.data.files import existing
from bdk.data.nsd.layout import IMAGES, SHARED, TRIALS_PER_SESSION, Layout
from bdk.errors import DataError


@dataclass(frozen=True)
class Design:
    """The trials of one subject's first sessions, and the images shown in them.

    Args:
        nsd_ids: of the images, counted from 0, ascending: the stimulus table.
        shared: which of them all subjects saw: the test images.
        trial_stimulus: row of the stimulus table for each trial.
        trial_session: session of each trial, from 1.
        trial_repeat: which showing of its image each trial is, from 0.
    """

    nsd_ids: np.ndarray
    shared: np.ndarray
    trial_stimulus: np.ndarray
    trial_session: np.ndarray
    trial_repeat: np.ndarray

    @property
    def split(self) -> np.ndarray:
        """``test`` for the shared images, else ``train``."""
        return np.where(self.shared, "test", "train")


def read_design(layout: Layout, sessions: int) -> Design:
    """The design of the first sessions, from ``nsd_expdesign.mat`` (all numbers in it count from 1).

    nsdId = subjectim[subject - 1, masterordering[trial] - 1] - 1; an image is shared if its number in masterordering is
    at most 1000.

    Raises:
        DataError: the file is missing, damaged, or holds other sizes than NSD's.
    """
    masterordering, subjectim = _read_mat(layout.design)
    trials = sessions * TRIALS_PER_SESSION
    if trials > len(masterordering):
        raise DataError(f"The design has {len(masterordering)} trials, fewer than {trials}.", where=str(layout.design))
    shown = masterordering[:trials]
    nsd_of_trial = subjectim[layout.subject - 1, shown - 1] - 1
    nsd_ids, rows, counts = np.unique(nsd_of_trial, return_inverse=True, return_counts=True)
    order = np.argsort(rows, kind="stable")
    repeat = np.empty(trials, dtype=np.int64)
    repeat[order] = np.arange(trials) - np.repeat(np.cumsum(counts) - counts, counts)
    shared = np.zeros(len(nsd_ids), dtype=bool)
    shared[rows[shown <= SHARED]] = True
    session = np.repeat(np.arange(1, sessions + 1), TRIALS_PER_SESSION)
    return Design(nsd_ids, shared, rows.astype(np.int64), session, repeat)


def _read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    try:
        mat = loadmat(existing(path, "the experimental design"))
        masterordering = mat["masterordering"].ravel().astype(np.int64)
        subjectim = mat["subjectim"].astype(np.int64)
    except (KeyError, ValueError, TypeError, OSError, NotImplementedError) as error:
        raise DataError(f"The experimental design cannot be read: {error}", where=str(path)) from error
    sizes_fit = subjectim.ndim == 2 and subjectim.shape[0] == 8 and masterordering.size > 0
    if not sizes_fit or masterordering.min() < 1 or masterordering.max() > subjectim.shape[1]:
        raise DataError(
            f"masterordering ({masterordering.shape}) and subjectim ({subjectim.shape}) do not fit each other; "
            "30,000 numbers from 1 to 10,000 and 8 x 10,000 are expected.",
            where=str(path),
        )
    if subjectim.min() < 1 or subjectim.max() > IMAGES:
        raise DataError(f"subjectim names images outside 1 to {IMAGES}.", where=str(path))
    return masterordering, subjectim


def check_responses(path: Path, design: Design) -> np.ndarray | None:
    """Compare the subject's response table with the design, and take the run of every trial from it.

    Returns:
        The run of each trial within its session, from 1; None if there is no table.

    Raises:
        DataError: a trial that shows another image, or another order.
    """
    if not path.is_file():
        return None
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))[: len(design.trial_stimulus)]
    needed = {"SESSION", "RUN", "73KID"}
    if not rows or not needed <= set(rows[0]):
        raise DataError(f"The response table lacks columns {', '.join(sorted(needed))}.", where=str(path))
    if len(rows) < len(design.trial_stimulus):
        raise DataError(f"{len(rows)} trials, fewer than {len(design.trial_stimulus)}.", where=str(path))
    images = np.array([int(float(row["73KID"])) for row in rows]) - 1
    sessions = np.array([int(float(row["SESSION"])) for row in rows])
    wrong = np.flatnonzero((images != design.nsd_ids[design.trial_stimulus]) | (sessions != design.trial_session))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} trials disagree with nsd_expdesign.mat (the first: trial {wrong[0] + 1} of session "
            f"{sessions[wrong[0]]}).",
            where=str(path),
            mend="The table and the design are of different subjects or versions.",
        )
    return np.array([int(float(row["RUN"])) for row in rows])


def read_stimulus_table(path: Path, nsd_ids: np.ndarray) -> list[dict[str, str]]:
    """Rows of ``nsd_stim_info_merged.csv`` for some images.

    Raises:
        DataError: missing columns, or a row whose nsdId is not its number.
    """
    with existing(path, "the stimulus table").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    needed = {"cocoId", "cocoSplit", "nsdId", "shared1000"}
    if not rows or not needed <= set(rows[0]):
        raise DataError(f"The stimulus table lacks columns {', '.join(sorted(needed))}.", where=str(path))
    if len(rows) != IMAGES or any(int(row["nsdId"]) != number for number, row in enumerate(rows)):
        raise DataError(f"{IMAGES} rows in the order of nsdId are expected.", where=str(path))
    return [rows[number] for number in nsd_ids]
