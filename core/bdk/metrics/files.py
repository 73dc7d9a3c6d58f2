"""Pictures from files, read safely and one at a time: folders of images, and arrays in five formats.

Nothing in a file is run: arrays of objects are refused, ``.pt`` files are read with ``weights_only``, and the size
that an image's header announces is checked before anything is decoded.
"""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bdk.canonical import file_digest
from bdk.errors import DataError
from bdk.metrics.array_files import open_array
from bdk.metrics.sources import MAX_PIXELS, Pictures, as_unit

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


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
    return open_array(path, label, key)


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
