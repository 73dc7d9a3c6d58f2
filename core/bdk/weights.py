"""Weights of published networks on this machine: one manifest, checksums, nothing fetched unless asked.

The manifest is a JSON file in the user's data folder (``BDK_WEIGHTS`` names another). A part that needs weights asks
`Manifest.entry`, and gets a path that was checked, or an error with the line that gets the file.
Imports no torch.
"""

from __future__ import annotations

import datetime
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from bdk.canonical import digest, file_digest
from bdk.errors import ArtifactError, DataError, UnknownNameError, WeightsMissingError

FILE = "manifest.json"


@dataclass(frozen=True)
class Known:
    """Published weights that parts of this package ask for.

    Args:
        name: how the manifest calls them.
        summary: what they are and who needs them.
        url: where their authors publish them.
        sha256_starts: first digits of the checksum, where the authors state them in the file's name.
        licence: as stated by the authors.
    """

    name: str
    summary: str
    url: str
    sha256_starts: str = ""
    licence: str = ""


_TORCHVISION = "https://download.pytorch.org/models"
KNOWN: dict[str, Known] = {
    known.name: known
    for known in (
        Known(
            "alexnet",
            "AlexNet, torchvision IMAGENET1K_V1: alex2, alex5",
            f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",
            "7be5be79",
            "BSD-3-Clause",
        ),
        Known(
            "inception-v3",
            "Inception v3, torchvision IMAGENET1K_V1: incep",
            f"{_TORCHVISION}/inception_v3_google-0cc3c7bd.pth",
            "0cc3c7bd",
            "BSD-3-Clause",
        ),
        Known(
            "efficientnet-b1-v1",
            "EfficientNet-B1, torchvision IMAGENET1K_V1: eff of preset brain-diffuser",
            f"{_TORCHVISION}/efficientnet_b1_rwightman-bac287d4.pth",
            "bac287d4",
            "BSD-3-Clause",
        ),
        Known(
            "efficientnet-b1-v2",
            "EfficientNet-B1, torchvision IMAGENET1K_V2: eff of preset mindeye",
            f"{_TORCHVISION}/efficientnet_b1-c27df63c.pth",
            "c27df63c",
            "BSD-3-Clause",
        ),
        Known(
            "swav-resnet50",
            "SwAV ResNet-50, 800 epochs: swav",
            "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
            licence="CC-BY-NC-4.0",
        ),
        Known(
            "clip-vit-l14",
            "OpenAI CLIP ViT-L/14 in open_clip's form: clip, and CLIP targets",
            "https://huggingface.co/timm/vit_large_patch14_clip_224.openai/resolve/main/open_clip_model.safetensors",
            licence="MIT",
        ),
    )
}


