"""Prepared folders: betas and pictures as memory maps, tables as parquet, and a manifest with every checksum.

manifest.json      what it is, how it was made, sizes and checksums of the files below
betas.npy          float32, trials x voxels
images.npy         uint8, stimuli x side x side x 3 (may be missing)
trials.parquet     trial, session, run, stimulus (row), repeat
stimuli.parquet    stimulus (row), id, split, captions, and what else the source says
voxels.parquet     x, y, z, and one truth value per ROI
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bdk.canonical import digest, file_digest
from bdk.data.brain_data import BrainData, DataDescription, described
from bdk.data.configs import PreparedConfig
from bdk.data.images import ArrayImages
from bdk.data.nsd.layout import SESSIONS, VOXELS
from bdk.errors import DataError, PlanError

FORMAT = 1
"""Raised when the layout changes; folders of another format are refused."""
MANIFEST = "manifest.json"
FILES = ("betas.npy", "trials.parquet", "stimuli.parquet", "voxels.parquet", "images.npy")
NEEDED = FILES[:4]
PUBLISHED_SPLITS = {"nsd37": (37, 8859, 982), "nsd40": (40, 9000, 1000)}
"""Sessions, training and test images of subjects with that many sessions."""
PICTURE_BYTES = 425 * 425 * 3
"""Of one of NSD's pictures."""

Progress = Callable[[str, int, int], None]


class Prepared:
    """A data set made by ``bdk data prepare``.

    Args:
        config: folder, and what it must agree with.
    """

    def __init__(self, config: PreparedConfig) -> None:
        self.config = config

    def sources(self) -> list[Path]:
        """The prepared folder."""
        return [Path(self.config.path)] if self.config.path else []

    def describe(self) -> DataDescription:
        """From the folder if there is one, else the published sizes.

        Raises:
            PlanError: no folder, and the sizes of this subject are not published.
        """
        if self.config.path:
            return self._described(self._mapped())
        sessions, *published = PUBLISHED_SPLITS[self.config.split]
        subject = self.config.subject
        if SESSIONS.get(subject, 0) < sessions or self.config.roi != "nsdgeneral":
            raise PlanError(
                f"How many images or voxels {subject} has under {self.config.split!r} in {self.config.roi!r} is not "
                "known without the data.",
                where="data",
                mend="Name a prepared folder (data.path), or plan for subj01, subj02, subj05 or subj07 in nsdgeneral.",
            )
        return DataDescription(
            name="nsd",
            subject=subject,
            voxels=VOXELS[subject],
            n_train=min(published[0], self.config.train or published[0]),
            n_test=min(published[1], self.config.test or published[1]),
            has_images=True,
            has_captions=True,
            spaces=self.config.spaces(),
            split_name=self.config.split,
            trials=sessions * 750,
            picture_bytes=PICTURE_BYTES,
        )

    def load(self) -> BrainData:
        """The folder's data, restricted to the ROI.

        Raises:
            DataError: no folder is named, it is damaged, or it was prepared for another subject or split.
        """
        data = self._mapped()
        if not data.roi_mask(self.config.roi).all():
            data = data.restricted(self.config.roi)
        return data.trial_averaged() if self._averages(data) else data

    def _averages(self, data: BrainData) -> bool:
        return self.config.trials == "average" and bool((data.repeats > 1).any())

    def _described(self, data: BrainData) -> DataDescription:
        """What `load` would give, without copying the betas."""
        shown = int((data.repeats > 0).sum())
        return replace(
            described(data, self.config.spaces()),
            voxels=int(data.roi_mask(self.config.roi).sum()),
            trials=shown if self._averages(data) else len(data.betas),
            picture_bytes=data.images.batch([0]).nbytes if data.images is not None else 0,
        )

    def _mapped(self) -> BrainData:
        """The folder's data as it is; nothing of the betas is read."""
        if not self.config.path:
            raise DataError(
                "No prepared folder is named.",
                where="data.path",
                mend="bdk data prepare nsd --root NSD --subject 1 --out DIR, then --data.path DIR",
            )
        folder = Path(self.config.path)
        manifest = read_manifest(folder)
        for key in ("subject", "split"):
            if manifest[key] != getattr(self.config, key):
                raise DataError(
                    f"The folder was prepared with {key} {manifest[key]!r}, not {getattr(self.config, key)!r}.",
                    where=f"{folder}: data.{key}",
                    mend=f'Set data.{key} = "{manifest[key]}", or prepare another folder.',
                )
        verify(folder, manifest, checksums=self.config.verify == "checksums")
        data = read_prepared(folder, manifest)
        if self.config.train or self.config.test:
            data = data.thinned(train=self.config.train, test=self.config.test)
        return data


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder.

    Raises:
        DataError: there is none, it is malformed, or it is of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            "This is no prepared folder: it has no manifest.json.",
            where=str(folder),
            mend="An interrupted `bdk data prepare` leaves none; run it again and it goes on where it stopped.",
        )
    try:
        manifest = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise DataError(f"The manifest is malformed: {error}", where=str(path)) from error
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"The folder is of format {manifest.get('format')!r}; this version reads {FORMAT}.",
            where=str(path),
            mend="Prepare the data again.",
        )
    return manifest


