"""Small files in the formats of the two MindEye exports of NSD."""

from __future__ import annotations

import io
import tarfile

import h5py
import numpy as np
from PIL import Image

VOXELS = 7


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


def jpg(colour, side=256) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write_tar(path, samples) -> None:
    """``samples``: lists of (name, bytes), in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in samples:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def mindeye(root, rng) -> dict[int, tuple[str, np.ndarray, np.ndarray]]:
    """MindEye's tars; returns side, distinct betas and trials by NSD number."""
    truth, number = {}, 0
    for side, files in (("train", 2), ("val", 1), ("test", 1)):
        for shard in range(files):
            samples = []
            for _ in range(3):
                nsd, unique = 40000 - 11 * number, 1 + number % 3
                betas = rng.standard_normal((unique, VOXELS)).astype(np.float32)
                trials = rng.choice(27750, unique, replace=False)
                truth[nsd] = ("test" if side == "test" else "train", betas, trials)
                filled = np.resize(np.arange(unique), 3)
                stem = f"sample{number:09d}"
                samples += [
                    (f"{stem}.coco73k.npy", npy(nsd)),
                    (f"{stem}.jpg", jpg((number * 20, 50, 90))),
                    (f"{stem}.nsdgeneral.npy", npy(betas[filled])),
                    (f"{stem}.num_uniques.npy", npy(unique)),
                    (f"{stem}.trial.npy", npy(trials[filled])),
                ]
                number += 1
            write_tar(root / side / f"{side}_subj01_{shard}.tar", samples)
    return truth


def mindeye2(root, rng, sessions=2) -> np.ndarray:
    """MindEye2's files; returns the betas. Image = trial // 2, the images of every fifth pair for testing."""
    trials = sessions * 750
    betas = rng.standard_normal((trials, VOXELS)).astype(np.float32)
    root.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / "betas_all_subj01_fp32_renorm.hdf5", "w") as file:
        file["betas"] = betas
    with h5py.File(root / "coco_images_224_float16.hdf5", "w") as file:
        file["images"] = (np.arange(trials)[:, None, None, None] % 7 / 8 * np.ones((1, 3, 4, 4))).astype(np.float16)

    def sample(trial):
        behaviour = np.zeros((1, 17))
        behaviour[0, 0], behaviour[0, 5] = trial // 2, trial
        return (f"sample{trial:09d}.behav.npy", npy(behaviour))

    test = [trial for trial in range(trials) if trial // 2 % 5 == 0]
    for session in range(sessions):
        own = [t for t in range(session * 750, (session + 1) * 750) if t // 2 % 5]
        write_tar(root / f"wds/subj01/train/{session}.tar", [sample(trial) for trial in own])
    write_tar(root / "wds/subj01/new_test/0.tar", [sample(trial) for trial in test])
    return betas
