"""``bdk demo``: the embedded demo world and the training of its shipped weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from bdk.spec.grammar import unknown

demo = typer.Typer(help="The embedded demo world.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(demo, name="demo")


@demo.command("train")
def train(
    network: Annotated[
        str,
        typer.Argument(
            help="clip, vae, decoder or doubt (the decoder once more, with tokens as a brain would give them)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for pictures, checkpoints and weights.")],
    steps: Annotated[int | None, typer.Option(help="Batches in all; the default makes the shipped weights.")] = None,
    device: Annotated[str, typer.Option(help="Where to compute, such as cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Seed of batches, noise and initial weights.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, whatever checkpoint is there.")] = False,
    frozen: Annotated[
        Path | None,
        typer.Option(help="decoder and doubt: folder of the CLIP and VAE weights; default the shipped ones."),
    ] = None,
) -> None:
    """Train one of the demo world's networks from its seeded generator; a killed training resumes."""
    from bdk.demo.train import TRAINERS

    if network not in TRAINERS:
        raise unknown("network", network, TRAINERS, where="bdk demo train")
    given: dict[str, Any] = {key: value for key, value in (("steps", steps), ("frozen", frozen)) if value is not None}
    scores = TRAINERS[network](out, device=device, seed=seed, resume=not fresh, **given)
    for name, value in scores.items():
        typer.echo(f"{name}: {value:.4f}")


@demo.command("check")
def check() -> None:
    """Score the shipped weights on held-out scenes, against the thresholds they must reach. Exits with 1 if one fails."""
    from bdk.demo.check import THRESHOLDS, shortfalls
    from bdk.demo.files import read_card

    low = shortfalls()
    for network, thresholds in THRESHOLDS.items():
        held_out: Any = read_card(network)["held_out"]
        for score, threshold in thresholds.items():
            typer.echo(f"{network} {score}: at least {threshold}; its card says {held_out[score]}")
    for name, why in low.items():
        typer.echo(f"below its threshold: {name} {why}", err=True)
    if low:
        raise typer.Exit(1)
    typer.echo("Every shipped network passes on this machine.")
