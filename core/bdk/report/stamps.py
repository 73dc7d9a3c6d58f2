"""What every output must say of a result: synthetic data, stand-in networks, oracle selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bdk.report.records import Line, Record

FACTS = ("gallery", "gallery_items", "gallery_fingerprint", "backend", "search_in", "dedup")
"""What a retriever says of itself that is no warning; shown beside the neighbours."""
SPEAKING = ("data", "selection", "stand_in")
"""Stamps whose text says by itself what it is about."""
SHOWN_ELSEWHERE = ("split", "audit")
"""The split stands with the data; audits are read from their findings."""


def record_stamps(record: Record) -> list[str]:
    """The warnings among everything that the measurement of a run was stamped with."""
    lines = [_line(key, value) for key, value in record.scores.get("stamps", {}).items()]
    lines += [audit["summary"] for audit in record.scores.get("audits", ()) if audit["matches"]]
    return list(dict.fromkeys(filter(None, [*lines, *_stand_ins(record)])))


def _line(key: str, value: Any) -> str:
    """``space image`` and ``retrieve.text stand_in`` name first whose stamp it is; facts give no line."""
    whose, _, what = key.rpartition(" ")
    if what in FACTS or key.split()[0] in SHOWN_ELSEWHERE or value in (None, "", [], {}, False):
        return ""
    if what in SPEAKING and isinstance(value, str):
        return value
    if key.startswith("gallery "):
        return f"{key}: {_text(value)}"
    if whose == "space":
        return f"{what} guide: {_text(value)}"
    return f"{what.replace('_', ' ')}{f' ({whose})' if whose else ''}: {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_text(inner) for inner in value)
    return "yes" if value is True else str(value)


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
