"""Betas and the stimuli that evoked them: the one form in which every data set enters the pass."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from bdk.data.images import ChosenImages, ImageSource
from bdk.errors import DataError

Normalisation = Literal["none", "session", "run", "train"]
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class BrainData:
    """One subject's betas, trial by trial, with the table of stimuli they belong to.

    Args:
        name: the data set, such as ``demo``.
        subject: such as ``subj01``.
        betas: GLM response estimates, float32 trials x V; may be a memory map.
        trial_stimulus: int64, row of the stimulus table for each trial.
        trial_run: int64, run (or scan session) of each trial.
        stimulus_ids: one name per stimulus.
        split: ``train`` or ``test`` per stimulus.
        split_name: such as ``nsd37``; part of `split_sha256`.
        images: the pictures, or None if there are none.
        captions: one or more captions per stimulus, or None.
        rois: for each region of interest, which of the V voxels belong to it.
        fingerprint: sha256 of the contents, or of a manifest's checksums.
        stamps: what every output must say of the data.
        world: options of the stand-in galleries that go with it; empty for real data.
        groups: category of each stimulus, for category identification; None if there are none.

    Raises:
        DataError: lengths that contradict each other, or a trial without a stimulus.
    """

    name: str
    subject: str
    betas: np.ndarray
    trial_stimulus: np.ndarray
    trial_run: np.ndarray
    stimulus_ids: tuple[str, ...]
    split: np.ndarray
    split_name: str
    images: ImageSource | None
    captions: tuple[tuple[str, ...], ...] | None
    rois: Mapping[str, np.ndarray]
    fingerprint: str
    stamps: Mapping[str, str] = field(default_factory=dict)
    world: Mapping[str, object] = field(default_factory=dict)
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        trials, stimuli = len(self.betas), len(self.stimulus_ids)
        _same_length("betas and trial_stimulus", trials, len(self.trial_stimulus), self.name)
        _same_length("betas and trial_run", trials, len(self.trial_run), self.name)
        _same_length("stimulus_ids and split", stimuli, len(self.split), self.name)
        for noun in ("images", "captions", "groups"):
            if getattr(self, noun) is not None:
                _same_length(f"stimulus_ids and {noun}", stimuli, len(getattr(self, noun)), self.name)
        for roi, members in self.rois.items():
            _same_length(f"voxels of the betas and of ROI {roi!r}", self.voxels, len(members), self.name)
        if trials and (self.trial_stimulus.min() < 0 or self.trial_stimulus.max() >= stimuli):
            raise DataError("A trial points outside the stimulus table.", where=f"data set {self.name!r}")

    @property
    def voxels(self) -> int:
        """V, voxels of the betas."""
        return int(self.betas.shape[1])

    @cached_property
    def split_sha256(self) -> str:
        """Hash of the split: its name, and which stimulus is on which side."""
        return split_sha256(self.split_name, self.stimulus_ids, self.split)

    @cached_property
    def repeats(self) -> np.ndarray:
        """Trials of each stimulus, int64."""
        return np.bincount(self.trial_stimulus, minlength=len(self.stimulus_ids))

    @cached_property
    def _trials_by_stimulus(self) -> tuple[np.ndarray, np.ndarray]:
        """Trials sorted by stimulus (ties in the order shown), and where each stimulus starts among them."""
        order = np.argsort(self.trial_stimulus, kind="stable")
        return order, np.concatenate([[0], np.cumsum(self.repeats)])

    def rows(self, split: str) -> np.ndarray:
        """Rows of the stimuli on one side of the split that were shown at least once, ascending."""
        return np.flatnonzero((np.asarray(self.split) == split) & (self.repeats > 0))

    def trials_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every trial of some stimuli: trial numbers, and for each its position in ``rows``."""
        order, starts = self._trials_by_stimulus
        rows = np.asarray(rows, dtype=np.int64)
        position = np.repeat(np.arange(len(rows)), self.repeats[rows])
        trials = [order[starts[row] : starts[row + 1]] for row in rows]
        return (np.concatenate(trials) if trials else np.empty(0, dtype=np.int64)), position

    def gather(self, trials: np.ndarray, roi: str | None = None) -> np.ndarray:
        """Betas of single trials, float32 trials x voxels of the ROI."""
        betas = np.asarray(self.betas[np.asarray(trials, dtype=np.int64)], dtype=np.float32)
        return betas if roi is None else betas[:, self.roi_mask(roi)]

    def repeat(self, rows: np.ndarray, which: int, roi: str | None = None) -> np.ndarray:
        """Betas of one showing of each stimulus, counted from 0; wraps round where there are fewer."""
        order, starts = self._trials_by_stimulus
        rows = self._shown(rows)
        return self.gather(order[starts[rows] + which % self.repeats[rows]], roi)

    def averaged(self, rows: np.ndarray, roi: str | None = None) -> np.ndarray:
        """Mean betas over the trials of each stimulus, float32 rows x voxels of the ROI.

        Raises:
            DataError: a stimulus of ``rows`` was never shown, or there is no such ROI.
        """
        rows = self._shown(rows)
        columns = slice(None) if roi is None else self.roi_mask(roi)
        width = self.voxels if roi is None else int(self.roi_mask(roi).sum())
        means = np.empty((len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            block = rows[start : start + ROWS_AT_ONCE]
            trials, position = self.trials_of(block)
            first = np.flatnonzero(np.diff(position, prepend=-1))
            sums = np.add.reduceat(self.gather(trials)[:, columns], first, axis=0, dtype=np.float64)
            means[start : start + len(block)] = sums / self.repeats[block][:, None]
        return means

    def _shown(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.int64)
        silent = rows[self.repeats[rows] == 0]
        if len(silent):
            names = ", ".join(self.stimulus_ids[row] for row in silent[:3])
            raise DataError(f"{len(silent)} stimuli have no trial: {names}.", where=f"data set {self.name!r}")
        return rows

    def roi_mask(self, roi: str) -> np.ndarray:
        """Voxels of a region, bool V; ``a+b`` is the union of two.

        Raises:
            DataError: there is no such region; the known ones are listed.
        """
        members = np.zeros(self.voxels, dtype=bool)
        for name in roi.split("+"):
            if name not in self.rois:
                known = ", ".join(self.rois) or "none"
                raise DataError(f"There is no ROI {name!r}.", where=f"data set {self.name!r}", mend=f"Known: {known}.")
            members |= np.asarray(self.rois[name], dtype=bool)
        return members

    def thinned(self, *, train: int = 0, test: int = 0) -> BrainData:
        """The same data with so many stimuli on each side of the split, evenly spread over the table; 0 keeps all."""
        rows = [
            self.rows(side)[_spread(len(self.rows(side)), most)] for side, most in (("train", train), ("test", test))
        ]
        kept = np.sort(np.concatenate(rows))
        place = np.full(len(self.stimulus_ids), -1)
        place[kept] = np.arange(len(kept))
        trials = np.flatnonzero(place[self.trial_stimulus] >= 0)
        counts = [(len(found), len(self.rows(side))) for found, side in zip(rows, ("train", "test"), strict=True)]
        said = "{} of {} training and {} of {} test stimuli".format(*(number for pair in counts for number in pair))
        return replace(
            self,
            betas=self.gather(trials),
            trial_stimulus=place[self.trial_stimulus[trials]].astype(np.int64),
            trial_run=self.trial_run[trials],
            stimulus_ids=tuple(self.stimulus_ids[row] for row in kept),
            split=np.asarray(self.split)[kept],
            images=ChosenImages(self.images, kept) if self.images is not None else None,
            captions=tuple(self.captions[row] for row in kept) if self.captions is not None else None,
            groups=np.asarray(self.groups)[kept] if self.groups is not None else None,
            stamps={**self.stamps, "subset": said},
            fingerprint=_extended(self.fingerprint, "thinned", f"{train}", f"{test}"),
        )

    def restricted(self, roi: str) -> BrainData:
        """The same data with the voxels of one region only; the betas are copied into memory."""
        return self.restricted_to(self.roi_mask(roi), roi)

    def restricted_to(self, keep: np.ndarray, name: str) -> BrainData:
        """The same data with some voxels only (bool V); ``name`` says which, for the fingerprint."""
        betas = np.empty((len(self.betas), int(keep.sum())), dtype=np.float32)
        for start in range(0, len(betas), ROWS_AT_ONCE):
            betas[start : start + ROWS_AT_ONCE] = self.betas[start : start + ROWS_AT_ONCE][:, keep]
        rois = {name: np.asarray(members)[keep] for name, members in self.rois.items()}
        return replace(self, betas=betas, rois=rois, fingerprint=_extended(self.fingerprint, "voxels", name))

    def normalised(self, how: Normalisation) -> BrainData:
        """Z-score every voxel; the betas are copied into memory.

        Args:
            how: ``session`` or ``run``: over the trials of each value of ``trial_run`` (MindEye's way);
                ``train``: by the mean and standard deviation (n - 1) of the training trials, applied to all
                (Brain-Diffuser's way, if the trials were averaged before); ``none``: as they are.

        Raises:
            DataError: a voxel that does not vary over the trials it is z-scored on.
        """
        from bdk.data.zscore import zscored

        if how == "none":
            return self
        is_train = (np.asarray(self.split) == "train")[self.trial_stimulus]
        betas = zscored(self.betas, self.trial_run if how in ("session", "run") else None, is_train, where=self.name)
        return replace(self, betas=betas, fingerprint=_extended(self.fingerprint, "normalised", how))

    def trial_averaged(self) -> BrainData:
        """The same data with one trial per stimulus, the mean of its trials; runs are lost (all 0)."""
        rows = np.flatnonzero(self.repeats > 0)
        return replace(
            self,
            betas=self.averaged(rows),
            trial_stimulus=rows.astype(np.int64),
            trial_run=np.zeros(len(rows), dtype=np.int64),
            fingerprint=_extended(self.fingerprint, "trials", "average"),
        )


@dataclass(frozen=True)
class DataDescription:
    """What a data set will hold, as far as it can be said without reading it whole.

    Args:
        name: the data set.
        subject: whose betas.
        voxels: V after any choice of ROI.
        n_train: training stimuli.
        n_test: test stimuli.
        has_images: whether there are pictures; without them only text guides and retrieval scores exist.
        has_captions: whether there are captions; without them no text guide exists.
        spaces: default space id of each guide the data can give, by guide name.
        stamps: what every output must say of the data.
        split_name: name of the split.
        trials: trials in all, 0 if not known beforehand.
        rois: voxels of each named region, where known.
        world: options of the stand-in galleries that go with the data; empty for real data.
        picture_bytes: of one picture as it is stored, 0 if not known beforehand.
    """

    name: str
    subject: str
    voxels: int
    n_train: int
    n_test: int
    has_images: bool
    has_captions: bool
    spaces: Mapping[str, str]
    stamps: Mapping[str, str] = field(default_factory=dict)
    split_name: str = ""
    trials: int = 0
    rois: Mapping[str, int] = field(default_factory=dict)
    world: Mapping[str, object] = field(default_factory=dict)
    picture_bytes: int = 0


@runtime_checkable
class Dataset(Protocol):
    """A data set; built as ``Target(config)``."""

    def describe(self) -> DataDescription: ...

    def load(self) -> BrainData: ...


def described(data: BrainData, spaces: Mapping[str, str]) -> DataDescription:
    """The description of data that is already loaded; guides it cannot give are left out of ``spaces``."""
    has_images, has_captions = data.images is not None, data.captions is not None
    possible = {"image": has_images, "low": has_images, "text": has_captions}
    return DataDescription(
        name=data.name,
        subject=data.subject,
        voxels=data.voxels,
        n_train=len(data.rows("train")),
        n_test=len(data.rows("test")),
        has_images=has_images,
        has_captions=has_captions,
        spaces={guide: space for guide, space in spaces.items() if possible.get(guide, True)},
        stamps=dict(data.stamps),
        split_name=data.split_name,
        trials=len(data.betas),
        rois={name: int(np.sum(members)) for name, members in data.rois.items()},
    )


def split_sha256(name: str, ids: Sequence[str], sides: Sequence[str] | np.ndarray) -> str:
    """Hash of a split: its name, and which stimulus is on which side, in any order."""
    lines = sorted(f"{stimulus}\t{side}" for stimulus, side in zip(ids, sides, strict=True))
    return hashlib.sha256("\n".join([name, *lines]).encode()).hexdigest()


def _same_length(what: str, first: int, second: int, name: str) -> None:
    if first != second:
        raise DataError(
            f"The lengths of {what} differ: {first} and {second}.",
            where=f"data set {name!r}",
            mend="Every trial needs one row of betas and one stimulus; every stimulus one row of each table.",
        )


def _spread(count: int, most: int) -> np.ndarray:
    """So many places out of ``count``, evenly spread; all of them for 0."""
    return np.arange(count) if not most or most >= count else np.arange(most) * count // most


def _extended(fingerprint: str, *words: str) -> str:
    return hashlib.sha256("\n".join([fingerprint, *words]).encode()).hexdigest()
