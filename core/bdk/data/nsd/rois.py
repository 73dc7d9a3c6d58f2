"""Masks and regions of one subject, under the voxels that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdk.data.nsd.layout import LABELS, VOXELS, Layout
from bdk.data.volumes import read_volume
from bdk.errors import DataError

WHOLE_BRAIN = 100_000
"""Volumes with more voxels than this are of a whole brain, so that their `nsdgeneral` must have the published size."""


@dataclass(frozen=True)
class Regions:
    """The voxels that are kept, and which region each is in.

    Args:
        mask: bool X x Y x Z.
        members: for each region, bool V in the order of ``volume[mask]``.
    """

    mask: np.ndarray
    members: dict[str, np.ndarray]

    @property
    def coordinates(self) -> np.ndarray:
        """x, y, z of each voxel, counted from 0, V x 3."""
        return np.argwhere(self.mask)


def read_regions(layout: Layout, masks: Sequence[str], atlases: Sequence[str]) -> Regions:
    """Voxels above 0 in any of the masks, and every label of the atlases that falls on them.

    NSD writes -1 outside cortex in some of these volumes; only values above 0 count. (`!= -1` would keep 107,104 voxels
    of subject 1 instead of 15,724.)

    Args:
        layout: whose files.
        masks: names of volumes such as ``nsdgeneral`` or ``streams``; their union is kept.
        atlases: names of label volumes; with `LABELS`, their labels become regions by name.

    Raises:
        DataError: a file is missing, its size differs from the others', no voxel is left, or `nsdgeneral` of a whole
            brain has another number of voxels than published.
    """
    volumes = {name: _read(layout, name) for name in dict.fromkeys([*masks, *atlases])}
    shapes = {name: volume.shape for name, volume in volumes.items()}
    first = next(iter(shapes))
    for name, shape in shapes.items():
        if shape != shapes[first]:
            raise DataError(f"{name} is {shape}, but {first} is {shapes[first]}.", where=str(layout.roi(name)))
    mask = np.any([volumes[name] > 0 for name in masks], axis=0)
    if not mask.any():
        raise DataError("No voxel is above 0.", where=", ".join(str(layout.roi(name)) for name in masks))
    members: dict[str, np.ndarray] = {}
    for name, volume in volumes.items():
        members |= _regions_of(name, volume[mask])
    return Regions(mask, members)


def _regions_of(name: str, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The whole of a mask, or each label of an atlas."""
    if name not in LABELS:
        return {name: labels > 0}
    return {label: labels == number for number, label in enumerate(LABELS[name], 1)}


def _read(layout: Layout, name: str) -> np.ndarray:
    volume = read_volume(layout.roi(name), f"ROI {name}")
    published = VOXELS[layout.name]
    kept = int((volume > 0).sum())
    if name == "nsdgeneral" and volume.size > WHOLE_BRAIN and kept != published:
        raise DataError(
            f"nsdgeneral of {layout.name} has {kept} voxels above 0, not the published {published}.",
            where=str(layout.roi(name)),
            mend="The file is of another subject or resolution, or damaged.",
        )
    return volume


def available(layout: Layout) -> list[str]:
    """Atlases whose file is there."""
    return [name for name in LABELS if layout.roi(name).is_file()]
