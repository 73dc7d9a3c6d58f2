"""Betas and stimuli of anyone's own, in array files that one TOML describes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from bdk.components import Config
from bdk.data.brain_data import BrainData, DataDescription, described
from bdk.data.checks import fingerprint, require_finite, varying_voxels
from bdk.data.configs import ArraysConfig
from bdk.data.files import ARRAY_KINDS, existing, read_array, read_mapping, read_words, word
from bdk.data.images import ArrayImages, FileImages, ImageSource
from bdk.errors import DataError

PICTURE_KINDS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FILE_FIELDS = ("betas", "trial_stimulus", "trial_run", "stimulus_ids", "images", "captions", "split", "groups")


class ArraysFile(Config):
    """What the TOML file may say. File names are relative to its folder; in files of several arrays ``FILE:KEY``."""

    betas: str
    """trials x voxels, any number type."""
    trial_stimulus: str
    """One stimulus id per trial (words or whole numbers): an array, or a text file with one per line."""
    name: str = "arrays"
    """Name of the data set in every output."""
    subject: str = "subject"
    """Name of the subject in every output."""
    trial_run: str = ""
    """Run or session of each trial, whole numbers; empty: one run."""
    stimulus_ids: str = ""
    """Ids of the stimuli, in the order of `images`, `captions` and `groups` where these are lists; empty: the ids of
    the trials, sorted."""
    images: str = ""
    """Folder with one picture per id (`ID.png` ..), or an array uint8 stimuli x H x W x 3; empty: none."""
    image_size: int = Field(256, ge=16, le=1024)
    """Side in pixels to which pictures from a folder are brought."""
    captions: str = ""
    """A .json or .toml: id -> caption or list of captions; or a .txt with one caption per stimulus; empty: none."""
    split: str = ""
    """`train` or `test` per stimulus: an array, or a text file with one per line; instead of `test`."""
    test: str | list[str | int] = ""
    """Ids of the test stimuli, in place or in a file; all others are for training."""
    split_name: str = "own"
    """Name of the split; scores of different splits are not set beside each other."""
    rois: dict[str, str] = Field(default_factory=dict)
    """Name of a region -> array of V truth values, or of voxel numbers from 0."""
    groups: str = ""
    """Category of each stimulus: an array or a text file; empty: none."""


class Arrays:
    """Data from array files.

    Args:
        config: names the TOML file.
    """

    def __init__(self, config: ArraysConfig) -> None:
        self.config = config

    def sources(self) -> list[Path]:
        """The TOML and every file it names."""
        path = Path(self.config.path)
        return [path, *_named_files(path)] if path.is_file() else [path]

    def describe(self) -> DataDescription:
        """Reads and checks everything, so that mistakes are found before any work."""
        return described(self.load(), self.config.spaces())

    def load(self) -> BrainData:
        """Read and check.

        Raises:
            DataError: a missing or damaged file, lengths that differ, NaN, constant voxels, unknown ids.
        """
        state = tuple((str(path), path.stat().st_mtime_ns) for path in self.sources() if path.is_file())
        return _load(self.config.model_dump_json(), state)


@lru_cache(maxsize=2)
def _load(config_json: str, state: tuple[tuple[str, int], ...]) -> BrainData:
    config = ArraysConfig.model_validate_json(config_json)
    path = existing(Path(config.path), "the description of the arrays (data.path)")
    file, base, where = read_description(path), path.parent, str(path)
    betas = _betas(file, base, where)
    trials = read_words(file.trial_stimulus, base, "trial_stimulus")
    ids = read_words(file.stimulus_ids, base, "stimulus_ids") if file.stimulus_ids else _in_order(trials)
    _require_length("trial_stimulus", trials, "betas", len(betas), where)
    data = BrainData(
        name=file.name,
        subject=file.subject,
        betas=betas,
        trial_stimulus=_rows_of(trials, ids, where),
        trial_run=_runs(file, base, len(betas), where),
        stimulus_ids=tuple(ids),
        split=_split(file, base, ids, where),
        split_name=file.split_name,
        images=_images(file, base, ids, where),
        captions=_captions(file, base, ids, where),
        rois={name: _roi(source, base, name, betas.shape[1]) for name, source in file.rois.items()},
        fingerprint=fingerprint(betas, *trials, *ids),
        groups=np.array(_per_stimulus(file.groups, base, "groups", ids, where)) if file.groups else None,
    )
    return tidied(data, roi=config.roi, constant=config.constant_voxels, normalise=config.normalise, where=where)


def tidied(data: BrainData, *, roi: str, constant: str, normalise: str, where: str) -> BrainData:
    """The data restricted to a ROI, without constant voxels (or refused for them), normalised.

    Raises:
        DataError: NaN, constant voxels that should be refused, or a side of the split without trials.
    """
    data = data.restricted(roi) if roi else data
    require_finite(data.betas, where=where)
    varies = varying_voxels(data.betas, constant, where=where)  # type: ignore[arg-type]
    if not varies.all():
        data = data.restricted_to(varies, "varying")
    for side in ("train", "test"):
        if not len(data.rows(side)):
            raise DataError(f"No {side} stimulus has a trial.", where=where, mend="Look at the split.")
    return data.normalised(normalise)  # type: ignore[arg-type]


def read_description(path: Path) -> ArraysFile:
    """The checked contents of the TOML file.

    Raises:
        DataError: malformed, an unknown key (the known ones are listed), or a wrong type.
    """
    content = read_mapping(path, "the arrays")
    unknown = sorted(set(content) - set(ArraysFile.model_fields))
    if unknown:
        known = ", ".join(ArraysFile.model_fields)
        raise DataError(f"Unknown key {unknown[0]!r}.", where=str(path), mend=f"Known: {known}.")
    try:
        return ArraysFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"The key {key!r}: {first['msg'].lower()}.", where=str(path)) from error


def _named_files(path: Path) -> list[Path]:
    file = read_description(path)
    names = [getattr(file, field) for field in FILE_FIELDS] + list(file.rois.values())
    names += [file.test] if isinstance(file.test, str) else []
    return [path.parent / name.split(":")[0] for name in names if name]


def _betas(file: ArraysFile, base: Path, where: str) -> np.ndarray:
    betas = read_array(file.betas, base, "betas")
    if betas.ndim != 2 or betas.dtype.kind not in "fiu":
        raise DataError(
            f"Betas are {betas.dtype} {betas.shape}; numbers, trials x voxels, are expected.", where=f"{where}: betas"
        )
    return betas if betas.dtype == np.float32 else betas.astype(np.float32)


def _in_order(trials: list[str]) -> list[str]:
    """Distinct ids, by number if all are numbers."""
    distinct = set(trials)
    return sorted(distinct, key=int) if all(item.isdecimal() for item in distinct) else sorted(distinct)


def _rows_of(trials: list[str], ids: list[str], where: str) -> np.ndarray:
    if len(set(ids)) != len(ids):
        twice = next(item for item in ids if ids.count(item) > 1)
        raise DataError(f"The stimulus id {twice!r} occurs twice.", where=f"{where}: stimulus_ids")
    number = {item: row for row, item in enumerate(ids)}
    _refuse_unknown(trials, ids, f"{where}: trial_stimulus", "trials show stimuli that are not in the table")
    return np.array([number[item] for item in trials], dtype=np.int64)


def _refuse_unknown(names: list[str], ids: list[str], where: str, fault: str) -> None:
    unknown = sorted(set(names) - set(ids))
    if unknown:
        raise DataError(
            f"{len(unknown)} {fault}: {', '.join(unknown[:5])}{', ..' if len(unknown) > 5 else ''}.",
            where=where,
            mend=f"The table has {len(ids)} ids, such as {', '.join(ids[:3])}.",
        )


def _runs(file: ArraysFile, base: Path, trials: int, where: str) -> np.ndarray:
    if not file.trial_run:
        return np.zeros(trials, dtype=np.int64)
    runs = read_words(file.trial_run, base, "trial_run")
    _require_length("trial_run", runs, "betas", trials, where)
    try:
        return np.array([int(run) for run in runs], dtype=np.int64)
    except ValueError as error:
        raise DataError(f"A run is no whole number: {error}", where=f"{where}: trial_run") from error


def _split(file: ArraysFile, base: Path, ids: list[str], where: str) -> np.ndarray:
    if bool(file.split) == bool(file.test):
        raise DataError("The split is to be given by either `split` or `test`.", where=where)
    if file.split:
        sides = _per_stimulus(file.split, base, "split", ids, where)
        wrong = sorted(set(sides) - {"train", "test"})
        if wrong:
            raise DataError(f"The split says {wrong[0]!r}; `train` or `test` is expected.", where=f"{where}: split")
        return np.array(sides)
    test = read_words(file.test, base, "test") if isinstance(file.test, str) else [word(item) for item in file.test]
    _refuse_unknown(test, ids, f"{where}: test", "test ids match no stimulus")
    return np.where(np.isin(ids, test), "test", "train")


def _images(file: ArraysFile, base: Path, ids: list[str], where: str) -> ImageSource | None:
    if not file.images:
        return None
    if Path(file.images.split(":")[0]).suffix in ARRAY_KINDS:
        images = ArrayImages(read_array(file.images, base, "images"))
        _require_length("images", images, "stimulus_ids", len(ids), where)
        return images
    return pictures_by_name(existing(base / file.images, "images"), ids, file.image_size)


def pictures_by_name(folder: Path, names: list[str], size: int) -> FileImages:
    """The picture of each name in a folder, with any usual suffix or the one in the name itself.

    Raises:
        DataError: a name without a picture.
    """
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURE_KINDS}
    paths = [found.get(name) or folder / name for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(names)} stimuli have no picture: {', '.join(missing[:5])}.",
            where=str(folder),
            mend=f"Name each picture after its stimulus, such as {missing[0]}.png.",
        )
    return FileImages(tuple(paths), size)


def _captions(file: ArraysFile, base: Path, ids: list[str], where: str) -> tuple[tuple[str, ...], ...] | None:
    if not file.captions:
        return None
    path = base / file.captions
    if path.suffix not in (".json", ".toml"):
        return tuple((text,) for text in _per_stimulus(file.captions, base, "captions", ids, where))
    content = read_mapping(path, "captions")
    if isinstance(content, list):
        _require_length("captions", content, "stimulus_ids", len(ids), where)
        content = dict(zip(ids, content, strict=True))
    missing = [item for item in ids if not content.get(item)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(ids)} stimuli have no caption: {', '.join(missing[:5])}.", where=str(path)
        )
    return tuple((texts,) if isinstance(texts := content[item], str) else tuple(texts) for item in ids)


def _per_stimulus(source: str, base: Path, what: str, ids: list[str], where: str) -> list[str]:
    words = read_words(source, base, what)
    _require_length(what, words, "stimulus_ids", len(ids), where)
    return words


def _roi(source: str, base: Path, name: str, voxels: int) -> np.ndarray:
    members = np.asarray(read_array(source, base, f"ROI {name!r}"))
    if members.shape == (voxels,) and members.dtype.kind in "bf":
        return members > 0
    if members.ndim == 1 and members.dtype.kind in "iu" and members.size and members.max() < voxels:
        return np.isin(np.arange(voxels), members)
    raise DataError(
        f"The ROI {name!r} is {members.dtype} {members.shape}.",
        where=source,
        mend=f"Give {voxels} truth values, or voxel numbers below {voxels}.",
    )


def _require_length(what: str, items: object, other: str, wanted: int, where: str) -> None:
    have = len(items)  # type: ignore[arg-type]
    if have != wanted:
        raise DataError(
            f"{what} has {have} entries, but {other} has {wanted}.",
            where=f"{where}: {what}",
            mend=f"Give {what} one entry for each of the {wanted}, in the same order.",
        )
