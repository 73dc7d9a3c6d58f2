"""``bdk plan``: what would be made, what is there already, and how large it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bdk_cli.completion import SpecCommand, complete_spec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan", cls=SpecCommand)(plan)


def plan(
    context: typer.Context,
    specs: Annotated[
        list[str] | None,
        typer.Argument(help="Bundled specs or TOML files; default: brainram.", autocompletion=complete_spec),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Plan the smaller pass.")] = False,
    store: Annotated[Path | None, typer.Option("--store", help="Artifact store to look into.")] = None,
    sizes: Annotated[bool, typer.Option("--sizes/--no-sizes", help="Count parameters, memory and disk.")] = True,
    plugin: Annotated[list[str] | None, typer.Option("--plugin", help="A plugin file or module to try.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON.")] = False,
) -> None:
    """Show the steps of some specs: to make or made, shared by which rows, parameters, memory, disk and time."""
    from bdk.artifacts import Store
    from bdk.runs import planned

    made_plan, registry = planned(specs or (), overrides=context.obj or [], quick=quick, plugins=plugin or ())
    artifacts = Store(store)
    measured: dict[str, Any] = {}
    if sizes:
        from bdk.sizes import sizes_of

        measured = sizes_of(made_plan, registry, artifacts)
    rows = [_row(made_plan, step, artifacts, measured.get(step.key, {})) for step in made_plan.steps.values()]
    notes = sorted({note for run in made_plan.runs for note in run.notes})
    if as_json:
        typer.echo(json.dumps({"steps": rows, "counts": made_plan.counts(), "notes": notes}, indent=1))
        return
    _table(rows, made_plan.counts(), notes)


def _row(made_plan: Any, step: Any, artifacts: Any, size: dict[str, Any]) -> dict[str, Any]:
    return {
        "step": step.label,
        "kind": step.kind,
        "guide": step.guide,
        "key": step.key,
        "state": "made" if step.key in artifacts else "to make",
        "rows": made_plan.users(step.key),
        **size,
    }


def _table(rows: list[dict[str, Any]], counts: dict[str, int], notes: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("step", "state", "parameters", "memory", "disk", "time", "rows", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row["step"],
            row["state"],
            _parameters(row),
            human(row.get("memory_bytes")),
            human(row.get("disk_bytes")),
            f"{row['seconds']:.0f} s" if row.get("seconds") else "",
            _shared(row["rows"]),
        )
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    to_make = sum(row["state"] == "to make" for row in rows)
    console.print(f"{len(rows)} distinct steps, {to_make} to make: " + ", ".join(f"{n} {k}" for k, n in counts.items()))
    if told := _time(rows):
        console.print(told)
    for lack, steps in _missing(rows).items():
        console.print(f"missing for {', '.join(steps)}: {lack}", highlight=False, soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", highlight=False)


def _shared(rows: list[str], most: int = 3) -> str:
    """Which rows need a step; of many, how many more."""
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return ", ".join(rows[:most]) + more


def _parameters(row: dict[str, Any]) -> str:
    """Parameters, part by part where there are several."""
    parts = {name: count for name, count in row.get("parts", {}).items() if count}
    most = "at most " if row.get("at_most") else ""
    if len(parts) > 1:
        return "\n".join(f"{most}{count:,} {name}" for name, count in parts.items())
    return f"{most}{row['parameters']:,}" if row.get("parameters") else ""


def _time(rows: list[dict[str, Any]]) -> str:
    """How long the steps to make took before, and of how many that is not known."""
    to_make = [row for row in rows if row["state"] == "to make"]
    known = [row["seconds"] for row in to_make if row.get("seconds") is not None]
    if not known:
        return ""
    unknown = f"; {len(to_make) - len(known)} steps have no recorded time" if len(known) < len(to_make) else ""
    return f"about {sum(known):.0f} s to go, by the times of equal steps in the store{unknown}"


def _missing(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Steps by what they lack."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for lack in row.get("missing", ()):
            found.setdefault(lack, []).append(row["step"])
    return found


def human(count: float | None) -> str:
    """Bytes in a unit a person reads."""
    if not count:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
