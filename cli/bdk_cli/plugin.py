"""``bdk plugin``: start a package of one's own, and check one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

KINDS = ("encoder", "prior", "retriever", "fusion", "decoder", "dataset", "space", "metric")

plugin = typer.Typer(help="Write a part of your own, and check that it keeps its contracts.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(plugin, name="plugin")


def _complete_kind(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _complete_package(incomplete: str) -> list[str]:
    from bdk import registry

    names = {found.distribution.rpartition(" ")[0] for found in registry.load().plugins}
    return sorted(name for name in names if name.startswith(incomplete))


@plugin.command("new")
def new(
    kind: Annotated[
        str, typer.Argument(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.", autocompletion=_complete_kind)
    ],
    name: Annotated[str, typer.Argument(help="How a spec will call it: lower-case words joined by hyphens.")],
    into: Annotated[Path, typer.Option("--into", help="Folder in which the package's folder is made.")] = Path(),
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One file for --plugin or BDK_PLUGINS, without a package.")
    ] = False,
) -> None:
    """Write a package that installs, whose tests pass, and whose part can be used at once."""
    from bdk import scaffold

    written = scaffold.write(kind, name, into, single_file=single_file)
    typer.echo("\n".join(str(path) for path in written.files))
    typer.echo(f"\nNext:\n{written.next_steps}")


@plugin.command("check")
def check(
    package: Annotated[
        str,
        typer.Argument(help="A distribution, entry point, module or file.", autocompletion=_complete_package),
    ],
    every: Annotated[bool, typer.Option("--all", help="Show the checks that passed as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON.")] = False,
) -> None:
    """Run the conformance kit over a package: its door and every part it offers. Exits with 1 if it does not conform."""
    from bdk import registry
    from bdk.testing import conformance

    extra = [package] if package.endswith(".py") else []
    report = conformance.check_package(package, registry=registry.load(extra))
    if as_json:
        typer.echo(json.dumps(conformance.plain(report), indent=1, ensure_ascii=False))
    else:
        typer.echo("\n\n".join("\n".join(part.lines(every=every)) for part in report.reports))
        typer.echo(f"\n{report.counts()}")
    if not report.ok:
        raise typer.Exit(1)
