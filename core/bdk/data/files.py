"""Reading arrays, word lists and tables from files; every fault names the file."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from bdk.errors import DataError

ARRAY_KINDS = (".npy", ".npz", ".safetensors", ".h5", ".hdf5")
TEXT_KINDS = (".txt", ".csv", ".tsv", ".json", ".toml")


def existing(path: Path, what: str) -> Path:
    """The path, if something is there.

    Raises:
        DataError: nothing is; files with a near name are not guessed at, the folder is named.
    """
    if not path.exists():
        folder = "" if path.parent.is_dir() else f" (and its folder {path.parent} does not exist)"
        raise DataError(f"There is no file for {what}{folder}.", where=str(path), mend="Correct the name.")
    return path


def read_array(source: str, base: Path, what: str) -> np.ndarray:
    """An array from ``FILE`` or, in files with several, ``FILE:KEY``. A .npy comes as a memory map.

    Args:
        source: file name, relative to ``base`` unless absolute.
        base: folder.
        what: what it is, for errors.

    Raises:
        DataError: no such file or key, an unknown kind, or a damaged file.
    """
    name, key = _split_key(source)
    path = existing(base / name, what)
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix in ARRAY_KINDS:
            return _keyed(path, key, what)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"The file for {what} cannot be read: {error}", where=str(path)) from error
    raise DataError(
        f"The file for {what} is of an unknown kind, {path.suffix or 'without suffix'!r}.",
        where=str(path),
        mend=f"Known: {', '.join(ARRAY_KINDS)}.",
    )


def _split_key(source: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.+\.(?:npz|safetensors|h5|hdf5)):(.+)", source)
    return (match[1], match[2]) if match else (source, "")


def _keyed(path: Path, key: str, what: str) -> np.ndarray:
    """One array of a file that may hold several."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return archive[_choose(list(archive), key, path, what)]
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "np") as tensors:
            return tensors.get_tensor(_choose(list(tensors.keys()), key, path, what))
    import h5py

    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        item = file[_choose(names, key.lstrip("/"), path, what)]
        return item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]


def _choose(names: list[str], key: str, path: Path, what: str) -> str:
    if key in names:
        return key
    if not key and len(names) == 1:
        return names[0]
    fault = f"has no array {key!r}" if key else f"holds {len(names)} arrays, and none is named"
    raise DataError(
        f"The file for {what} {fault}.",
        where=str(path),
        mend=f'Write "{path.name}:KEY" with one of: {", ".join(names) or "none"}.',
    )


def read_words(source: str, base: Path, what: str) -> list[str]:
    """A list of words: one per line of a text file, a JSON list, or an array (numbers become words).

    Raises:
        DataError: no such file, or not a list.
    """
    if Path(_split_key(source)[0]).suffix in ARRAY_KINDS:
        array = read_array(source, base, what)
        if array.ndim != 1:
            raise DataError(f"The array for {what} has {array.ndim} axes; one is expected.", where=source)
        return [word(item) for item in array]
    path = existing(base / source, what)
    if path.suffix == ".json":
        content = read_mapping(path, what)
        if not isinstance(content, list):
            raise DataError(f"The file for {what} is no list.", where=str(path))
        return [word(item) for item in content]
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def word(item: Any) -> str:
    """A name from a word or a whole number (``7`` and ``7.0`` are the same name)."""
    if isinstance(item, bytes):
        return item.decode()
    if isinstance(item, float | np.floating) and float(item).is_integer():
        return str(int(item))
    return str(item)


def read_mapping(path: Path, what: str) -> Any:
    """The content of a .json or .toml file.

    Raises:
        DataError: malformed; the line is given.
    """
    existing(path, what)
    try:
        return json.loads(path.read_text()) if path.suffix == ".json" else tomllib.loads(path.read_text())
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"The file for {what} is malformed: {error}", where=str(path)) from error


def read_table(path: Path, what: str) -> list[list[str]]:
    """Rows of a table separated by tabs, commas or blanks; empty lines and lines that start with # are left out."""
    lines = [line for line in existing(path, what).read_text().splitlines() if line.strip() and line[0] != "#"]
    if not lines:
        raise DataError(f"The file for {what} is empty.", where=str(path))
    separator = next((mark for mark in "\t," if mark in lines[0]), None)
    if separator is None:
        return [line.split() for line in lines]
    return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
