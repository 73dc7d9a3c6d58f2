"""Pictures and captions to embeddings, in clip-retrieval's layout, so that one road leads to an index."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdk.canonical import digest
from bdk.errors import DataError, PlanError
from bdk.galleries.metadata import open_parquet, write_parquet
from bdk.galleries.pictures import Missing, decode_picture
from bdk.galleries.shards import claim, write_json
from bdk.registry import Registry
from bdk.spaces import Space

SHARD = 10_000
"""Pictures of a shard: what an interruption can lose."""
_BATCH = 64
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_MAX_PIXELS = 200_000_000


@dataclass(frozen=True)
class Pair:
    """One picture file and its caption (empty if it has none)."""

    path: Path
    caption: str


def read_pairs(folder: Path) -> list[Pair]:
    """Pictures of a folder, sorted by path, with captions.

    Captions come from ``captions.csv`` or ``captions.parquet`` (columns ``path``, relative to the folder, and
    ``caption``) if there is one, else from a ``.txt`` file beside each picture.

    Raises:
        DataError: the folder holds no pictures, or a table without those columns.
    """
    table = next((folder / name for name in ("captions.csv", "captions.parquet") if (folder / name).is_file()), None)
    if table is not None:
        return [Pair(folder / path, caption) for path, caption in _table(table)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise DataError("There are no pictures.", where=str(folder), mend=f"Known endings: {', '.join(_SUFFIXES)}.")
    return [Pair(path, _beside(path)) for path in paths]


def _table(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            rows: list[dict] = list(csv.DictReader(stream))
    else:
        rows = open_parquet(path).read().to_pylist()
    if not rows or not {"path", "caption"} <= set(rows[0]):
        raise DataError("The captions need the columns path and caption.", where=str(path))
    return ((str(row["path"]), str(row["caption"] or "")) for row in rows)


def _beside(picture: Path) -> str:
    caption = picture.with_suffix(".txt")
    return caption.read_text(encoding="utf-8").strip() if caption.is_file() else ""


def towers(registry: Registry, key_model: str) -> tuple[Space, Space | None]:
    """The spaces whose backbones give pooled keys of ``key_model``: of pictures, and of captions if there is one.

    Raises:
        PlanError: no installed space of pictures has those keys.
    """
    found = [space for space in registry.spaces.values() if space.pooled == key_model and space.backbone]
    image = next((space for space in sorted(found, key=lambda s: s.tokens) if space.modality == "image"), None)
    text = next((space for space in sorted(found, key=lambda s: s.tokens) if space.modality == "text"), None)
    if image is None:
        known = sorted({space.pooled for space in registry.spaces.values() if space.pooled and space.backbone})
        raise PlanError(
            f"Nothing installed embeds pictures as {key_model!r}.",
            where="--key-model",
            mend=f"Known: {', '.join(known)}.",
        )
    return image, text


def embed_folder(
    folder: Path,
    out: Path,
    spaces: tuple[Space, Space | None],
    device: str = "cpu",
    tell: Callable[[str, int, int], None] = lambda *a: None,
) -> dict[str, int]:
    """Embed a folder of pictures and captions, shard by shard; shards that are there are kept.

    Args:
        folder: see `read_pairs`.
        out: gets ``img_emb``, ``text_emb`` (if there are captions and a text tower) and ``metadata``.
        spaces: see `towers`.
        device: where the backbones compute.
        tell: told (what, done, total).

    Returns:
        Pictures that could not be read, by reason, those of an interrupted call included; they are left out.

    Raises:
        DataError: there are no pictures, or ``out`` holds embeddings of others.
    """
    pairs = read_pairs(folder)
    text = spaces[1] if any(pair.caption for pair in pairs) else None
    _open_folder(out, pairs, [space.id for space in (spaces[0], text) if space is not None])
    for name in ("img_emb", "metadata", "left_out", *(["text_emb"] if text else [])):
        (out / name).mkdir(exist_ok=True)
    lost: Counter[str] = Counter()
    for number, start in enumerate(range(0, len(pairs), SHARD)):
        tell("embed", start, len(pairs))
        if not (out / f"metadata/metadata_{number:05d}.parquet").is_file():
            _embed_shard(pairs[start : start + SHARD], out, number, spaces[0], text, device)
        lost.update(json.loads((out / f"left_out/left_out_{number:05d}.json").read_text()))
    return dict(lost)


def _open_folder(out: Path, pairs: list[Pair], spaces: list[str]) -> None:
    """Refuse a folder that holds embeddings of other pictures, other captions or by another model."""
    files = [(str(pair.path.resolve()), *_state(pair.path), pair.caption) for pair in pairs]
    refusal = "The folder holds embeddings of other pictures or captions, or by another model."
    claim(out, "pictures.json", digest([files, spaces]), refusal, "Delete that folder, or choose another --out.")


def _state(path: Path) -> tuple[int, int]:
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (-1, -1)


def _embed_shard(pairs: list[Pair], out: Path, number: int, image: Space, text: Space | None, device: str) -> None:
    """The metadata is written last: its presence says that the shard is whole."""
    from bdk.targets import backbone

    kept: list[Pair] = []
    lost: dict[str, int] = {}
    images, texts = [], []
    for start in range(0, len(pairs), _BATCH):
        whole = list(_readable(pairs[start : start + _BATCH], lost))
        if not whole:
            continue
        kept += [pair for pair, _ in whole]
        images.append(backbone(image, device).pooled(np.stack([pixels for _, pixels in whole])).cpu().numpy())
        if text is not None:
            captions = [(pair.caption or pair.path.stem,) for pair, _ in whole]
            texts.append(backbone(text, device).pooled(captions).cpu().numpy())
    if not kept:
        raise DataError(f"None of {len(pairs)} pictures can be read.", where=str(pairs[0].path.parent))
    _save(out / f"img_emb/img_emb_{number:05d}.npy", np.concatenate(images))
    if text is not None:
        _save(out / f"text_emb/text_emb_{number:05d}.npy", np.concatenate(texts))
    write_json(out / f"left_out/left_out_{number:05d}.json", lost)
    columns = {"path": [str(pair.path.resolve()) for pair in kept], "caption": [pair.caption for pair in kept]}
    write_parquet(out / f"metadata/metadata_{number:05d}.parquet", columns)


def _readable(pairs: list[Pair], lost: dict[str, int]) -> Iterator[tuple[Pair, np.ndarray]]:
    for pair in pairs:
        found = (
            decode_picture(pair.path.read_bytes(), _MAX_PIXELS) if pair.path.is_file() else Missing("file-not-found")
        )
        if isinstance(found, Missing):
            lost[found.reason] = lost.get(found.reason, 0) + 1
        else:
            yield pair, found


def _save(path: Path, rows: np.ndarray) -> None:
    aside = path.with_name(path.name + ".new")
    with aside.open("wb") as stream:
        np.save(stream, rows.astype(np.float16))
    aside.replace(path)
