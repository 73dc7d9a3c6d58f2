"""Pictures from array files, read row by row where the format allows it, without running anything in the file."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.metrics.sources import Pictures, as_unit

MAX_COMPRESSED = 2_000_000_000
"""Bytes of an array inside an ``.npz``, which can only be read whole."""


@dataclass(frozen=True)
class StoredPictures:
    """Pictures of an array in a file, N or N x S of them, read row by row.

    Args:
        rows: ``rows(i)`` reads stimulus i: 3 x H x W or H x W x 3, or S of them.
        shape: of the whole array.
        path: the file.
        label: what to call them in errors.
    """

    rows: Callable[[int], Any]
    shape: tuple[int, ...]
    path: Path
    label: str = "images"
    costly: bool = True
    _last: dict[int, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.shape) not in (4, 5) or 0 in self.shape or 3 not in (self.shape[-1], self.shape[-3]):
            raise DataError(
                f"The {self.label} have shape {self.shape}.",
                where=str(self.path),
                mend="N x 3 x H x W or N x H x W x 3 is expected, or N x S x ... for S candidates per stimulus.",
            )

    @property
    def candidates(self) -> int:
        """S."""
        return self.shape[1] if len(self.shape) == 5 else 1

    def __len__(self) -> int:
        return self.shape[0] * self.candidates

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        """One picture, values 0..1.

        Raises:
            DataError: NaN, another scale, or a type that leaves the scale open.
        """
        stimulus, candidate = divmod(index, self.candidates)
        if stimulus not in self._last:
            self._last.clear()
            self._last[stimulus] = _as_tensor(self.rows(stimulus), self.path)
        row = self._last[stimulus]
        tensor = row[candidate] if row.ndim == 4 else row
        if self.shape[-3] != 3:
            tensor = tensor.permute(2, 0, 1)
        return as_unit(tensor, f"{self.label}, picture {index} of {self.path.name}")

    def fingerprint(self) -> str:
        """sha256 of the file and the shape."""
        return hashlib.sha256(f"{file_digest(self.path)}{self.shape}".encode()).hexdigest()

    def check(self) -> None:
        """Read every picture once.

        Raises:
            DataError: as `picture`.
        """
        for index in range(len(self)):
            self.picture(index)


def open_array(path: Path, label: str, key: str) -> Pictures:
    """Pictures of one array file.

    Args:
        path: its ending says the format.
        label: what to call the pictures in errors.
        key: which array, if the file holds several.

    Raises:
        DataError: another format, or it cannot be read safely.
    """
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"The {label} are in a format that is not known: {path.name}.",
            mend=f"Give a folder of images, or one of: {', '.join(_READERS)}.",
        )
    return _READERS[path.suffix.lower()](path, label, key)


def _as_tensor(row: Any, path: Path) -> Tensor:
    if isinstance(row, Tensor):
        return row
    array = np.array(row)
    if array.dtype.kind not in "fiub":
        raise DataError(f"The array holds {array.dtype}, not numbers.", where=str(path))
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64)
    return torch.from_numpy(array)


def _npy(path: Path, label: str, key: str) -> Pictures:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    return StoredPictures(lambda i: array[i], array.shape, path, label)


def _npz(path: Path, label: str, key: str) -> Pictures:
    try:
        with np.load(path, allow_pickle=False) as archive:
            chosen = _one_of(archive.files, key, path)
            size = zipfile.ZipFile(path).getinfo(f"{chosen}.npy").file_size
            if size > MAX_COMPRESSED:
                raise DataError(
                    f"{path.name} holds {size / 1e9:.1f} GB that can only be read at once.",
                    where=str(path),
                    mend="Save it as .npy, which is read row by row.",
                )
            array = archive[chosen]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise _unreadable(path, error) from error
    return StoredPictures(lambda i: array[i], array.shape, path, label)


def _safetensors(path: Path, label: str, key: str) -> Pictures:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
        chosen = _one_of(list(file.keys()), key, path)
        part = file.get_slice(chosen)
        shape = tuple(part.get_shape())
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    return StoredPictures(lambda i: part[i], shape, path, label)


def _hdf5(path: Path, label: str, key: str) -> Pictures:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _unreadable(path, error) from error
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim >= 4:
            names.append(name)

    file.visititems(note)
    data = file[_one_of(names, key, path)]
    return StoredPictures(lambda i: data[i], data.shape, path, label)


def _torch(path: Path, label: str, key: str) -> Pictures:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the protocol of files that are refused anyway
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path.name} holds more than tensors, and reading it would run code from it.",
            where=str(path),
            mend="Save the tensor alone: torch.save(images, FILE), or use .safetensors.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise _unreadable(path, error) from error
    if isinstance(loaded, dict):
        tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor) and value.ndim >= 4}
        loaded = tensors[_one_of(list(tensors), key, path)]
    if not isinstance(loaded, Tensor):
        raise DataError(f"{path.name} holds {type(loaded).__name__}, not a tensor.", where=str(path))
    tensor = loaded
    return StoredPictures(lambda i: tensor[i], tuple(tensor.shape), path, label)


def _one_of(names: list[str], key: str, path: Path) -> str:
    if key:
        if key not in names:
            raise DataError(f"{path.name} has no array {key!r}.", where=str(path), mend=f"It has: {', '.join(names)}.")
        return key
    if len(names) != 1:
        have = ", ".join(names) or "none"
        raise DataError(
            f"{path.name} holds {len(names)} arrays that could be pictures: {have}.",
            where=str(path),
            mend="Name the one that is meant: --reconstructions-key or --stimuli-key NAME.",
        )
    return names[0]


def _unreadable(path: Path, error: Exception) -> DataError:
    what = " ".join(str(error).split())[:200]
    hint = "Arrays of objects are not read; save plain numbers." if "allow_pickle" in what else "Write it again."
    return DataError(f"{path.name} cannot be read: {what}.", where=str(path), mend=hint)


_READERS: dict[str, Callable[[Path, str, str], Pictures]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".pt": _torch,
    ".pth": _torch,
}
