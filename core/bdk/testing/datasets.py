"""Checks of data sets: what they describe is what they load, and what they load holds together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bdk.components import Config, DatasetInfo
from bdk.data import BrainData, DataDescription
from bdk.registry import Registry, config_class, owner_of, resolve
from bdk.testing.checking import Check, Violation, check
from bdk.testing.components import config_is_strict, options_are_documented
from bdk.testing.small import small_options


@dataclass
class Subject:
    """A data set, with the options it is tried with.

    Args:
        info: which.
        registry: what is installed.
        folder: for files of the checks.
        given: options that the caller chose; none takes `small_options`.
    """

    info: DatasetInfo
    registry: Registry
    folder: Path
    given: Mapping[str, Any] | None = None

    @cached_property
    def kind(self) -> type[Config]:
        """Its config class."""
        return config_class(self.info)

    @cached_property
    def config(self) -> Config:
        """Its options, checked."""
        own = small_options("data", self.info.name, self.info.distribution, self.kind, self.folder)
        return self.kind.model_validate(own if self.given is None else dict(self.given))

    def make(self) -> Any:
        """Build it."""
        return resolve(self.info.target, owner=owner_of(self.info))(self.config)

    @cached_property
    def described(self) -> DataDescription:
        """What it says it will hold."""
        return self.make().describe()

    @cached_property
    def loaded(self) -> BrainData:
        """What it holds."""
        return self.make().load()


@check("describes", after=("config-is-strict",))
def describes(subject: Subject) -> None:
    """`describe` returns a `DataDescription` whose spaces are known."""
    if not isinstance(subject.described, DataDescription):
        raise Violation(f"describe returned {type(subject.described).__name__}; return bdk.data.DataDescription")
    unknown = [
        f"{guide} = {id!r}" for guide, id in subject.described.spaces.items() if id not in subject.registry.spaces
    ]
    if unknown:
        raise Violation(f"nobody offers the space of guide {unknown[0]}")
    if not subject.described.spaces:
        raise Violation("it offers no guide: without pictures and captions there is nothing to decode")


@check("loads", after=("describes",))
def loads(subject: Subject) -> None:
    """`load` returns `BrainData` whose tables have equal lengths."""
    if not isinstance(subject.loaded, BrainData):
        raise Violation(f"load returned {type(subject.loaded).__name__}; return bdk.data.BrainData")


LOADED = ("loads",)


@check("description-is-true", after=LOADED)
def description_is_true(subject: Subject) -> None:
    """What it describes beforehand is what it loads."""
    said, data = subject.described, subject.loaded
    pairs = {
        "voxels": (said.voxels, data.voxels),
        "training stimuli": (said.n_train, len(data.rows("train"))),
        "test stimuli": (said.n_test, len(data.rows("test"))),
        "pictures": (said.has_images, data.images is not None),
        "captions": (said.has_captions, data.captions is not None),
        "name": (said.name, data.name),
        "world": (dict(said.world), dict(data.world)),
    }
    for noun, (before, after) in pairs.items():
        if before != after:
            raise Violation(f"{noun}: described {before}, loaded {after}")


@check("betas-are-numbers", after=LOADED)
def betas_are_numbers(subject: Subject) -> None:
    """Betas are finite floats, and every voxel varies."""
    betas = np.asarray(subject.loaded.betas)
    if betas.ndim != 2 or not np.issubdtype(betas.dtype, np.floating):
        raise Violation(f"betas are {betas.dtype} {betas.shape}; floats, trials x voxels are expected")
    bad = int((~np.isfinite(betas)).sum())
    if bad:
        raise Violation(f"{bad} betas are NaN or infinite")
    if not bool((betas != betas[0]).any(axis=0).all()):
        raise Violation("a voxel never varies; drop such voxels")


@check("split-is-clean", after=LOADED)
def split_is_clean(subject: Subject) -> None:
    """There are training and test stimuli, no name stands twice, and the split has a name."""
    data = subject.loaded
    sides = set(np.unique(np.asarray(data.split)).tolist())
    if not sides <= {"train", "test"} or not len(data.rows("train")) or not len(data.rows("test")):
        raise Violation(f"the split must put stimuli on the sides train and test; it has {sorted(sides)}")
    if len(set(data.stimulus_ids)) < len(data.stimulus_ids):
        raise Violation("two stimuli have the same name, so one could be trained on and tested with")
    if not data.split_name:
        raise Violation("split_name is empty; numbers of different splits must not be compared")


@check("stimuli-can-be-had", after=LOADED)
def stimuli_can_be_had(subject: Subject) -> None:
    """Pictures are 8-bit H x W x 3; every stimulus has a caption, if there are captions."""
    data = subject.loaded
    rows = np.concatenate([data.rows("train")[:2], data.rows("test")[:2]])
    if data.images is not None:
        pictures = data.images.batch(rows)
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or len(pictures) != len(rows):
            raise Violation(f"pictures are {pictures.dtype} {pictures.shape}; uint8, B x H x W x 3 is expected")
        if not np.array_equal(pictures[0], data.images[int(rows[0])]):
            raise Violation("a picture alone is another than in a batch")
    silent = [row for row, texts in enumerate(data.captions or ()) if not any(text.strip() for text in texts)]
    if silent:
        raise Violation(f"{len(silent)} stimuli have no caption")


@check("loads-the-same-twice", after=LOADED)
def loads_the_same_twice(subject: Subject) -> None:
    """Loaded again, it is the same data with the same fingerprint."""
    again = subject.make().load()
    if not subject.loaded.fingerprint or again.fingerprint != subject.loaded.fingerprint:
        raise Violation("the fingerprint is empty, or another each time; it decides which artifacts are made again")
    if not np.array_equal(again.betas, subject.loaded.betas) or again.split_sha256 != subject.loaded.split_sha256:
        raise Violation("betas or split are others each time; draw from a seed that is an option")


CHECKS: list[Check] = [
    config_is_strict,
    options_are_documented,
    describes,
    loads,
    description_is_true,
    betas_are_numbers,
    split_is_clean,
    stimuli_can_be_had,
    loads_the_same_twice,
]
