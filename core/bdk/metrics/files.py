"""Pictures from files, read safely and one at a time: folders of images, and arrays in five formats.

Nothing in a file is run: arrays of objects are refused, ``.pt`` files are read with ``weights_only``, and the size
that an image's header announces is checked before anything is decoded.
"""

from __future__ import annotations

import hashlib
import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.metrics.sources import Pictures, as_unit

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors", ".h5", ".hdf5", ".pt", ".pth")
MAX_PIXELS = 50_000_000
"""Pixels of one picture above which it is refused: decoded and as floats it would take more than a gigabyte."""
MAX_COMPRESSED = 2_000_000_000
"""Bytes of an array inside an ``.npz``, which can only be read whole."""


@dataclass(frozen=True)
class FilePictures:
    """Image files, decoded when asked for.

    Args:
        paths: one file per picture; S files in a row per stimulus if there are candidates.
        label: what to call them in errors.
        candidates: S.
    """

    paths: tuple[Path, ...]
    label: str = "images"
    candidates: int = 1
    costly: bool = True

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Float[Tensor, "3 H W"]:
        """One picture, values 0..1.

        Raises:
            DataError: it cannot be decoded.
        """
        path = self.paths[index]
        with _opened(path) as image:
            return as_unit(_pixels(image, path), f"{self.label}, {path.name}")

    def fingerprint(self) -> str:
        """sha256 over the files' checksums, in order."""
        return hashlib.sha256("".join(file_digest(path) for path in self.paths).encode()).hexdigest()

    def check(self) -> None:
        """Look into every file without decoding it.

        Raises:
            DataError: names the files that are no pictures, damaged, or too large.
        """
        faults = [fault for path in self.paths if (fault := _fault(path))]
        if faults:
            shown = faults[:5] + ([f"and {len(faults) - 5} more"] if len(faults) > 5 else [])
            raise DataError(
                f"{len(faults)} of {len(self.paths)} {self.label} cannot be read: {'; '.join(shown)}.",
                where=str(self.paths[0].parent),
                mend="Make them again, or leave these stimuli out on both sides.",
            )


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


def open_pictures(path: Path | str, label: str = "images", key: str = "") -> Pictures:
    """Pictures of a folder or an array file.

    Args:
        path: a folder of images, or one ``.npy``, ``.npz``, ``.safetensors``, ``.h5``, ``.pt`` file.
        label: what to call them in errors.
        key: which array of a file that holds several.

    Raises:
        DataError: there is nothing to read, or it cannot be read safely.
    """
    path = Path(path)
    if path.is_dir():
        files = image_files(path)
        if not files:
            raise DataError(f"There are no images in {path}.", mend=f"Known endings: {', '.join(IMAGE_SUFFIXES)}.")
        return FilePictures(tuple(files), label)
    if not path.is_file():
        raise DataError(f"There is no file or folder {path}.")
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"The {label} are in a format that is not known: {path.name}.",
            mend=f"Give a folder of images, or one of: {', '.join(ARRAY_SUFFIXES)}.",
        )
    return _READERS[path.suffix.lower()](path, label, key)


def image_files(folder: Path) -> list[Path]:
    """Images of a folder, in the order a person counts (2 before 10)."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sorting key that takes runs of digits for numbers."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _fault(path: Path) -> str:
    try:
        with _opened(path) as image:
            image.verify()
    except DataError as error:
        return f"{path.name} ({error.what.rstrip('.')})"
    except (OSError, SyntaxError, ValueError) as error:
        return f"{path.name} ({error})"
    return ""


def _opened(path: Path) -> Image.Image:
    """Read the header; refuse what would not fit into memory before decoding it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise DataError(f"far too large: {error}", where=str(path), mend="Scale it down first.") from error
    except (UnidentifiedImageError, OSError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"{path.name} cannot be read: {reason}.", where=str(path)) from error
    if math.prod(image.size) > MAX_PIXELS:
        image.close()
        raise DataError(
            f"{path.name} announces {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read.",
            where=str(path),
            mend="Scale it down first.",
        )
    return image


def _pixels(image: Image.Image, path: Path) -> Tensor:
    """Decoded pixels, 3 x H x W: uint8, or floats for 16-bit pictures."""
    try:
        if image.mode.startswith("I"):
            deep = torch.from_numpy(np.array(image).astype(np.float32) / 65535)
            return deep.expand(3, *deep.shape)
        if image.mode == "F":
            raise DataError(
                f"{path.name} holds floats, whose scale is not known.", where=str(path), mend="Save 8 bits."
            )
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path.name} cannot be decoded: {error}.", where=str(path)) from error


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
