"""``bdk doctor``: what this machine has, and what a spec lacks. Importing it imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bdk_cli.completion import SpecCommand, complete_spec

SIGNS = {"ok": "ok", "absent": "-", "broken": "BROKEN", "lacking": "MISSING"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", cls=SpecCommand)(doctor)


def doctor(
    context: typer.Context,
    specs: Annotated[
        list[str] | None, typer.Argument(help="Bundled specs or TOML files to ask about.", autocompletion=complete_spec)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Ask about the smaller pass.")] = False,
    store: Annotated[Path | None, typer.Option("--store", help="Artifact store: what is in it needs nothing.")] = None,
    plugin: Annotated[list[str] | None, typer.Option("--plugin", help="A plugin file or module to try.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON.")] = False,
) -> None:
    """Show weights, data, galleries, kernels and accelerators with versions, and what a spec lacks.

    Exits with 1 if something is broken, or missing for a spec: bdk doctor brainram --data nsd --data.path DIR.
    """
    from bdk.doctor import as_rows, examine

    overrides = context.obj or []
    asked = specs or (["brainram"] if overrides else [])
    found = examine(asked, overrides=overrides, quick=quick, store=store, plugins=plugin or ())
    needed = any(finding.is_needed for finding in found)
    if as_json:
        typer.echo(json.dumps({"findings": as_rows(found), "needed": needed}, indent=1))
    else:
        _table(found)
    raise typer.Exit(1 if needed else 0)


def _table(found: list[Any]) -> None:
    topic = ""
    for finding in found:
        if finding.topic != topic:
            topic = finding.topic
            typer.echo(f"{topic}:")
        typer.echo(f"  {SIGNS[finding.state]:<8} {finding.name:<22} {finding.said}")
        if finding.mend and finding.state != "ok":
            typer.echo(f"  {'':<8} {'':<22} -> {finding.mend}")
