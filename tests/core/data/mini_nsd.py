"""Miniature NSD trees in the official file formats: 40 sessions of 750 trials, 10,000 images, all numbers as in NSD.

Only the volumes and the pictures are small. Sizes of the splits are NSD's: 8,859 + 982 and 9,000 + 1,000.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np
from scipy.io import savemat

TRIALS, SESSIONS, IMAGES = 750, 40, 73_000
ATLASES = {"streams": 7, "prf-visualrois": 7, "floc-faces": 5, "floc-places": 3, "floc-bodies": 4, "floc-words": 5}


@dataclass
class MiniNsd:
    """Where the tree lies, and what is in it."""

    root: Path
    coco: Path
    subject: int
    masterordering: np.ndarray
    subjectim: np.ndarray
    volumes: dict[str, np.ndarray]
    side: int

    @property
    def betas(self) -> Path:
        return self.root / f"nsddata_betas/ppdata/subj{self.subject:02d}/func1pt8mm/betas_fithrf_GLMdenoise_RR"

    def session(self, number: int, kind: str = "hdf5") -> Path:
        return self.betas / f"betas_session{number:02d}.{kind}"

    def roi(self, name: str) -> Path:
        return self.root / f"nsddata/ppdata/subj{self.subject:02d}/func1pt8mm/roi/{name}.nii.gz"

    def nsd_id(self, trial: int) -> int:
        """Plain reading of the design, numbers from 0."""
        return int(self.subjectim[self.subject - 1, self.masterordering[trial] - 1]) - 1


def make(
    root: Path,
    *,
    shape=(5, 4, 6),
    sessions: int = SESSIONS,
    kinds=("hdf5", "nii.gz"),
    subject: int = 1,
    side: int = 6,
    seed: int = 0,
) -> MiniNsd:
    """Write a tree with so many sessions, in one or both of the beta formats."""
    rng = np.random.default_rng(seed)
    masterordering, subjectim = _design(rng)
    volumes = _regions(rng, shape)
    tree = MiniNsd(root / "nsd", root / "coco", subject, masterordering, subjectim, volumes, side)
    _write_design(tree)
    for name, volume in volumes.items():
        _write_nifti(tree.roi(name), volume)
    for number in range(1, sessions + 1):
        write_session(tree, number, rng.integers(-3000, 3000, (*shape, TRIALS), dtype=np.int16), kinds)
    _write_pictures(tree, rng)
    _write_captions(tree)
    _write_responses(tree)
    return tree


def _design(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each of 10,000 images three times; 18 shared and 141 others in the last three sessions only."""
    late = np.concatenate([np.arange(983, 1001), np.arange(9860, 10001)])
    early = np.setdiff1d(np.arange(1, 10001), late)
    first = 37 * TRIALS
    others = rng.permutation(np.repeat(early, 2))
    room = first - len(early)
    masterordering = np.concatenate(
        [
            rng.permutation(np.concatenate([early, others[:room]])),
            rng.permutation(np.concatenate([others[room:], np.repeat(late, 3)])),
        ]
    )
    images = rng.permutation(IMAGES) + 1
    shared, own = images[:1000], images[1000:]
    subjectim = np.stack([np.concatenate([shared, own[s * 9000 : (s + 1) * 9000]]) for s in range(8)])
    return masterordering, subjectim


def _regions(rng: np.random.Generator, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """`nsdgeneral` and all atlases with so many labels; -1 outside a made-up cortex, as in NSD's files."""
    cortex = rng.random(shape) < 0.7
    return {
        "nsdgeneral": np.where(cortex, (rng.random(shape) < 0.6).astype(int), -1).astype(np.int16),
        **{
            name: np.where(cortex, rng.permutation(cortex.size).reshape(shape) % (count + 1), -1).astype(np.int16)
            for name, count in ATLASES.items()
        },
    }


def _write_nifti(path: Path, volume: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1.8, 1.8, 1.8, 1.0])), path)


def write_session(tree: MiniNsd, number: int, betas: np.ndarray, kinds=("hdf5", "nii.gz")) -> None:
    """A session's betas (X Y Z trials, int16) as NSD writes them: MATLAB's hdf5 shows its axes turned round."""
    tree.betas.mkdir(parents=True, exist_ok=True)
    if "nii.gz" in kinds:
        _write_nifti(tree.session(number, "nii.gz"), betas)
    if "hdf5" in kinds:
        with h5py.File(tree.session(number, "hdf5"), "w") as file:
            turned = betas.transpose(3, 2, 1, 0)
            file.create_dataset("betas", data=turned, chunks=(turned.shape[0], 1, 1, 1))


def _write_design(tree: MiniNsd) -> None:
    folder = tree.root / "nsddata/experiments/nsd"
    folder.mkdir(parents=True)
    savemat(folder / "nsd_expdesign.mat", {
        "masterordering": tree.masterordering[None].astype(float), "subjectim": tree.subjectim.astype(float),
        "sharedix": np.sort(tree.subjectim[0, :1000])[None].astype(float)})  # fmt: skip
    shared = set(tree.subjectim[0, :1000].tolist())
    with (folder / "nsd_stim_info_merged.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", "cocoId", "cocoSplit", "cropBox", "loss", "nsdId", "flagged", "BOLD5000", "shared1000"])
        for number in range(IMAGES):
            split = "val2017" if number % 20 == 0 else "train2017"
            writer.writerow(
                [number, coco_id(number), split, "(0, 0, 0, 0)", 0.1, number, False, False, number + 1 in shared]
            )


def coco_id(nsd_id: int) -> int:
    return nsd_id * 7 + 11


def captions_of(nsd_id: int) -> list[str]:
    return [f"caption {k} of image {nsd_id}" for k in range(5 + nsd_id % 2)]


def _write_pictures(tree: MiniNsd, rng: np.random.Generator) -> None:
    folder = tree.root / "nsddata_stimuli/stimuli/nsd"
    folder.mkdir(parents=True)
    with h5py.File(folder / "nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = rng.integers(0, 256, (IMAGES, tree.side, tree.side, 3), dtype=np.uint8)


def _write_captions(tree: MiniNsd) -> None:
    """Annotations of the subject's images, out of order, with blanks as COCO has them."""
    tree.coco.mkdir(parents=True)
    for split in ("train2017", "val2017"):
        ids = [n - 1 for n in tree.subjectim[tree.subject - 1].tolist() if ((n - 1) % 20 == 0) == (split == "val2017")]
        rows = [
            {"image_id": coco_id(number), "id": number * 10 + k, "caption": f" {text}\n"}
            for number in ids
            for k, text in reversed(list(enumerate(captions_of(number))))
        ]
        (tree.coco / f"captions_{split}.json").write_text(json.dumps({"info": {}, "annotations": rows}))


def _write_responses(tree: MiniNsd) -> None:
    path = tree.root / f"nsddata/ppdata/subj{tree.subject:02d}/behav/responses.tsv"
    path.parent.mkdir(parents=True)
    with path.open("w") as stream:
        stream.write("SUBJECT\tSESSION\tRUN\tTRIAL\t73KID\t10KID\tTIME\n")
        for trial in range(SESSIONS * TRIALS):
            within = trial % TRIALS
            stream.write(
                f"{tree.subject}\t{trial // TRIALS + 1}\t{within * 12 // TRIALS + 1}\t{within + 1}\t"
                f"{tree.nsd_id(trial) + 1}\t{tree.masterordering[trial]}\t0\n"
            )
