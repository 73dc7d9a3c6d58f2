"""Recorded neighbours: what was asked, what was found, and what is known of it, so that a run can be replayed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from bdk.canonical import canonical
from bdk.errors import DataError
from bdk.interfaces import Neighbours

FORMAT = "bdk-neighbours/1"
_SUFFIX = ".safetensors"
_MEND = "Record it again: --retriever.record FOLDER."


class Described(Protocol):
    """A retriever that can describe what it found."""

    def describe(self, ids: list[int]) -> list[dict[str, object]]: ...

    def stamps(self) -> dict[str, object]: ...


@dataclass(frozen=True)
class Record:
    """One search, or all searches of a folder.

    Args:
        keys: what was asked, unit length.
        ids: what was found, best first; -1 where there was nothing.
        scores: cosines; -inf where there was nothing.
        excluded: ids that were not to be found, padded with -1.
        items: metadata of every id found.
        widths: neighbours that were asked for in each search.
        header: key space, gallery, picture source.
    """

    keys: Float[Tensor, "N P"]
    ids: Int[Tensor, "N K"]
    scores: Float[Tensor, "N K"]
    excluded: Int[Tensor, "N E"]
    widths: Int[Tensor, "N"]
    items: dict[int, dict[str, Any]]
    header: dict[str, Any]


class Recorder:
    """Keeps every search in a folder: one file a search, named by its content, so recording twice changes nothing.

    Args:
        folder: made if absent; may hold searches of other runs in the same gallery.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).expanduser()

    def add(
        self,
        keys: Float[Tensor, "B P"],
        found: Neighbours,
        exclude: Int[Tensor, "B E"] | None,
        source: Described,
        header: dict[str, Any],
    ) -> None:
        """Record one search.

        Raises:
            DataError: the folder holds searches of another gallery.
        """
        excluded = torch.full((len(keys), 1), -1, dtype=torch.int64) if exclude is None else exclude.cpu().long()
        ids = [id for id in torch.unique(found.ids).tolist() if id >= 0]
        items = dict(zip(ids, source.describe(ids), strict=True))
        self._refuse_mixture(header)
        widths = torch.full((len(keys),), found.ids.shape[1], dtype=torch.int64)
        write_part(self.folder, Record(keys, found.ids, found.scores, excluded, widths, items, header))

    def _refuse_mixture(self, header: dict[str, Any]) -> None:
        first = next(iter(sorted(self.folder.glob(f"*{_SUFFIX}"))), None)
        if first is not None and _read_part(first).header.get("fingerprint") != header.get("fingerprint"):
            raise DataError(
                "The folder already holds searches of another gallery.",
                where=str(self.folder),
                mend="Record into another folder.",
            )


def write_part(folder: Path, part: Record) -> None:
    """Write one search, whole or not at all; keys are kept in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    items = canonical([{**row, "id": id} for id, row in sorted(part.items.items())]).encode()
    tensors = {
        "keys": part.keys.half().contiguous(),
        "ids": part.ids.contiguous(),
        "scores": part.scores.contiguous(),
        "excluded": part.excluded.contiguous(),
        "widths": part.widths.contiguous(),
        "items": torch.frombuffer(bytearray(items), dtype=torch.uint8),
    }
    data = save(tensors, metadata={"header": canonical({"format": FORMAT, **part.header})})
    name = hashlib.sha256(data).hexdigest()[:24]
    aside = folder / f"{name}.new"
    aside.write_bytes(data)
    aside.replace(folder / f"{name}{_SUFFIX}")


def read_record(folder: Path) -> Record:
    """Everything recorded in a folder.

    Raises:
        DataError: there is nothing, a file is damaged, or the searches are of different galleries.
    """
    parts = [_read_part(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    if not parts:
        raise DataError("Nothing is recorded there.", where=str(folder), mend=_MEND)
    galleries = {part.header.get("fingerprint") for part in parts}
    if len(galleries) > 1:
        raise DataError("The folder mixes searches of different galleries.", where=str(folder), mend=_MEND)
    return Record(
        torch.cat([part.keys for part in parts]),
        _padded([part.ids for part in parts], -1),
        _padded([part.scores for part in parts], -torch.inf),
        _padded([part.excluded for part in parts], -1),
        torch.cat([part.widths for part in parts]),
        {id: row for part in parts for id, row in part.items.items()},
        parts[0].header,
    )


def _padded(parts: list[Tensor], value: float) -> Tensor:
    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1]), value=value) for part in parts])


def _read_part(path: Path) -> Record:
    """One search; its name is the checksum of its bytes."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest()[:24] != path.stem:
        raise DataError("A recorded search is damaged: its checksum is not its name.", where=str(path), mend=_MEND)
    with safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {}).get("header", "{}"))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header.get("format") != FORMAT:
        raise DataError(f"The record is of format {header.get('format')!r}, not {FORMAT}.", where=str(path), mend=_MEND)
    items = {int(row["id"]): row for row in json.loads(tensors["items"].numpy().tobytes())}
    columns = tensors["ids"], tensors["scores"], tensors["excluded"], tensors["widths"]
    return Record(tensors["keys"].float(), *columns, items, header)
