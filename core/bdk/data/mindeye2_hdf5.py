"""MindEye2's hdf5 export of NSD: single-trial betas of all sessions, pictures of all images, trials in tar files.

Files: ``betas_all_subjNN_fp32_renorm.hdf5`` (``betas``: 30,000 x V), ``coco_images_224_float16.hdf5`` (``images``:
73,000 x 3 x 224 x 224), ``wds/subjNN/train/SESSION.tar`` and ``wds/subjNN/new_test/0.tar``, whose samples hold
``behav.npy`` (1 x 17): column 0 is the image's NSD number, column 5 the row of the betas.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bdk.data.brain_data import BrainData, DataDescription, described
from bdk.data.checks import fingerprint
from bdk.data.configs import MindEye2Config
from bdk.data.exports import array_of, captions_of, samples
from bdk.data.files import existing, read_array
from bdk.data.images import Hdf5Images
from bdk.data.nsd.layout import TRIALS_PER_SESSION
from bdk.errors import DataError

IMAGE_COLUMN, TRIAL_COLUMN = 0, 5


class MindEye2Hdf5:
    """The export as data.

    Args:
        config: folder, subject, captions, sessions.
    """

    def __init__(self, config: MindEye2Config) -> None:
        self.config = config

    def sources(self) -> list[Path]:
        """Every file read."""
        root, subject = Path(self.config.path), self.config.subject
        shards = [path for _, path in trial_shards(self.config)]
        named = [root / f"betas_all_{subject}_fp32_renorm.hdf5", root / "coco_images_224_float16.hdf5", *shards]
        return [*named, *([Path(self.config.captions)] if self.config.captions else [])]

    def describe(self) -> DataDescription:
        """Reads the betas."""
        return described(self.load(), self.config.spaces())

    def load(self) -> BrainData:
        """Read the betas of the sessions asked for; pictures are read when wanted.

        Raises:
            DataError: files that are missing, damaged or contradict each other.
        """
        root, config = existing(Path(self.config.path), "MindEye2's export (data.path)"), self.config
        trials = [(side, *row) for side, path in trial_shards(config) for row in _rows(path)]
        sides, images, rows = (np.array(column) for column in zip(*trials, strict=True))
        _refuse_overlap(sides, images, root)
        betas = read_array(f"betas_all_{config.subject}_fp32_renorm.hdf5:betas", root, "betas")
        if rows.max() >= len(betas):
            raise DataError(f"A trial names row {rows.max()} of {len(betas)} betas.", where=str(root))
        kept = rows < config.sessions * TRIALS_PER_SESSION
        sides, images, rows = sides[kept], images[kept], rows[kept]
        nsd_ids, first, stimulus = np.unique(images, return_index=True, return_inverse=True)
        order = np.argsort(rows, kind="stable")
        chosen = betas[rows[order]].astype(np.float32)
        return BrainData(
            name="mindeye2-hdf5",
            subject=config.subject,
            betas=chosen,
            trial_stimulus=stimulus[order].astype(np.int64),
            trial_run=rows[order] // TRIALS_PER_SESSION + 1,
            stimulus_ids=tuple(f"nsd-{number:05d}" for number in nsd_ids),
            split=sides[first],
            split_name=f"mindeye2-{config.sessions}",
            images=Hdf5Images(root / "coco_images_224_float16.hdf5", "images", tuple(int(n) for n in nsd_ids)),
            captions=captions_of(config.captions, nsd_ids),
            rois={"nsdgeneral": np.ones(chosen.shape[1], dtype=bool)},
            fingerprint=fingerprint(chosen, stimulus[order], sides[first]),
        )


def trial_shards(config: MindEye2Config) -> list[tuple[str, Path]]:
    """Side of the split and path of every shard of trials.

    Raises:
        DataError: a session's shard or the test shard is missing.
    """
    folder = Path(config.path) / "wds" / config.subject
    shards = [("train", folder / "train" / f"{session}.tar") for session in range(config.sessions)]
    shards.append(("test", folder / "new_test" / "0.tar"))
    return [(side, existing(path, "a shard of trials")) for side, path in shards]


def _rows(path: Path) -> list[tuple[int, int]]:
    """NSD number and row of the betas of every sample of a shard."""
    found = []
    for sample in samples(path):
        behaviour = np.atleast_2d(array_of(sample, "behav.npy", path).squeeze())
        if behaviour.shape[1] <= TRIAL_COLUMN:
            raise DataError(f"behav.npy is {behaviour.shape}; 1 x 17 is expected.", where=str(path))
        found.append((int(behaviour[0, IMAGE_COLUMN]), int(behaviour[0, TRIAL_COLUMN])))
    return found


def _refuse_overlap(sides: np.ndarray, images: np.ndarray, root: Path) -> None:
    both = set(images[sides == "train"].tolist()) & set(images[sides == "test"].tolist())
    if both:
        raise DataError(f"{len(both)} images are on both sides of the split (such as {min(both)}).", where=str(root))
