"""Which reconstruction belongs to which stimulus, when both come in files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bdk.errors import DataError
from bdk.metrics.files import FilePictures, image_files, natural, open_pictures
from bdk.metrics.sources import Pictures

Pairing = Literal["auto", "name", "order"]


@dataclass(frozen=True)
class Paired:
    """Both sides, stimulus by stimulus.

    Args:
        stimuli: N pictures.
        reconstructions: N * S pictures, S in a row per stimulus.
        names: N names.
        how: ``name`` or ``order``.
    """

    stimuli: Pictures
    reconstructions: Pictures
    names: tuple[str, ...]
    how: str

    @property
    def candidates(self) -> int:
        """S."""
        return int(getattr(self.reconstructions, "candidates", 1))


def pair(
    reconstructions: Path | str,
    stimuli: Path | str,
    how: Pairing = "auto",
    *,
    reconstructions_key: str = "",
    stimuli_key: str = "",
) -> Paired:
    """Pair two folders by name, everything else by order.

    In a folder, ``a.png`` belongs to ``a.jpg``. Candidates are files ``a_0.png``, ``a_1.png``, ... or a folder ``a``
    of images; every stimulus must have the same number. ``order`` takes both sides as they are counted.

    Raises:
        DataError: something is missing, left over or unreadable; the names are given.
    """
    reconstructions, stimuli = Path(reconstructions), Path(stimuli)
    folders = reconstructions.is_dir() and stimuli.is_dir()
    if how == "name" and not folders:
        raise DataError("Only folders can be paired by name.", mend="Use --pair order.")
    if folders and how != "order":
        return _by_name(reconstructions, stimuli)
    right = open_pictures(stimuli, "stimuli", stimuli_key)
    left = open_pictures(reconstructions, "reconstructions", reconstructions_key)
    count = len(left) // int(getattr(left, "candidates", 1))
    if count != len(right):
        raise DataError(
            f"There are {count} reconstructions and {len(right)} stimuli.",
            where=f"{reconstructions} and {stimuli}",
            mend="Pairing by order needs as many on either side.",
        )
    names = [path.stem for path in right.paths] if isinstance(right, FilePictures) else [str(i) for i in range(count)]
    return Paired(right, left, tuple(names), "order")


def _by_name(reconstructions: Path, stimuli: Path) -> Paired:
    right = _stems(stimuli, "stimuli")
    left = _candidates(reconstructions, list(right))
    lacking = [name for name in right if name not in left]
    extra = [name for name in left if name not in right]
    if lacking or extra:
        parts = [f"no reconstruction of {_some(lacking)}"] if lacking else []
        parts += [f"no stimulus for {_some(extra)}"] if extra else []
        raise DataError(
            f"Reconstructions and stimuli do not match: {'; '.join(parts)}.",
            where=f"{reconstructions} and {stimuli}",
            mend="Add or remove those files; if the names are not meant to agree, use --pair order.",
        )
    sizes = {name: len(files) for name, files in left.items()}
    if len(set(sizes.values())) > 1:
        usual = max(sizes.values())
        odd = [f"{name} ({n})" for name, n in sizes.items() if n != usual]
        raise DataError(
            f"Most stimuli have {usual} candidates, these have another number: {_some(odd)}.",
            where=str(reconstructions),
        )
    names = tuple(right)
    files = tuple(path for name in names for path in left[name])
    pictures = FilePictures(files, "reconstructions", candidates=len(files) // len(names))
    return Paired(FilePictures(tuple(right.values()), "stimuli"), pictures, names, "name")


def _stems(folder: Path, label: str) -> dict[str, Path]:
    files = image_files(folder)
    if not files:
        raise DataError(f"There are no images among the {label}.", where=str(folder))
    stems: dict[str, Path] = {}
    for path in files:
        if path.stem in stems:
            raise DataError(f"Two {label} have one name: {stems[path.stem].name} and {path.name}.", where=str(folder))
        stems[path.stem] = path
    return stems


def _candidates(folder: Path, names: list[str]) -> dict[str, list[Path]]:
    """Files of each stimulus: one folder each, or one file each, or numbered files."""
    folders = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: natural(path.name))
    inside = {path.name: image_files(path) for path in folders}
    inside = {name: files for name, files in inside.items() if files}
    if inside and not image_files(folder):
        return inside
    stems = _stems(folder, "reconstructions")
    return _numbered(stems, names) or {stem: [path] for stem, path in stems.items()}


def _numbered(stems: Mapping[str, Path], names: list[str]) -> dict[str, list[Path]]:
    """Files named after a stimulus and a number; empty if they are not."""
    if any(stem in names for stem in stems):
        return {}
    groups: dict[str, list[Path]] = {}
    for stem, path in stems.items():
        match = re.fullmatch(r"(.+)[_-]\d+", stem)
        if match is None or match[1] not in names:
            return {}
        groups.setdefault(match[1], []).append(path)
    return groups


def _some(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
