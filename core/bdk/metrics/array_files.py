"""Pictures from array files, read one by one where the format allows it, without running anything in the file."""

from __future__ import annotations

import json
import pickle
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bdk.errors import DataError
from bdk.metrics.sources import Pictures
from bdk.metrics.stored import RawRows, StoredPictures, unreadable

_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4"}
"""numpy's names of the types of ``.safetensors``."""


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


def _npy(path: Path, label: str, key: str) -> Pictures:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise unreadable(path, error) from error
    return StoredPictures(_rows_of(array, path), array.shape, path, label)


def _rows_of(array: np.ndarray, path: Path) -> Callable[[int], Any]:
    """Pictures of a mapped array; plain reads if its numbers lie in C order."""
    if isinstance(array, np.memmap) and array.flags.c_contiguous:
        return RawRows(path, array.offset, array.shape[-3:], array.dtype)
    return _items(array, array.shape)


def _items(array: Any, shape: tuple[int, ...]) -> Callable[[int], Any]:
    """Pictures of an array with one or two axes in front of theirs."""
    return (lambda index: array[divmod(index, shape[1])]) if len(shape) == 5 else (lambda index: array[index])


def _npz(path: Path, label: str, key: str) -> Pictures:
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = _one_of([n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")], key, path)
            unpacked = _unpacked(archive, f"{chosen}.npy", path)
        array = np.load(unpacked.name, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, KeyError, NotImplementedError) as error:
        raise unreadable(path, error) from error
    rows = _rows_of(array, Path(unpacked.name))
    # the unpacked file lives as long as something reads from it
    return StoredPictures(partial(_read_from, unpacked, rows), array.shape, path, label)


def _read_from(_file: Any, rows: Callable[[int], Any], index: int) -> Any:
    return rows(index)


def _unpacked(archive: zipfile.ZipFile, member: str, path: Path) -> Any:
    """A member of an archive as a file of its own, which goes with the object."""
    file = tempfile.NamedTemporaryFile(prefix="bdk-", suffix=".npy")  # noqa: SIM115  (lives with the pictures)
    needed, free = archive.getinfo(member).file_size, shutil.disk_usage(file.name).free
    if needed > free:
        raise DataError(
            f"{path.name} unpacks to {needed / 1e9:.1f} GB, and {tempfile.gettempdir()} has {free / 1e9:.1f} GB.",
            where=str(path),
            mend="Save it as .npy, which is read as it is, or set TMPDIR to a larger disk.",
        )
    with archive.open(member) as packed:
        shutil.copyfileobj(packed, file, 1 << 20)
    file.flush()
    return file


def _safetensors(path: Path, label: str, key: str) -> Pictures:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:  # checks the header
            chosen = _one_of(list(file.keys()), key, path)
        with path.open("rb") as raw:
            size = int.from_bytes(raw.read(8), "little")
            about = json.loads(raw.read(size))[chosen]
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path, error) from error
    kind, shape = str(about["dtype"]), tuple(about["shape"])
    if kind not in _NUMPY:
        raise DataError(f"The {label} are {kind}.", where=str(path), mend="Use uint8, or floats in 0..1.")
    start = 8 + size + int(about["data_offsets"][0])
    return StoredPictures(RawRows(path, start, shape[-3:], np.dtype(_NUMPY[kind]), kind == "BF16"), shape, path, label)


def _hdf5(path: Path, label: str, key: str) -> Pictures:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, error) from error
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim >= 4:
            names.append(name)

    file.visititems(note)
    data = file[_one_of(names, key, path)]
    return StoredPictures(_items(data, data.shape), data.shape, path, label)


def _torch(path: Path, label: str, key: str) -> Pictures:
    is_zip = zipfile.is_zipfile(path)
    loaded = _load(path, mmap=is_zip)
    chosen: Any = loaded
    name = ""
    if isinstance(loaded, dict):
        tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor) and value.ndim >= 4}
        name = _one_of(list(tensors), key, path)
        chosen = tensors[name]
    if not isinstance(chosen, Tensor):
        raise DataError(f"{path.name} holds {type(chosen).__name__}, not a tensor.", where=str(path))
    shape = tuple(chosen.shape)
    rows = _plain_rows(path, name, chosen) if is_zip and chosen.is_contiguous() else None
    return StoredPictures(rows or _items(chosen, shape), shape, path, label)


def _load(path: Path, *, mmap: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the protocol of files that are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path.name} holds more than tensors, and reading it would run code from it.",
            where=str(path),
            mend="Save the tensor alone: torch.save(images, FILE), or use .safetensors.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise unreadable(path, error) from error


def _plain_rows(path: Path, name: str, tensor: Tensor) -> RawRows | None:
    """Where a tensor's numbers lie in its file, as torch tells when it loads without data; None if it does not."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        shadow = torch.load(path, map_location="cpu", weights_only=True)
    shadow = {str(key): value for key, value in shadow.items()}[name] if name else shadow
    start = getattr(shadow.untyped_storage(), "_checkpoint_offset", None)
    if start is None or tensor.ndim < 4:
        return None
    is_bfloat16 = tensor.dtype == torch.bfloat16
    dtype = np.dtype(np.uint16) if is_bfloat16 else torch.empty(0, dtype=tensor.dtype).numpy().dtype
    offset = int(start) + int(shadow.storage_offset()) * tensor.element_size()
    return RawRows(path, offset, tuple(tensor.shape[-3:]), dtype, is_bfloat16)


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


_READERS: dict[str, Callable[[Path, str, str], Pictures]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".pt": _torch,
    ".pth": _torch,
}
