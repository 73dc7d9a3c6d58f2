"""Tables of what was shown when, brought to one form: a label and a run for every volume, or a list of events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdk.data.files import read_table
from bdk.errors import DataError

LABEL_NAMES = ("label", "labels", "trial_type", "condition", "targets", "stim_file")
RUN_NAMES = ("run", "runs", "chunk", "chunks", "session")


@dataclass(frozen=True)
class Events:
    """A stretch of time during which one label was shown.

    Args:
        labels: label of each event, in the order of the table.
        runs: run of each event.
        first: first volume of each, counted through the whole file.
        last: volume after the last.
    """

    labels: np.ndarray
    runs: np.ndarray
    first: np.ndarray
    last: np.ndarray


def read_columns(path: Path) -> dict[str, list[str]]:
    """Columns of a table by name; a table without a header has ``label`` and ``run``.

    Raises:
        DataError: no label column, or rows of different lengths.
    """
    rows = read_table(path, "events")
    header = [cell.lower() for cell in rows[0]]
    named = any(name in header for name in (*LABEL_NAMES, "onset"))
    if not named:
        header = ["label", "run"][: len(rows[0])]
    for number, row in enumerate(rows, 1):
        if len(row) < len(header):
            raise DataError(f"Row {number} has {len(row)} cells, not {len(header)}.", where=str(path))
    return {name: [row[column] for row in rows[named:]] for column, name in enumerate(header)}


def labels_and_runs(columns: dict[str, list[str]], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Label and run of every row; one run if the table names none.

    Raises:
        DataError: no label column, or a run that is no whole number.
    """
    name = next((name for name in LABEL_NAMES if name in columns), None)
    if name is None:
        raise DataError(f"No column says what was shown; one of {', '.join(LABEL_NAMES)} is expected.", where=str(path))
    labels = np.array(columns[name])
    run = next((name for name in RUN_NAMES if name in columns), None)
    try:
        runs = np.array([int(float(cell)) for cell in columns[run]]) if run else np.zeros(len(labels), dtype=int)
    except ValueError as error:
        raise DataError(f"A run is no whole number: {error}", where=str(path)) from error
    return labels, runs.astype(np.int64)


def per_volume(labels: np.ndarray, runs: np.ndarray) -> Events:
    """Every stretch of volumes with one label in one run."""
    starts = np.flatnonzero(np.r_[True, (labels[1:] != labels[:-1]) | (runs[1:] != runs[:-1])])
    ends = np.r_[starts[1:], len(labels)]
    return Events(labels[starts], runs[starts], starts, ends)


def from_onsets(columns: dict[str, list[str]], volumes: int, tr: float, path: Path) -> tuple[Events, np.ndarray]:
    """Events with onsets in seconds since the start of their run, runs being of equal length.

    Returns:
        The events and the run of every volume.

    Raises:
        DataError: onsets or durations that are no numbers, runs of unequal length, or an event outside its run.
    """
    labels, runs = labels_and_runs(columns, path)
    try:
        onset = np.array([float(cell) for cell in columns["onset"]])
        duration = np.array([float(cell) for cell in columns.get("duration", ["0"] * len(onset))])
    except ValueError as error:
        raise DataError(f"An onset or duration is no number of seconds: {error}", where=str(path)) from error
    names = np.unique(runs)
    length, left = divmod(volumes, len(names))
    if left:
        raise DataError(f"{volumes} volumes do not make {len(names)} runs of equal length.", where=str(path))
    offset = np.searchsorted(names, runs) * length
    first = np.round(onset / tr).astype(int)
    last = np.maximum(first + 1, np.round((onset + duration) / tr).astype(int))
    outside = np.flatnonzero((first < 0) | (first >= length))
    if len(outside):
        row = outside[0]
        raise DataError(
            f"Event {row + 1} starts at {onset[row]} s, outside its run of {length * tr} s.",
            where=str(path),
            mend="Onsets count from the start of each run; check `tr`.",
        )
    return Events(labels, runs, first + offset, np.minimum(last, length) + offset), np.repeat(names, length)
