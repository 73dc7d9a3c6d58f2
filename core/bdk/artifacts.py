"""The store: what a step made, under a key that says everything it was made from.

``store/<key>/`` holds files and ``recipe.json``. It is written aside and renamed, under one lock per key, so a
reader sees a whole artifact or none. Every file's checksum stands in the recipe; a damaged artifact is moved aside
and made again. Nothing is pickled.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from bdk.canonical import file_digest
from bdk.errors import ArtifactError

RECIPE = "recipe.json"


def default_root() -> Path:
    """``BDK_STORE``, or the user's cache folder."""
    return Path(os.environ.get("BDK_STORE") or platformdirs.user_cache_path("bdk") / "store")


@dataclass(frozen=True)
class Artifact:
    """One finished step on disk."""

    key: str
    path: Path
    recipe: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """Path of one of its files.

        Raises:
            ArtifactError: it holds no such file.
        """
        if name not in self.recipe["files"]:
            raise ArtifactError(
                f"Artifact {self.key[:12]} ({self.recipe['kind']}) holds no {name}.",
                where=str(self.path),
                mend=f"It holds: {', '.join(self.recipe['files'])}.",
            )
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether it holds a file of that name."""
        return name in self.recipe["files"]

    def json(self, name: str) -> Any:
        """One of its JSON files, read."""
        return json.loads(self.file(name).read_text())

    def array(self, name: str) -> Any:
        """One of its ``.npy`` files as a read-only memory map."""
        import numpy as np

        return np.load(self.file(name), mmap_mode="r", allow_pickle=False)

    def tensors(self, name: str = "model.safetensors") -> dict[str, Any]:
        """One of its safetensors files, read."""
        from safetensors.torch import load_file

        return load_file(self.file(name))


class Store:
    """Artifacts by key."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()
        self._checked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return (self.root / key / RECIPE).is_file()

    def get(self, key: str) -> Artifact | None:
        """The artifact, checked against its checksums once per process; None if there is none or it was damaged."""
        folder = self.root / key
        if not (folder / RECIPE).is_file():
            return None
        fault = None if key in self._checked else _fault(folder, key)
        if fault:
            self._move_aside(folder, fault)
            return None
        self._checked.add(key)
        return Artifact(key, folder, json.loads((folder / RECIPE).read_text()))

    def need(self, key: str, what: str) -> Artifact:
        """The artifact.

        Raises:
            ArtifactError: there is none.
        """
        artifact = self.get(key)
        if artifact is None:
            mend = "Name the store that the run was made with (--store, BDK_STORE, or bdk.load(..., store=...))."
            raise ArtifactError(f"The {what} ({key[:12]}) is not in the store.", where=str(self.root), mend=mend)
        return artifact

    def make(self, key: str, recipe: Mapping[str, Any], builder: Callable[[Path, Path], None]) -> tuple[Artifact, bool]:
        """Have an artifact or make it; at most one process makes a key at a time.

        Args:
            key: its content key.
            recipe: what it is made from; stored beside it.
            builder: called with an empty folder for the files and a folder for checkpoints that outlives a kill.

        Returns:
            The artifact and whether this call made it.

        Raises:
            ArtifactError: the store cannot be written.
        """
        try:
            (self.root / ".locks").mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self.root / ".locks" / f"{key}.lock"):
                found = self.get(key)
                if found is not None:
                    return found, False
                return self._build(key, recipe, builder), True
        except Exception as error:
            if told := _store_fault(error, self.root):
                raise told from error
            raise

    def trust(self, keys: Iterable[str]) -> None:
        """Take artifacts as sound that another process of this run has just made or checked."""
        self._checked.update(keys)

    def scratch(self, name: str) -> Path:
        """A folder of the store for caches that are not artifacts (token caches, galleries)."""
        folder = self.root / ".cache" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _build(self, key: str, recipe: Mapping[str, Any], builder: Callable[[Path, Path], None]) -> Artifact:
        aside = self.root / ".partial" / key
        out, work = aside / "out", aside / "work"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        work.mkdir(exist_ok=True)
        started = time.time()
        builder(out, work)
        files = {
            str(path.relative_to(out)): {"sha256": file_digest(path), "bytes": path.stat().st_size}
            for path in sorted(out.rglob("*"))
            if path.is_file()
        }
        full = {**recipe, "key": key, "files": files, "seconds": round(time.time() - started, 3)}
        (out / RECIPE).write_text(json.dumps(full, indent=1, sort_keys=True, ensure_ascii=False))
        _flush(out)
        if (self.root / key).exists():
            self._move_aside(self.root / key, "it holds no recipe.json")
        out.replace(self.root / key)
        shutil.rmtree(aside, ignore_errors=True)
        self._checked.add(key)
        return Artifact(key, self.root / key, full)

    def _move_aside(self, folder: Path, fault: str) -> None:
        graveyard = self.root / ".damaged"
        graveyard.mkdir(exist_ok=True)
        target = graveyard / f"{folder.name}-{time.time_ns()}"
        folder.replace(target)
        (target / "FAULT.txt").write_text(fault)


def _fault(folder: Path, key: str) -> str:
    """What is wrong with an artifact's files, or nothing."""
    try:
        recipe = json.loads((folder / RECIPE).read_text())
        files = recipe["files"]
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        return f"recipe.json cannot be read: {error}"
    if recipe.get("key") != key:
        return f"recipe.json is for key {recipe.get('key')}"
    for name, entry in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            return f"{name} is missing or has another size"
        if file_digest(path) != entry["sha256"]:
            return f"{name} has another checksum"
    return ""


def _store_fault(error: Exception, root: Path) -> ArtifactError | None:
    """The error to tell if it was the store's disk that failed; None for a fault of the step itself."""
    if is_full(error):
        mend = "Free space and run the same command again, or choose --store elsewhere."
        return ArtifactError(f"The disk is full: {error}", where=str(root), mend=mend)
    denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR)
    if denied and Path(os.fsdecode(error.filename or root)).is_relative_to(root):  # type: ignore[attr-defined]
        return ArtifactError(f"The store cannot be written: {error}", where=str(root), mend="Choose --store elsewhere.")
    return None


def is_full(error: BaseException) -> bool:
    """Whether a disk had no room; libraries that write by themselves say so in words alone."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return os.strerror(errno.ENOSPC) in str(error) and not isinstance(error, ArtifactError)


def _flush(folder: Path) -> None:
    """Bring files to the disk before they get their final name."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
