"""MindEye's webdataset export of NSD (`webdataset_avg_split`), unpacked once into a prepared folder.

A sample holds ``nsdgeneral.npy`` (3 x V, z-scored by session; of an image shown fewer than three times, showings are
repeated), ``num_uniques.npy``, a 256-pixel ``jpg``, ``trial.npy`` and ``coco73k.npy``. Only the distinct showings are
kept. Its 8,559 training and 300 validation images are together the 8,859 training images of `nsd37`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image, UnidentifiedImageError

from bdk.data.brain_data import BrainData, DataDescription, described, split_sha256
from bdk.data.configs import MindEyeConfig
from bdk.data.exports import Sample, array_of, captions_of, samples
from bdk.data.files import existing
from bdk.data.images import square
from bdk.data.nsd.layout import TRIALS_PER_SESSION
from bdk.data.nsd.whole_files import new_array, write_parquet
from bdk.data.prepared import MANIFEST, read_manifest, read_prepared, verify, write_manifest
from bdk.errors import DataError

SIDES = {"train": "train", "val": "train", "test": "test"}


@dataclass(frozen=True)
class Item:
    """One image and its distinct showings.

    Args:
        nsd_id: of the image, from 0.
        side: of the split.
        trials: number of each distinct showing.
        voxels: V.
    """

    nsd_id: int
    side: str
    trials: np.ndarray
    voxels: int


class MindEyeWebdataset:
    """The export as data.

    Args:
        config: folder of the tar files, captions, cache.
    """

    def __init__(self, config: MindEyeConfig) -> None:
        self.config = config

    def sources(self) -> list[Path]:
        """The tar files and the captions."""
        return [*shards(self.config), *([Path(self.config.captions)] if self.config.captions else [])]

    def describe(self) -> DataDescription:
        """Unpacks the export, if that was not done before."""
        return described(self.load(), self.config.spaces())

    def load(self) -> BrainData:
        """Unpack once, then map.

        Raises:
            DataError: no shards, a damaged shard, or samples that contradict each other.
        """
        folder = Path(self.config.cache or Path(self.config.path) / ".bdk") / self.config.subject
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            if not (folder / MANIFEST).is_file():
                _unpack(self.config, folder)
        manifest = read_manifest(folder)
        if manifest["sources"] != _state(self.config):
            mend = "Delete it; it is made again from the shards."
            raise DataError("The unpacked copy is of other shards.", where=str(folder), mend=mend)
        verify(folder, manifest, checksums=False)
        return read_prepared(folder, manifest)


def shards(config: MindEyeConfig) -> list[Path]:
    """The tar files of the subject, training first.

    Raises:
        DataError: there is none for training or none for testing.
    """
    root = existing(Path(config.path), "MindEye's webdataset (data.path)")
    found = sorted(path for path in root.rglob("*.tar") if _side(path, root))
    named = [path for path in found if config.subject in str(path.relative_to(root))]
    found = named or found
    for side in ("train", "test"):
        if not any(SIDES[_side(path, root)] == side for path in found):
            mend = "Their names hold train, val or test."
            raise DataError(f"There is no shard for the {side} side.", where=str(root), mend=mend)
    return sorted(found, key=lambda path: (list(SIDES).index(_side(path, root)), str(path)))


def _side(path: Path, root: Path) -> str:
    """``train``, ``val`` or ``test``, by the file's name or else its folders; empty if none."""
    for text in (path.name, str(path.parent.relative_to(root))):
        for word in SIDES:
            if word in text:
                return word
    return ""


def _state(config: MindEyeConfig) -> list[list[object]]:
    root = Path(config.path)
    files = [[str(path.relative_to(root)), path.stat().st_size] for path in shards(config)]
    return [*files, ["image_size", config.image_size], ["captions", Path(config.captions).name]]


def _walk(config: MindEyeConfig) -> Iterator[tuple[Path, Sample]]:
    for path in shards(config):
        for sample in samples(path):
            yield path, sample


def _item(config: MindEyeConfig, path: Path, sample: Sample) -> Item:
    shown, voxels = array_of(sample, "nsdgeneral.npy", path).shape
    if "num_uniques.npy" in sample:
        shown = int(array_of(sample, "num_uniques.npy", path).ravel()[0])
    number = int(array_of(sample, "coco73k.npy", path).ravel()[0])
    trials = array_of(sample, "trial.npy", path).ravel()[:shown].astype(np.int64)
    return Item(number, SIDES[_side(path, Path(config.path))], trials, voxels)


def _picture(sample: Sample, path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(sample["jpg"])) as picture:
            return square(picture.convert("RGB"), size)
    except (KeyError, UnidentifiedImageError, OSError) as error:
        raise DataError(f"A sample has no readable jpg: {error}", where=str(path)) from error


def _unpack(config: MindEyeConfig, folder: Path) -> None:
    """Two walks over the shards: sizes and tables, then betas and pictures straight into their files."""
    items = [_item(config, path, sample) for path, sample in _walk(config)]
    ids = np.array([item.nsd_id for item in items])
    widths = {item.voxels for item in items}
    if len(set(ids.tolist())) != len(ids):
        raise DataError("An image occurs in two samples.", where=config.path, mend="Leave one subject's shards there.")
    if len(widths) != 1:
        raise DataError(f"Samples have different numbers of voxels: {sorted(widths)}.", where=config.path)
    order = np.argsort(ids)
    counts = np.array([len(items[row].trials) for row in order])
    starts = np.cumsum(counts) - counts
    new_array(folder / "betas.npy", np.float32, (int(counts.sum()), *widths))
    new_array(folder / "images.npy", np.uint8, (len(ids), config.image_size, config.image_size, 3))
    betas, images = (np.load(folder / f"{name}.npy", mmap_mode="r+") for name in ("betas", "images"))
    place = np.argsort(order)
    for number, (path, sample) in enumerate(_walk(config)):
        row = place[number]
        shown = array_of(sample, "nsdgeneral.npy", path)[: counts[row]]
        betas[starts[row] : starts[row] + counts[row]] = shown
        images[row] = _picture(sample, path, config.image_size)
    betas.flush()
    images.flush()
    _write_tables(config, folder, [items[row] for row in order], counts)


def _write_tables(config: MindEyeConfig, folder: Path, items: list[Item], counts: np.ndarray) -> None:
    ids = np.array([item.nsd_id for item in items])
    names, sides = [f"nsd-{number:05d}" for number in ids], [item.side for item in items]
    captions = captions_of(config.captions, ids)
    trial = np.concatenate([item.trials for item in items])
    session = trial // TRIALS_PER_SESSION + 1
    stimulus = np.repeat(np.arange(len(ids)), counts)
    write_parquet(folder / "trials.parquet", {"trial": trial, "session": session, "stimulus": stimulus})
    table: dict[str, object] = {"id": names, "nsd_id": ids, "split": sides}
    if captions:
        table["captions"] = [list(texts) for texts in captions]
    write_parquet(folder / "stimuli.parquet", table)
    write_parquet(folder / "voxels.parquet", {"nsdgeneral": np.ones(items[0].voxels, dtype=bool)})
    facts = {
        "name": "mindeye-webdataset",
        "subject": config.subject,
        "split": "nsd37",
        "split_sha256": split_sha256("nsd37", names, sides),
        "zscore": "session, by the export",
        "sources": _state(config),
    }
    write_manifest(folder, facts)
