"""``bdk import``: published stage-I checkpoints, used in place of training. Importing it imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_)


def import_(
    source: Annotated[str, typer.Argument(help="Whose format: mindeye or brainram.")],
    checkpoint: Annotated[Path, typer.Argument(help="The .pth file of one guide, as its release saves it.")],
    space: Annotated[str, typer.Option("--space", help="Space id; default: the release's own, by its size.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="An option that differs from the release: encoder.hidden=2048.")
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help="Artifact store.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON.")] = False,
) -> None:
    """Read a published stage-I checkpoint and keep it in the store; `bdk run` uses it in place of training.

    No code in the file is run; every key and shape is checked.
    """
    from bdk import registry
    from bdk.artifacts import Store
    from bdk.checkpoints import keep
    from bdk.published import read

    options = _options(settings or [])
    found = read(checkpoint, source, registry.load(), space=space, options=options)
    artifact = keep(found, Store(store))
    facts = {"key": artifact.key, **found.facts()}
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    parts = " + ".join(part["use"] for part in facts["parts"].values())
    typer.echo(f"{source}: {parts}, {facts['parameters']:,} weights, {found.voxels:,} voxels, space {found.space}")
    typer.echo(f"kept as {artifact.key}")
    typer.echo("use it in a spec:")
    for line in _spec_lines(found.guide, artifact.key, facts["parts"], options):
        typer.echo(f"  {line}")


def _spec_lines(
    guide: str, key: str, parts: Mapping[str, Mapping[str, Any]], options: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The lines of a spec that take the weights: the parts as they were read, and the key."""
    lines = []
    for family, part in parts.items():
        chosen = {"use": part["use"], **options[family]}
        lines += [f"[guide.{guide}.{family}]", *(f"{name} = {json.dumps(value)}" for name, value in chosen.items())]
    return [*lines, f"[guide.{guide}.stage1]", f"weights = {json.dumps(key[:16])}"]


def _options(settings: list[str]) -> dict[str, dict[str, Any]]:
    """``encoder.hidden=2048`` as nested options.

    Raises:
        SpecError: another form, or a part that a checkpoint does not hold.
    """
    from bdk.errors import SpecError
    from bdk.spec.grammar import parse_value

    options: dict[str, dict[str, Any]] = {"encoder": {}, "prior": {}}
    for setting in settings:
        key, equals, value = setting.partition("=")
        family, dot, name = key.partition(".")
        if not equals or not dot or family not in options:
            raise SpecError(
                f"--set {setting} is not understood.", mend="Write --set encoder.NAME=VALUE or prior.NAME=VALUE."
            )
        options[family][name] = parse_value(value)
    return options
