"""``bdk data``: prepare data sets, and check what was prepared. Importing it imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

data = typer.Typer(help="Prepare data sets, and check them.", no_args_is_help=True)
prepare = typer.Typer(help="Bring a data set to the form that runs read.", no_args_is_help=True)
data.add_typer(prepare, name="prepare")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(data, name="data")


@prepare.command("nsd")
def prepare_nsd(
    root: Annotated[Path, typer.Option(help="NSD's root folder, with nsddata and nsddata_betas in it.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    subject: Annotated[int, typer.Option(min=1, max=8, help="Subject, 1 to 8.")] = 1,
    split: Annotated[
        Literal["nsd37", "nsd40"],
        typer.Option(help="nsd37: 37 sessions, 8,859 + 982 images, as published; nsd40: 40, 9,000 + 1,000."),
    ] = "nsd37",
    zscore: Annotated[
        Literal["session", "train", "none"],
        typer.Option(help="Z-score each voxel by session, by the training rows, or not."),
    ] = "session",
    trials: Annotated[
        Literal["single", "average"], typer.Option(help="Keep single trials, or average the showings of each image.")
    ] = "single",
    betas: Annotated[
        Literal["auto", "nifti", "hdf5"], typer.Option(help="Files to read; auto: hdf5 if there, else NIfTI.")
    ] = "auto",
    version: Annotated[str, typer.Option(help="Folder of the GLM estimates.")] = "betas_fithrf_GLMdenoise_RR",
    mask: Annotated[
        list[str] | None,
        typer.Option(help="Volume whose voxels above 0 are kept (nsdgeneral if none is named); repeat it for a union."),
    ] = None,
    captions: Annotated[
        str, typer.Option(help="Folder of COCO's captions_*2017.json, or `none`; ROOT/annotations if not named.")
    ] = "",
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Whether to copy the pictures (5.4 GB at full size).")
    ] = True,
    invalid: Annotated[
        Literal["refuse", "zero"],
        typer.Option(help="Voxels that do not vary in a session: refuse, or keep them at 0 there."),
    ] = "refuse",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Prepare one subject of the Natural Scenes Dataset; a killed preparation goes on where it stopped."""
    from bdk.data.nsd.options import Options
    from bdk.data.nsd.prepare import prepare as run

    options = Options(
        root=root,
        subject=subject,
        out=out,
        split=split,
        zscore=zscore,
        trials=trials,
        betas=betas,
        version=version,
        masks=tuple(mask or ["nsdgeneral"]),
        captions=None if captions == "none" else Path(captions or root / "annotations"),
        images=images,
        invalid=invalid,
    )
    with _bar() as progress:
        manifest = run(options, progress)
    _show({"folder": str(out), **_summary(manifest)} if not as_json else manifest, as_json)
    if manifest["voxels_at_zero_by_session"] and not as_json:
        typer.echo(f"Voxels without data, kept at 0: {manifest['voxels_at_zero_by_session']}", err=True)


def _summary(manifest: dict[str, Any]) -> dict[str, Any]:
    kept = ("subject", "split", "sessions", "sizes", "zscore", "trials", "split_sha256")
    return {key: manifest[key] for key in kept}


@data.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="A prepared folder, or a .toml that describes arrays.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Compare every checksum, look for NaN and constant voxels, and say what a data set holds."""
    from bdk.data.inspect import inspect

    with _bar() as progress:
        facts = inspect(path, progress)
    _show(facts, as_json)


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        text = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        typer.echo(f"{name:<{width}}  {text}")


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar per stage on standard error; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield progress