@dataclass(frozen=True)
class Entry:
    """One file or folder of weights on this machine.

    Args:
        name: how parts ask for it.
        path: where it lies.
        sha256: checksum of the file, or of the sorted checksums of a folder's files.
        bytes: size when it was added.
        added: date.
        source: address it came from, or empty.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    added: str
    source: str = ""


class Manifest:
    """The weights on this machine, by name."""

    def __init__(self, folder: Path, entries: dict[str, Entry]) -> None:
        self.folder, self.entries = folder, entries

    @classmethod
    def load(cls, folder: Path | str | None = None) -> Manifest:
        """Read the manifest of a folder: ``BDK_WEIGHTS``, or the user's data folder.

        Raises:
            ArtifactError: the manifest cannot be read.
        """
        folder = Path(folder or os.environ.get("BDK_WEIGHTS") or platformdirs.user_data_path("bdk") / "weights")
        file = folder / FILE
        if not file.exists():
            return cls(folder, {})
        try:
            rows = json.loads(file.read_text())["weights"]
            entries = {row["name"]: Entry(**{**row, "path": Path(row["path"])}) for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"The weights manifest cannot be read: {error}",
                where=str(file),
                mend="Repair or delete it, then add again.",
            ) from error
        return cls(folder, entries)

    def entry(self, name: str) -> Entry:
        """The weights of that name.

        Raises:
            WeightsMissingError: they were never added, or the file is gone or has another size.
        """
        if name not in self.entries:
            raise WeightsMissingError(f"Weights {name!r} are not on this machine.", mend=how_to_get(name))
        entry = self.entries[name]
        if not entry.path.exists() or _size(entry.path) != entry.bytes:
            raise WeightsMissingError(
                f"Weights {name!r} are gone, or changed: {entry.path}.",
                where=str(self.folder / FILE),
                mend=how_to_get(name),
            )
        return entry

    def add(self, name: str, path: Path | str, *, source: str = "") -> Entry:
        """Note a file, or a folder of files, under a name; it stays where it is.

        Raises:
            DataError: there is no such file, or its checksum is not the published one.
        """
        path = Path(path).expanduser().resolve()
        if not path.exists():
            raise DataError(f"There is no file {path}.", mend=f"bdk weights add {name} PATH")
        sha256 = weights_digest(path)
        known = KNOWN.get(name)
        if known and known.sha256_starts and not sha256.startswith(known.sha256_starts):
            raise DataError(
                f"This is not the published {name}: its sha256 starts with {sha256[:8]}, not {known.sha256_starts}.",
                where=str(path),
                mend=f"Get {known.url}, or add it under a name of your own.",
            )
        entry = Entry(name, path, sha256, _size(path), datetime.date.today().isoformat(), source)
        self._write({**self.entries, name: entry})
        return entry

    def remove(self, name: str) -> None:
        """Forget weights; the file stays.

        Raises:
            UnknownNameError: the manifest has no such name.
        """
        if name not in self.entries:
            raise UnknownNameError(f"The manifest has no weights {name!r}.", mend=f"It has: {', '.join(self.entries)}.")
        self._write({key: entry for key, entry in self.entries.items() if key != name})

    def verify(self, name: str) -> Entry:
        """Read the whole file again and compare its checksum.

        Raises:
            WeightsMissingError: gone.
            DataError: its contents changed.
        """
        entry = self.entry(name)
        found = weights_digest(entry.path)
        if found != entry.sha256:
            raise DataError(
                f"Weights {name!r} changed: sha256 {found[:12]}, noted {entry.sha256[:12]}.",
                where=str(entry.path),
                mend=f"bdk weights add {name} {entry.path}    (if the change is yours)",
            )
        return entry

    def fetch(self, name: str, progress: Callable[[int, int], None] | None = None) -> Entry:
        """Download published weights into the manifest's folder and add them. The one place that uses the network.

        Raises:
            UnknownNameError: no address is known for that name.
            WeightsMissingError: the download failed.
            DataError: what came is not what was published.
        """
        if name not in KNOWN:
            raise UnknownNameError(f"No address is known for weights {name!r}.", mend=f"Known: {', '.join(KNOWN)}.")
        known = KNOWN[name]
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / known.url.rsplit("/", 1)[1]
        target = target.with_name(f"{name}-{target.name}")
        partial = target.with_name(target.name + ".partial")
        _download(known.url, partial, progress)
        partial.replace(target)
        try:
            return self.add(name, target, source=known.url)
        except DataError:
            target.unlink()
            raise

    def _write(self, entries: dict[str, Entry]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [{**asdict(entry), "path": str(entry.path)} for _, entry in sorted(entries.items())]
        aside = self.folder / f"{FILE}.{os.getpid()}"
        aside.write_text(json.dumps({"format": 1, "weights": rows}, indent=1))
        aside.replace(self.folder / FILE)
        self.entries = entries


def weights_lacks(name: str) -> list[str]:
    """A line if weights of that name are not on this machine, ending with the line that gets them."""
    try:
        Manifest.load().entry(name)
    except WeightsMissingError as error:
        return [f"{error.what} {error.mend}"]
    return []


def folder_lacks(folder: str, name: str, needs: Iterable[str]) -> list[str]:
    """A line if a model's folder, or a file in it, is not on this machine.

    Args:
        folder: the folder; empty to look it up by name.
        name: in the weights manifest.
        needs: files that must be in it.
    """
    if not folder and (lacks := weights_lacks(name)):
        return lacks
    path = Path(folder).expanduser() if folder else Manifest.load().entry(name).path
    if not path.is_dir():
        return [f"There is no folder {path} with the weights {name!r}. {how_to_get(name)}"]
    if missing := [part for part in needs if not (path / part).is_file()]:
        return [f"The model folder {path} lacks {', '.join(missing)}. Copy the model's subfolders there."]
    return []


def folder_of(folder: str, name: str) -> list[Path]:
    """A model's folder as the source that content keys follow: the named one, or the manifest's, or none."""
    entry = Manifest.load().entries.get(name)
    return [Path(folder).expanduser()] if folder else [entry.path] if entry else []


LOCAL = {
    "versatile-diffusion": "bdk weights convert-vd PUBLISHED OUT    (PUBLISHED: image_unet, text_unet, vae, scheduler)",
    "sd14": "bdk weights add sd14 PATH    (Stable Diffusion 1.4 as diffusers saves it: unet, vae, scheduler)",
    "sd-vae": "bdk weights add sd-vae PATH    (the vae folder of Stable Diffusion 1.x)",
}
"""Weights that come from a folder at hand: the line that takes them in, and what the folder holds."""


def how_to_get(name: str) -> str:
    """The line that gets weights onto this machine."""
    if name not in KNOWN:
        return LOCAL.get(name, f"bdk weights add {name} PATH")
    return f"bdk weights fetch {name}    (or, with the file at hand: bdk weights add {name} PATH)"


def weights_digest(path: Path) -> str:
    """sha256 of a file; of a folder, sha256 over the names and checksums of its files."""
    if path.is_file():
        return file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return digest([(str(file.relative_to(path)), file_digest(file)) for file in files])


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _download(url: str, target: Path, progress: Callable[[int, int], None] | None) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as response, target.open("wb") as out:
            total, done = int(response.headers.get("Content-Length") or 0), 0
            while chunk := response.read(1 << 20):
                out.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
    except (urllib.error.URLError, OSError) as error:
        target.unlink(missing_ok=True)
        raise WeightsMissingError(
            f"The download failed: {error}",
            where=url,
            mend="Get the file by other means, then: bdk weights add NAME PATH",
        ) from error
