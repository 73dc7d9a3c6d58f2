"""The run card: everything that decides a result, beside the result."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

import tomli_w

from bdk.registry import Registry
from bdk.report.records import Record
from bdk.report.references import citation_keys
from bdk.report.stamps import record_stamps
from bdk.spec import RunSpec

PACKAGES = (
    "brain-decoding-kit", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "accelerate", "diffusers",
    "open_clip_torch", "timm", "torchmetrics", "himalaya", "faiss-cpu", "faiss-gpu", "safetensors", "pillow",
)  # fmt: skip


def card(record: Record, registry: Registry) -> dict[str, Any]:
    """``run.json``: versions, keys, seed, split, stamps, timings, citations, plugins."""
    spec, condition = record.spec, record.condition
    return {
        "format": 1,
        "name": spec.name,
        "sweep": spec.sweep,
        "label": spec.label,
        "seed": spec.seed,
        "quick": spec.quick,
        "stamps": record_stamps(record),
        "split": {"name": condition.split_name, "sha256": condition.split_sha256, "test": condition.n},
        "data": {
            "name": condition.data,
            "subject": condition.subject,
            "fingerprint": record.index.get("fingerprint", ""),
        },
        "keys": dict(record.planned.keys),
        "steps": {role: _step(artifact.recipe) for role, artifact in record.artifacts.items()},
        "notes": list(record.planned.notes),
        "versions": versions(),
        "plugins": plugins(spec, registry),
        "citations": {key: registry.citations.get(key, "") for key in citation_keys([spec], registry)},
    }


def _step(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": recipe["key"],
        "label": recipe.get("label", ""),
        "seconds": recipe.get("seconds"),
        "bytes": sum(entry["bytes"] for entry in recipe["files"].values()),
    }


def versions() -> dict[str, str]:
    """Python, platform and the packages that decide numbers, as far as they are installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def plugins(spec: RunSpec, registry: Registry) -> dict[str, str]:
    """Distribution of every part of a run, by ``family name``."""
    parts = [spec.decoder, *(part for g in spec.guides for part in (g.encoder, g.prior, g.retriever, g.fusion))]
    found = {}
    for part in parts:
        info = registry.components.get((part.family, part.use)) if part else None
        if part and info:
            found[f"{part.family} {part.use}"] = info.distribution
    data = registry.datasets.get(spec.data.use)
    return found | ({f"data {spec.data.use}": data.distribution} if data else {})


def card_text(record: Record, registry: Registry) -> str:
    """The card as JSON."""
    return json.dumps(card(record, registry), indent=1, ensure_ascii=False) + "\n"


def spec_text(spec: RunSpec, stamps: list[str]) -> str:
    """The resolved spec as TOML, which reads back to the same run; options without a value are left out."""
    comments = "".join(f"# STAMP: {stamp}\n" for stamp in stamps)
    return comments + tomli_w.dumps(_without_none(spec.plain()))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(inner) for inner in value]
    return value
