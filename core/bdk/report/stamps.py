"""What every output must say of a result: synthetic data, stand-in networks, oracle selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bdk.report.records import Line, Record

FACTS = ("gallery", "gallery_items", "gallery_fingerprint", "backend", "search_in", "dedup")
"""What a retriever says of itself that is no warning; shown beside the neighbours."""
SPEAKING = ("data", "selection", "stand_in", "oracle", "gallery_stamp")
"""Stamps whose text says by itself what it is about."""


def stamp_lines(stamps: Mapping[str, Any]) -> list[str]:
    """The warnings among some stamps, one line each."""
    return [
        _line(key, value)
        for key, value in stamps.items()
        if key not in FACTS and value not in (None, "", [], {}, False)
    ]


def _line(key: str, value: Any) -> str:
    text = _text(value)
    if key in SPEAKING and isinstance(value, str):
        return text
    return f"{key.replace('_', ' ')}: {text}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_text(inner) for inner in value)
    return "yes" if value is True else str(value)


def record_stamps(record: Record) -> list[str]:
    """Every stamp of one run: of its data, spaces, retrievals, selection and measurement."""
    lines = stamp_lines(record.index.get("stamps", {}))
    lines += [f"{name} guide: {space.stamp}" for name, space in record.planned.spaces.items() if space.stamp]
    for role, artifact in record.artifacts.items():
        if role == "decode" or role.startswith("retrieve."):
            lines += stamp_lines(artifact.json("about.json").get("stamps", {}))
    lines += stamp_lines(record.scores.get("stamps", {}))
    lines += _stand_ins(record)
    return list(dict.fromkeys(lines))


def _stand_ins(record: Record) -> list[str]:
    """Networks that stand in for published ones, in one line."""
    named = {
        f"{entry['network']} for {entry['stand_in_for']}": None
        for entry in record.scores["metrics"].values()
        if entry.get("stand_in_for") and entry.get("value") is not None
    }
    return [f"stand-in networks in the metrics: {', '.join(named)}"] if named else []


def sweep_stamps(lines: Sequence[Line]) -> list[str]:
    """Every stamp of some rows; one that does not hold for all of them names those it holds for."""
    holders: dict[str, list[str]] = {}
    rows = [line for line in lines if line.records]
    for line in rows:
        for text in dict.fromkeys(text for record in line.records for text in record_stamps(record)):
            holders.setdefault(text, []).append(line.label)
    return [text if len(who) == len(rows) else f"{text} (only in: {' · '.join(who)})" for text, who in holders.items()]
