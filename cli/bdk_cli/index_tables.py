"""How ``bdk index`` prints: facts, tables, sizes, progress."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import typer
from bdk.errors import SpecError

_UNITS = {
    "": 1.0,
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "tb": 1e12,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
    "tib": 2.0**40,
}


def parse_bytes(text: str) -> float:
    """``4GB`` as a number of bytes.

    Raises:
        SpecError: the text names no size.
    """
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?i?b?)\s*", text.lower())
    unit = found.group(2) if found else None
    unit = f"{unit}b" if unit and not unit.endswith("b") else unit
    if found is None or unit not in _UNITS or found.group(1).count(".") > 1:
        raise SpecError(f"{text!r} is no size.", where="--memory", mend="Write it as 4GB, 500MB or 64GiB.")
    return float(found.group(1)) * _UNITS[unit]


def human_bytes(count: float) -> str:
    """Bytes in words."""
    from bdk.galleries.index_plans import size

    return size(count)


def plan_rows(n: int, dim: int, memory: float, gflops: float) -> list[dict[str, Any]]:
    """One row for each index type: what it takes and how long it takes to build."""
    from bdk.galleries.index_plans import KINDS, plan_index

    rows = []
    for kind in KINDS:
        plan = plan_index(kind, n, dim, memory=memory)
        rows.append(
            {
                "type": kind,
                "factory": plan.factory or "(scan)",
                "bytes a vector": plan.bytes_per_vector,
                "index": human_bytes(plan.bytes if plan.nlist else 0),
                "embeddings fp16": human_bytes(plan.stored_bytes),
                "memory, lists in memory": human_bytes(plan.bytes),
                "memory, lists on disk": human_bytes(plan.fixed_bytes or 2 * 65_536 * dim),
                "read per query": human_bytes(plan.query_bytes),
                "training rows": plan.train_rows,
                "memory to train": human_bytes(plan.train_bytes),
                "work, FLOP": float(f"{plan.train_flop + plan.add_flop:.3g}"),
                "build, hours": round(plan.hours(gflops), 3),
            }
        )
    return rows


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Facts as JSON, or one a line."""
    if as_json:
        typer.echo(json.dumps(facts, indent=1, default=str, ensure_ascii=False))
        return
    for key, value in facts.items():
        if value not in ("", [], {}, None):
            shown = (
                human_bytes(value)
                if key.endswith("_bytes")
                else json.dumps(value, ensure_ascii=False)
                if isinstance(value, dict)
                else value
            )
            typer.echo(f"{key:16} {shown}")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rows of equal keys as a table."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def progress(quiet: bool) -> Callable[[str, int, int], None]:
    """A teller of (what, done, total) on the error stream."""
    if quiet:
        return lambda what, done, total: None
    return lambda what, done, total: typer.echo(f"{what} {done}/{total}" if total > 1 else what, err=True)
