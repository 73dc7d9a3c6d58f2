"""Token tensors by content: encoded once, kept in packs, bounded in bytes.

A pack is one safetensors file of the tensors that one call added; its header lists their keys and checksums. Packs
are written aside and renamed and never changed, so many processes (and machines, on a shared disk) may write at once
without a lock. The packs unused for longest go first when the bound is passed. A damaged pack is moved aside and its
tensors are encoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

_SUFFIX = ".safetensors"


class TokenCache:
    """Half-precision tensors by key, in a folder.

    Args:
        root: folder; made when something is first kept.
        limit: bound on the folder's size, bytes; 0 keeps nothing.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit
        self._owner: dict[str, Path] = {}
        self._seen: set[Path] = set()
        self._open: dict[Path, tuple[safe_open, dict[str, str]]] = {}
        self.damaged = 0

    def get(self, keys: Sequence[str]) -> dict[str, Tensor]:
        """The tensors that are there, as float32."""
        if any(key not in self._owner for key in keys):
            self._scan()
        found: dict[str, Tensor] = {}
        for key in keys:
            tensor = self._read(key)
            if tensor is not None:
                found[key] = tensor.float()
        return found

    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors (rounded to half precision), then drop the packs unused for longest until the bound holds."""
        size = sum(2 * tensor.numel() for tensor in tensors.values())
        if not tensors or size > self.limit:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        halves = {key: tensor.half().contiguous() for key, tensor in tensors.items()}
        sums = {key: _checksum(tensor) for key, tensor in halves.items()}
        aside = self.root / f"{uuid.uuid4().hex}.new"
        aside.write_bytes(save(halves, metadata={"sha256": json.dumps(sums)}))
        aside.replace(aside.with_suffix(_SUFFIX))
        self._shrink()

    def _read(self, key: str) -> Tensor | None:
        path = self._owner.get(key)
        if path is None:
            return None
        try:
            pack, sums = self._pack(path)
            tensor = pack.get_tensor(key)
        except (OSError, SafetensorError):
            self._discard(path)
            return None
        if _checksum(tensor) == sums.get(key):
            return tensor
        self._discard(path)
        return None

    def _pack(self, path: Path) -> tuple[safe_open, dict[str, str]]:
        if path not in self._open:
            pack = safe_open(path, framework="pt")
            self._open[path] = pack, json.loads((pack.metadata() or {}).get("sha256", "{}"))
            os.utime(path)
        return self._open[path]

    def _scan(self) -> None:
        """Learn the keys of packs that were not there before."""
        for path in sorted(self.root.glob(f"*{_SUFFIX}")) if self.root.is_dir() else []:
            if path in self._seen:
                continue
            self._seen.add(path)
            try:
                with safe_open(path, framework="pt") as pack:
                    self._owner |= dict.fromkeys(pack.keys(), path)
            except (OSError, SafetensorError):
                self._discard(path)

    def _discard(self, path: Path) -> None:
        """Move a damaged pack aside; its keys count as absent from now on."""
        self.damaged += path.exists()
        self._forget(path)
        try:
            path.replace(path.with_suffix(".damaged"))
        except FileNotFoundError:
            return

    def _forget(self, path: Path) -> None:
        self._open.pop(path, None)
        self._owner = {key: owner for key, owner in self._owner.items() if owner != path}

    def _shrink(self) -> None:
        packs = {path: path.stat() for path in self.root.glob(f"*{_SUFFIX}")}
        total = sum(status.st_size for status in packs.values())
        for path, status in sorted(packs.items(), key=lambda item: item[1].st_mtime_ns):
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            self._forget(path)
            total -= status.st_size


def _checksum(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.view(torch.uint8).numpy().tobytes()).hexdigest()[:16]
