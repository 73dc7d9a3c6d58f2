"""A BOLD or beta NIfTI, a mask and a table of events: block or trial estimates, z-scored within runs, split by runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from bdk.data.arrays import pictures_by_name, tidied
from bdk.data.brain_data import BrainData, DataDescription, described
from bdk.data.checks import fingerprint
from bdk.data.configs import NiftiConfig
from bdk.data.events import Events, from_onsets, labels_and_runs, per_volume, read_columns
from bdk.data.files import existing, read_mapping
from bdk.data.volumes import read_mask, read_masked
from bdk.errors import DataError

LABEL_STAMP = "category names as captions, no pictures"


class Nifti:
    """Betas estimated from volumes. One stimulus is one label within one run, so that runs can be held out.

    Args:
        config: files, estimate, lag, split.
    """

    def __init__(self, config: NiftiConfig) -> None:
        self.config = config

    def sources(self) -> list[Path]:
        """Every file read."""
        config = self.config
        named = [config.bold, config.mask, config.events, config.captions, *config.rois.values()]
        return [Path(name) for name in named if name]

    def describe(self) -> DataDescription:
        """Reads and checks everything, so that mistakes are found before any work."""
        return described(self.load(), self.config.spaces())

    def load(self) -> BrainData:
        """Read, z-score and estimate.

        Raises:
            DataError: files that are missing, damaged or do not fit each other, or test runs that do not exist.
        """
        state = tuple((str(path), path.stat().st_mtime_ns) for path in self.sources() if path.is_file())
        return _load(self.config.model_dump_json(), state)


@lru_cache(maxsize=16)
def _load(config_json: str, state: tuple[tuple[str, int], ...]) -> BrainData:
    config = NiftiConfig.model_validate_json(config_json)
    mask = read_mask(Path(config.mask), "mask")
    rois = {name: read_mask(Path(file), f"ROI {name!r}", like=mask)[mask] for name, file in config.rois.items()}
    series = read_masked(Path(config.bold), mask, "bold")
    path = Path(config.events)
    columns = read_columns(path)
    if config.kind == "betas" or "onset" not in columns:
        labels, runs = labels_and_runs(columns, path)
        _require_rows(len(labels), len(series), path)
        events = per_volume(labels, runs)
    else:
        events, runs = from_onsets(columns, len(series), config.tr, path)
    series = cleaned(series, runs, config)
    estimates, labels, runs = estimated(series, runs, events, config)
    return _assembled(config, estimates, labels, runs, rois)


def cleaned(series: np.ndarray, runs: np.ndarray, config: NiftiConfig) -> np.ndarray:
    """Detrended (BOLD only) and z-scored within each run, as the options say; constant voxels become 0 there."""
    series = series.astype(np.float32)
    for run in np.unique(runs):
        part = runs == run
        block = series[part].astype(np.float64)
        if config.detrend and config.kind == "bold":
            time = np.arange(len(block)) - (len(block) - 1) / 2
            block = block - np.outer(time, time @ block / max(time @ time, 1.0))
        if config.normalise == "run":
            spread = block.std(axis=0)
            block = (block - block.mean(axis=0)) / np.where(spread > 1e-8, spread, np.inf)
        series[part] = block
    return series


def estimated(
    series: np.ndarray, runs: np.ndarray, events: Events, config: NiftiConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row per estimate: the mean over an event's volumes, or each volume by itself; shifted by the lag.

    Args:
        series: volumes x V.
        runs: run of every volume.
        events: what was shown when.
        config: ``estimate``, ``lag``, ``rest``.

    Returns:
        Estimates (float32), label and run of each.

    Raises:
        DataError: nothing but rest.
    """
    lag = config.lag if config.kind == "bold" else 0
    rows, labels, groups = [], [], []
    for label, run, first, last in zip(events.labels, events.runs, events.first, events.last, strict=True):
        volumes = np.arange(first + lag, last + lag)
        volumes = volumes[volumes < len(series)]
        volumes = volumes[runs[volumes] == run]
        if label in config.rest or not len(volumes):
            continue
        estimates = series[volumes].mean(axis=0, keepdims=True) if config.estimate == "block" else series[volumes]
        rows.append(estimates)
        labels += [label] * len(estimates)
        groups += [run] * len(estimates)
    if not rows:
        raise DataError("The table shows nothing but rest.", where=config.events, mend="Look at `data.rest`.")
    return np.concatenate(rows), np.array(labels), np.array(groups, dtype=np.int64)


def _assembled(
    config: NiftiConfig, estimates: np.ndarray, labels: np.ndarray, runs: np.ndarray, rois: dict[str, np.ndarray]
) -> BrainData:
    pairs = sorted({(int(run), str(label)) for run, label in zip(runs, labels, strict=True)})
    number = {pair: row for row, pair in enumerate(pairs)}
    names = [label for _, label in pairs]
    data = BrainData(
        name="nifti",
        subject=config.subject,
        betas=estimates,
        trial_stimulus=np.array([number[int(r), str(s)] for r, s in zip(runs, labels, strict=True)], dtype=np.int64),
        trial_run=runs,
        stimulus_ids=tuple(f"run-{run}/{label}" for run, label in pairs),
        split=np.where(np.isin([run for run, _ in pairs], _test_runs(config, runs)), "test", "train"),
        split_name=f"by-run ({', '.join(map(str, _test_runs(config, runs)))} held out)",
        images=pictures_by_name(existing(Path(config.images), "images"), names, config.image_size)
        if config.images
        else None,
        captions=_captions(config, names),
        rois=rois,
        fingerprint=fingerprint(estimates, runs, *labels),
        stamps={} if config.images else {"data": LABEL_STAMP},
        groups=np.array(names),
    )
    normalise = "train" if config.normalise == "train" else "none"
    return tidied(data, roi="", constant=config.constant_voxels, normalise=normalise, where=config.bold)


def _test_runs(config: NiftiConfig, runs: np.ndarray) -> tuple[int, ...]:
    known = [int(run) for run in np.unique(runs)]
    test = config.test_runs or (known[-1],)
    missing = [run for run in test if run not in known]
    if missing:
        raise DataError(
            f"There is no run {missing[0]} to hold out.",
            where="data.test_runs",
            mend=f"Runs: {', '.join(map(str, known))}.",
        )
    return tuple(test)


def _captions(config: NiftiConfig, names: list[str]) -> tuple[tuple[str, ...], ...]:
    table = read_mapping(Path(config.captions), "captions").get("captions", {}) if config.captions else {}
    missing = sorted(set(names) - set(table)) if config.captions else []
    if missing:
        raise DataError(f"The label {missing[0]!r} has no caption.", where=config.captions)
    found = [table.get(name, name) for name in names]
    return tuple((texts,) if isinstance(texts, str) else tuple(texts) for texts in found)


def _require_rows(rows: int, volumes: int, path: Path) -> None:
    if rows != volumes:
        raise DataError(
            f"The table has {rows} rows, but there are {volumes} volumes.",
            where=str(path),
            mend="Without onsets the table needs one row per volume.",
        )
