"""What was retrieved for some stimuli: pictures, similarity, captions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bdk.artifacts import Artifact
from bdk.report.cells import said
from bdk.report.pictures import data_uri
from bdk.report.records import Line, Record

SHOWN = 8
"""Stimuli shown of each retrieval."""
EDGE = 64


@dataclass(frozen=True)
class Neighbour:
    """One retrieved item; an empty picture where none was kept."""

    id: int
    similarity: float
    caption: str
    picture: str


@dataclass(frozen=True)
class Found:
    """What one stimulus found, best first; items that are missing are left out and counted."""

    id: str
    caption: str
    picture: str
    neighbours: tuple[Neighbour, ...]
    missing: int


@dataclass(frozen=True)
class Retrieval:
    """One retrieve step.

    Args:
        guide: the guide whose estimate asked.
        gallery: what was searched.
        facts: what the retriever says of itself, one line each.
        labels: rows of the sweep that share it.
        found: for each stimulus shown, the neighbours of its first sample.
        total: test stimuli there are.
        samples: samples of each stimulus that searched.
    """

    guide: str
    gallery: str
    facts: tuple[str, ...]
    labels: tuple[str, ...]
    found: tuple[Found, ...]
    total: int
    samples: int


def build_retrievals(lines: Sequence[Line]) -> list[Retrieval]:
    """Every distinct retrieval of the rows' first seeds."""
    holders: dict[str, list[str]] = {}
    sources: dict[str, tuple[Record, Artifact]] = {}
    for line in lines:
        for record in line.records[:1]:
            for role, artifact in record.artifacts.items():
                if role.startswith("retrieve."):
                    holders.setdefault(artifact.key, []).append(line.label)
                    sources.setdefault(artifact.key, (record, artifact))
    return [_retrieval(*sources[key], tuple(labels)) for key, labels in holders.items()]


def _retrieval(record: Record, artifact: Artifact, labels: tuple[str, ...]) -> Retrieval:
    about = artifact.json("about.json")
    ids, scores = artifact.array("test_ids.npy"), artifact.array("test_scores.npy")
    thumbs = _thumbs(artifact)
    found = tuple(
        _found(record, position, ids[position, 0], scores[position, 0], about.get("items", {}), thumbs)
        for position in range(min(SHOWN, len(ids)))
    )
    facts = tuple(_fact(key, value) for key, value in about.get("stamps", {}).items())
    name = artifact.recipe["options"]["retriever"]["use"]
    return Retrieval(artifact.recipe["guide"], name, facts, labels, found, len(ids), ids.shape[1])


def _fact(key: str, value: Any) -> str:
    is_hash = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32,}", value)
    return f"{key.replace('_', ' ')}: {value[:12] if is_hash else said(value)}"


def _thumbs(artifact: Artifact) -> dict[int, np.ndarray]:
    if not artifact.has("thumbs.npy"):
        return {}
    ids, pictures = artifact.array("thumb_ids.npy"), artifact.array("thumbs.npy")
    return {int(id): pictures[row] for row, id in enumerate(ids)}


def _found(
    record: Record,
    position: int,
    ids: np.ndarray,
    scores: np.ndarray,
    items: Mapping[str, Mapping[str, Any]],
    thumbs: Mapping[int, np.ndarray],
) -> Found:
    neighbours = tuple(
        Neighbour(
            int(id),
            float(score),
            str(items.get(str(int(id)), {}).get("caption") or ""),
            data_uri(thumbs[int(id)], EDGE) if int(id) in thumbs else "",
        )
        for id, score in zip(ids, scores, strict=True)
        if id >= 0
    )
    stimulus = record.stimulus(position)
    return Found(
        record.test_ids[position],
        record.caption(position),
        data_uri(stimulus, EDGE) if stimulus is not None else "",
        neighbours,
        int((ids < 0).sum()),
    )
