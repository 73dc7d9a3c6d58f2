"""``bdk diff``, ``bdk export`` and ``bdk reproduce``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Artifact store of the runs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("diff")(diff)
    app.command("export")(export)
    app.command("reproduce")(reproduce)


def diff(
    first: Annotated[Path, typer.Argument(help="A run folder, or that of a sweep.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the first step whose output differs between two runs, and why. Exits with 1 if one does.

    Of two sweeps, every row is compared with the row of the same name.
    """
    from bdk.api import load
    from bdk.bundles import differences

    found = differences(load(first, store=store), load(second, store=store))
    _tell(found, "The runs are equal, step by step.", as_json)


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    bundle: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    store: StoreOption = None,
) -> None:
    """Copy a run with its spec, card, artifacts and hashes into one folder."""
    from bdk.api import load
    from bdk.bundles import export as write

    typer.echo(f"bundle: {write(load(run, store=store), bundle)}")


def reproduce(
    bundle: Annotated[Path, typer.Argument(help="Folder that `bdk export` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the new run and its store.")],
    as_json: JsonOption = False,
) -> None:
    """Run a bundle again from nothing and compare every step. Exits with 1 if a step diverged."""
    from bdk.bundles import reproduce as again

    from bdk_cli.progress import watcher

    with watcher(quiet=as_json) as tell:
        found = again(bundle, out, tell=tell)
    _tell({"": found}, "Reproduced: every step has the same hashes.", as_json)


def _tell(found: Mapping[str, Any], equal: str, as_json: bool) -> None:
    """Say what differs, row by row."""
    if as_json:
        facts = [
            {"row": name, "step": difference.role, "reasons": list(difference.reasons)}
            for name, difference in found.items()
            if difference
        ]
        typer.echo(json.dumps({"equal": not facts, "differences": facts}, indent=1))
    elif not any(found.values()):
        typer.echo(equal)
    else:
        for name, difference in found.items():
            _say(f"{name}: " if name else "", difference)
    if any(found.values()):
        raise typer.Exit(1)


def _say(prefix: str, difference: Any) -> None:
    if difference is None:
        typer.echo(f"{prefix}equal")
        return
    typer.echo(f"{prefix}the first step that differs is {difference.role}:" if difference.role else prefix.rstrip())
    for reason in difference.reasons:
        typer.echo(f"  {reason}")
