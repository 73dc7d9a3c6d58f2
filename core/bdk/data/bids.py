"""BIDS derivatives: for every run a NIfTI with one beta volume per trial, and a table of events with as many rows."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bdk.data.arrays import tidied
from bdk.data.brain_data import BrainData, DataDescription, described
from bdk.data.checks import fingerprint
from bdk.data.configs import BidsConfig
from bdk.data.events import read_columns
from bdk.data.files import existing
from bdk.data.images import FileImages
from bdk.data.volumes import open_nifti, read_mask, read_masked
from bdk.errors import DataError

_ENTITY = re.compile(r"([a-z]+)-([A-Za-z0-9]+)")
EVENT_ENTITIES = ("sub", "ses", "task", "run")
HASH_STEPS = 10_000


@dataclass(frozen=True)
class Run:
    """One run: its betas and its events."""

    betas: Path
    events: Path
    session: str
    number: int


class Bids:
    """Betas and events of one participant.

    Args:
        config: folder, participant, filters, columns.
    """

    def __init__(self, config: BidsConfig) -> None:
        self.config = config

    def sources(self) -> list[Path]:
        """Every table and beta file, and the masks."""
        runs = find_runs(self.config)
        masks = [find_mask(self.config), *(Path(path) for path in self.config.rois.values())]
        return [*masks, *(path for run in runs for path in (run.betas, run.events))]

    def describe(self) -> DataDescription:
        """Reads and checks everything, so that mistakes are found before any work."""
        return described(self.load(), self.config.spaces())

    def load(self) -> BrainData:
        """Read every run.

        Raises:
            DataError: no run is found, or files that are missing, damaged or do not fit each other.
        """
        state = tuple((str(path), path.stat().st_mtime_ns) for path in self.sources() if path.is_file())
        return _load(self.config.model_dump_json(), state)


def entities(path: Path) -> dict[str, str]:
    """``sub-01_ses-02_task-x`` as a mapping."""
    return dict(_ENTITY.findall(path.name))


def find_runs(config: BidsConfig) -> list[Run]:
    """The participant's runs that pass the filters, in order of session and run.

    Raises:
        DataError: there is none, or one has no or several tables of events.
    """
    root = existing(Path(config.root), "the BIDS derivatives (data.root)")
    wanted = {"task": config.task, "desc": config.desc, "space": config.space}
    found = []
    for path in sorted((root / config.subject).rglob(f"*_{config.suffix}.nii.gz")):
        names = entities(path)
        if all(not value or names.get(key) == value for key, value in wanted.items()):
            found.append(Run(path, _events_of(path, config), names.get("ses", ""), int(names.get("run", "1"))))
    if not found:
        raise DataError(
            f"There is no *_{config.suffix}.nii.gz of {config.subject} that passes the filters.",
            where=str(root / config.subject),
            mend="Look at data.subject, data.suffix, data.task, data.desc and data.space.",
        )
    return sorted(found, key=lambda run: (run.session, run.number, run.betas.name))


def _events_of(betas: Path, config: BidsConfig) -> Path:
    names = entities(betas)
    folder = Path(config.events or config.root) / config.subject
    tables = [
        table
        for table in sorted(folder.rglob("*_events.tsv"))
        if all(entities(table).get(key) == names.get(key) for key in EVENT_ENTITIES)
    ]
    if len(tables) != 1:
        raise DataError(
            f"{len(tables)} tables of events fit this run; one is expected.",
            where=str(betas),
            mend=f"Looked for *_events.tsv with the same sub, ses, task and run under {folder}; set data.events.",
        )
    return tables[0]


def find_mask(config: BidsConfig) -> Path:
    """The mask that the options name, or the participant's only one.

    Raises:
        DataError: several masks, or none.
    """
    if config.mask:
        return existing(Path(config.mask), "the mask (data.mask)")
    folder = Path(config.root) / config.subject
    masks = [
        path
        for path in sorted(folder.rglob("*_mask.nii.gz"))
        if not config.space or entities(path).get("space") == config.space
    ]
    if len(masks) != 1:
        raise DataError(f"{len(masks)} masks are here; one is expected.", where=str(folder), mend="Set data.mask.")
    return masks[0]


@lru_cache(maxsize=2)
def _load(config_json: str, state: tuple[tuple[str, int], ...]) -> BrainData:
    config = BidsConfig.model_validate_json(config_json)
    mask = read_mask(find_mask(config), "mask")
    rois = {name: read_mask(Path(file), f"ROI {name!r}", like=mask)[mask] for name, file in config.rois.items()}
    runs = find_runs(config)
    betas = np.concatenate([read_masked(run.betas, mask, "betas").astype(np.float32) for run in runs])
    tables = [_columns(run, config) for run in runs]
    trials = [name for table in tables for name in table[config.stimulus_column]]
    lengths = [len(table[config.stimulus_column]) for table in tables]
    ids = sorted(set(trials))
    number = {name: row for row, name in enumerate(ids)}
    data = BrainData(
        name="bids",
        subject=config.subject,
        betas=betas,
        trial_stimulus=np.array([number[name] for name in trials], dtype=np.int64),
        trial_run=np.repeat(_groups(runs, config), lengths),
        stimulus_ids=tuple(ids),
        split=_split(tables, trials, ids, config),
        split_name=config.split_column or f"hash-{config.test_share:g}",
        images=_images(ids, config),
        captions=_captions(tables, trials, ids, config),
        rois=rois,
        fingerprint=fingerprint(betas, *trials),
    )
    where = f"{config.root}/{config.subject}"
    return tidied(data, roi="", constant=config.constant_voxels, normalise=config.normalise, where=where)


def _columns(run: Run, config: BidsConfig) -> dict[str, list[str]]:
    columns = read_columns(run.events)
    needed = [config.stimulus_column, config.captions_column, config.split_column]
    missing = [name for name in needed if name and name.lower() not in columns]
    if missing:
        raise DataError(
            f"There is no column {missing[0]!r}.", where=str(run.events), mend=f"It has: {', '.join(columns)}."
        )
    rows = {name: columns[name.lower()] for name in needed if name}
    volumes = open_nifti(run.betas, "betas").shape[-1]
    if len(rows[config.stimulus_column]) != volumes:
        raise DataError(
            f"{len(rows[config.stimulus_column])} events, but {volumes} beta volumes in {run.betas.name}.",
            where=str(run.events),
            mend="One beta volume per row of the table is expected.",
        )
    return rows


def _groups(runs: list[Run], config: BidsConfig) -> np.ndarray:
    """A number for each run, or for each session if betas are z-scored by session."""
    if config.normalise != "session":
        return np.arange(len(runs))
    names = sorted({run.session for run in runs})
    return np.array([names.index(run.session) for run in runs])


def _split(tables: list[dict[str, list[str]]], trials: list[str], ids: list[str], config: BidsConfig) -> np.ndarray:
    if not config.split_column:
        return np.array(["test" if _share_of(name) < config.test_share else "train" for name in ids])
    sides = [side for table in tables for side in table[config.split_column]]
    found = _one_per_stimulus(trials, sides, config.split_column)
    wrong = sorted(set(found.values()) - {"train", "test"})
    if wrong:
        raise DataError(f"The split says {wrong[0]!r}; `train` or `test` is expected.", where=config.split_column)
    return np.array([found[name] for name in ids])


def _share_of(name: str) -> float:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % HASH_STEPS / HASH_STEPS


def _one_per_stimulus(trials: list[str], values: list[str], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in zip(trials, values, strict=True):
        if found.setdefault(name, value) != value:
            raise DataError(f"Stimulus {name!r} has two values in column {what!r}: {found[name]!r} and {value!r}.")
    return found


def _images(ids: list[str], config: BidsConfig) -> FileImages | None:
    if not config.stimuli:
        return None
    paths = tuple(Path(config.stimuli) / name for name in ids)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(ids)} pictures are missing.", where=str(missing[0]))
    return FileImages(paths, config.image_size)


def _captions(
    tables: list[dict[str, list[str]]], trials: list[str], ids: list[str], config: BidsConfig
) -> tuple[tuple[str, ...], ...] | None:
    if not config.captions_column:
        return None
    captions = [text for table in tables for text in table[config.captions_column]]
    found = _one_per_stimulus(trials, captions, config.captions_column)
    return tuple((found[name],) for name in ids)
