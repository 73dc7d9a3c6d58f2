"""Whom to cite: every part, data set and metric that took part, as readable references with their BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bdk.components import ComponentInfo, DatasetInfo, MetricInfo
from bdk.registry import Registry
from bdk.spec import RunSpec


@dataclass(frozen=True)
class Reference:
    """One entry: key, readable form, and BibTeX (empty if nobody handed any in)."""

    key: str
    text: str
    bibtex: str
    link: str = ""


def citation_keys(specs: Iterable[RunSpec], registry: Registry) -> list[str]:
    """Keys of the specs, their parts, data and metrics, in that order."""
    keys: dict[str, None] = {}
    for spec in specs:
        keys |= dict.fromkeys(spec.cite)
        infos: list[DatasetInfo | ComponentInfo | MetricInfo | None] = [registry.datasets.get(spec.data.use)]
        parts = [spec.decoder, *(part for g in spec.guides for part in (g.encoder, g.prior, g.retriever, g.fusion))]
        infos += [registry.components.get((part.family, part.use)) for part in parts if part]
        infos += [registry.metrics.get(name) for name in spec.measure.metrics or registry.metrics]
        for info in infos:
            keys |= dict.fromkeys(info.cite if info else ())
    return list(keys)


def references(specs: Sequence[RunSpec], registry: Registry) -> list[Reference]:
    """References of some runs."""
    return [reference(key, registry.citations.get(key, "")) for key in citation_keys(specs, registry)]


def reference(key: str, bibtex: str) -> Reference:
    """A BibTeX entry in readable form; the key alone where there is none."""
    fields = {name.lower(): _clean(value) for name, value in _fields(bibtex)}
    venue = next((fields[name] for name in ("journal", "booktitle", "publisher", "howpublished") if name in fields), "")
    people = _people(fields.get("author", ""))
    parts = [f"{people} ({fields['year']})" if "year" in fields else people, fields.get("title", ""), venue]
    text = ". ".join(part.rstrip(".") for part in parts if part)
    link = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", "")
    return Reference(key, f"{text}." if text else key, bibtex.strip(), link)


def _fields(bibtex: str) -> list[tuple[str, str]]:
    """``name = {value}`` pairs; one level of inner braces is understood."""
    pattern = r'(\w+)\s*=\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|"([^"]*)"|(\d+))'
    return [(name, a or b or c) for name, a, b, c in re.findall(pattern, bibtex)]


def _clean(value: str) -> str:
    return " ".join(value.replace("{", "").replace("}", "").replace("--", "–").split())


def _people(authors: str) -> str:
    names = [
        name.split(",")[0].strip() if "," in name else name.split()[-1]
        for name in authors.split(" and ")
        if name.strip()
    ]
    names = [name for name in names if name != "others"]
    if len(names) > 2 or " and others" in authors:
        return f"{names[0]} et al."
    return " and ".join(names)