def write_manifest(folder: Path, facts: Mapping[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    """Add sizes and checksums of the files to the facts, and write the manifest: the folder is then complete."""
    files = {}
    present = [name for name in FILES if (folder / name).is_file()]
    for number, name in enumerate(present):
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": file_digest(folder / name)}
        if progress:
            progress("checksums", number + 1, len(present))
    manifest = {"format": FORMAT, **facts, "files": files}
    aside = folder / f"{MANIFEST}.part"
    aside.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    aside.replace(folder / MANIFEST)
    return manifest


def verify(folder: Path, manifest: Mapping[str, Any], *, checksums: bool, progress: Progress | None = None) -> None:
    """Compare a folder's files with its manifest.

    Raises:
        DataError: a file is missing, of another size or, if asked for, with other contents.
    """
    files = manifest["files"]
    for number, (name, wanted) in enumerate(files.items()):
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != wanted["bytes"]:
            fault = "is missing" if size is None else f"has {size} bytes, not {wanted['bytes']}"
            raise DataError(f"{name} {fault}.", where=str(path), mend="Copy it again, or prepare the data again.")
        if checksums and file_digest(path) != wanted["sha256"]:
            raise DataError(f"{name} is damaged: its checksum differs.", where=str(path), mend="Prepare it again.")
        if progress:
            progress("checksums", number + 1, len(files))
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise DataError(f"The manifest lists no {missing[0]}.", where=str(folder / MANIFEST))


def read_prepared(folder: Path, manifest: Mapping[str, Any]) -> BrainData:
    """A prepared folder's contents; arrays are mapped, not read.

    Raises:
        DataError: files that contradict each other.
    """
    import pyarrow.parquet as pq

    trials, stimuli, voxels = (pq.read_table(folder / f"{name}.parquet") for name in ("trials", "stimuli", "voxels"))
    betas = np.load(folder / "betas.npy", mmap_mode="r")
    if betas.shape != (len(trials), len(voxels)) or betas.dtype != np.float32:
        raise DataError(
            f"betas.npy is {betas.dtype} {betas.shape}; the tables have {len(trials)} trials and {len(voxels)} voxels.",
            where=str(folder),
        )
    captions = stimuli["captions"].to_pylist() if "captions" in stimuli.column_names else None
    images = folder / "images.npy"
    return BrainData(
        name=manifest["name"],
        subject=manifest["subject"],
        betas=betas,
        trial_stimulus=trials["stimulus"].to_numpy().astype(np.int64),
        trial_run=trials["session"].to_numpy().astype(np.int64),
        stimulus_ids=tuple(stimuli["id"].to_pylist()),
        split=np.array(stimuli["split"].to_pylist()),
        split_name=manifest["split"],
        images=ArrayImages(np.load(images, mmap_mode="r")) if images.is_file() else None,
        captions=tuple(tuple(texts) for texts in captions) if captions is not None else None,
        rois={name: voxels[name].to_numpy() for name in voxels.column_names if name not in ("x", "y", "z")},
        fingerprint=digest({name: file["sha256"] for name, file in sorted(manifest["files"].items())}),
        stamps=manifest.get("stamps", {}),
    )
