"""``bdk weights``: which networks' weights are on this machine. Importing it imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

weights = typer.Typer(help="Weights of published networks on this machine.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(weights, name="weights")


@weights.command("list")
def list_(as_json: AsJson = False) -> None:
    """What is here, and what is known but missing."""
    from bdk.weights import KNOWN, Manifest, how_to_get

    manifest = Manifest.load()
    rows: list[dict[str, Any]] = []
    for name in [*KNOWN, *(name for name in manifest.entries if name not in KNOWN)]:
        entry, known = manifest.entries.get(name), KNOWN.get(name)
        here = entry is not None and entry.path.exists()
        rows.append(
            {
                "name": name,
                "summary": known.summary if known else "",
                "licence": known.licence if known else "",
                "here": here,
                "path": str(entry.path) if entry else "",
                "sha256": entry.sha256 if entry else "",
                "get": "" if here else how_to_get(name),
            }
        )
    if as_json:
        typer.echo(json.dumps({"folder": str(manifest.folder), "weights": rows}, indent=1))
        return
    typer.echo(f"manifest: {manifest.folder / 'manifest.json'}")
    for row in rows:
        state = f"{row['sha256'][:12]}  {row['path']}" if row["here"] else f"missing: {row['get']}"
        typer.echo(f"{row['name']:<20} {row['summary']}\n{'':<20} {state}")


@weights.command()
def add(
    name: Annotated[str, typer.Argument(help="Such as alexnet; see bdk weights list.")],
    path: Annotated[Path, typer.Argument(help="The file, or a folder of files; it stays where it is.")],
) -> None:
    """Note weights that are on this machine."""
    from bdk.weights import Manifest

    entry = Manifest.load().add(name, path)
    typer.echo(f"{entry.name}: {entry.bytes:,} bytes, sha256 {entry.sha256}")


@weights.command("convert-vd")
def convert_vd(
    source: Annotated[Path, typer.Argument(help="The published folder: image_unet, text_unet, vae, scheduler.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    note: Annotated[bool, typer.Option("--add/--no-add", help="Add it to the manifest as versatile-diffusion.")] = True,
) -> None:
    """Bring Versatile Diffusion's published weights to dual form, once: one UNet that listens to picture and text."""
    from bdk import registry
    from bdk.registry import owner_of, resolve
    from bdk.weights import Manifest

    info = registry.load().component("decoder", "versatile-diffusion")
    decoder = resolve(info.target, owner=owner_of(info), requires=info.requires)
    folder = decoder.convert(source, out)
    typer.echo(f"written to {folder}")
    if note:
        entry = Manifest.load().add("versatile-diffusion", folder)
        typer.echo(f"{entry.name}: {entry.bytes:,} bytes, sha256 {entry.sha256}")


@weights.command()
def remove(name: Annotated[str, typer.Argument(help="A name of the manifest.")]) -> None:
    """Forget weights; the file stays."""
    from bdk.weights import Manifest

    Manifest.load().remove(name)
    typer.echo(f"{name} is no longer in the manifest; its file was left alone")


@weights.command()
def verify(names: Annotated[list[str] | None, typer.Argument(help="Names; default: all.")] = None) -> None:
    """Read files again and compare checksums. Exits with 1 if one differs or is gone."""
    from bdk.errors import BdkError
    from bdk.weights import Manifest

    manifest = Manifest.load()
    failed = False
    for name in names or list(manifest.entries):
        try:
            entry = manifest.verify(name)
        except BdkError as error:
            failed = True
            typer.echo(f"{name}: {error}")
        else:
            typer.echo(f"{name}: unchanged, sha256 {entry.sha256[:12]}")
    if not manifest.entries:
        typer.echo("the manifest is empty")
    raise typer.Exit(1 if failed else 0)


@weights.command()
def fetch(names: Annotated[list[str], typer.Argument(help="Names of bdk weights list.")]) -> None:
    """Download published weights. Nothing else in bdk downloads weights."""
    from bdk.weights import KNOWN, Manifest

    manifest = Manifest.load()
    for name in names:
        if name in KNOWN:
            typer.echo(f"{name} ({KNOWN[name].licence}): {KNOWN[name].url}")
        entry = manifest.fetch(name)
        typer.echo(f"{name}: {entry.bytes:,} bytes, sha256 {entry.sha256}")
