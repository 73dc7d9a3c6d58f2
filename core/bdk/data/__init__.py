"""Data sets: betas, the stimuli that evoked them, and which of those may be trained on.

Names are imported when first asked for, so that listing what is installed stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdk.data.brain_data import BrainData, DataDescription, Dataset, described
    from bdk.data.images import ArrayImages, FileImages, Hdf5Images, ImageSource

_HOME = {
    "BrainData": "brain_data",
    "DataDescription": "brain_data",
    "Dataset": "brain_data",
    "described": "brain_data",
    "ArrayImages": "images",
    "FileImages": "images",
    "Hdf5Images": "images",
    "ImageSource": "images",
}

__all__ = [
    "ArrayImages",
    "BrainData",
    "DataDescription",
    "Dataset",
    "FileImages",
    "Hdf5Images",
    "ImageSource",
    "described",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bdk.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bdk.data.{_HOME[name]}"), name)
