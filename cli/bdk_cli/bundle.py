"""``bdk diff``, ``bdk export`` and ``bdk reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

StoreOption = Annotated[Path | None, typer.Option("--store", help="Artifact store of the runs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("diff")(diff)
    app.command("export")(export)
    app.command("reproduce")(reproduce)


def diff(
    first: Annotated[Path, typer.Argument(help="A run folder.")],
    second: Annotated[Path, typer.Argument(help="Another run folder.")],
    store: StoreOption = None,
) -> None:
    """Name the first step whose output differs between two runs, and why. Exits with 1 if one does."""
    from bdk.api import load
    from bdk.bundles import first_difference

    _tell(first_difference(load(first, store=store), load(second, store=store)), "The runs are equal, step by step.")


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
) -> None:
    """Run a bundle again from nothing and compare every step. Exits with 1 if a step diverged."""
    from bdk.bundles import reproduce as again

    from bdk_cli.progress import watcher

    with watcher() as tell:
        found = again(bundle, out, tell=tell)
    _tell(found, "Reproduced: every step has the same hashes.")


def _tell(found: Any, equal: str) -> None:
    if found is None:
        typer.echo(equal)
        return
    typer.echo(f"The first step that differs is {found.role}:")
    for reason in found.reasons:
        typer.echo(f"  {reason}")
    raise typer.Exit(1)
