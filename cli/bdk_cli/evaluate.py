"""``bdk eval``: score anyone's reconstructions. Importing it imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(evaluate)


def evaluate(
    reconstructions: Annotated[
        Path,
        typer.Argument(help="Folder of images, or .npy .npz .safetensors .h5 .pt; may hold several candidates."),
    ],
    stimuli: Annotated[Path, typer.Argument(help="The same, one picture for each stimulus.")],
    preset: Annotated[str, typer.Option("--preset", help="Recipe: mindeye or brain-diffuser.")] = "mindeye",
    metrics: Annotated[str, typer.Option("--metrics", help="Comma separated; default: the eight of Table 1.")] = "",
    networks: Annotated[
        str, typer.Option("--networks", help="published: local weights (bdk weights list); demo: labelled stand-ins.")
    ] = "published",
    pair: Annotated[str, typer.Option("--pair", help="name, order, or auto: by name for folders.")] = "auto",
    training: Annotated[
        Path | None,
        typer.Option("--training", help="Training stimuli: for rows of their mean and nearest, and an audit."),
    ] = None,
    reconstructions_key: Annotated[str, typer.Option("--reconstructions-key", help="Array in a file of several.")] = "",
    stimuli_key: Annotated[str, typer.Option("--stimuli-key", help="Array in a file of several.")] = "",
    oracle: Annotated[
        bool, typer.Option("--oracle", help="The best of several was chosen with the stimulus: stamp every number.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of intervals and tests.")] = 0,
    cache: Annotated[Path | None, typer.Option("--cache", help="Folder in which features are kept.")] = None,
    device: Annotated[str, typer.Option("--device", help="Where networks run.")] = "cpu",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for metrics.json and grid.png.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Score reconstructions against stimuli: values, intervals, chance, tests and baselines."""
    from bdk import evaluate as evaluation
    from bdk.errors import SpecError
    from bdk.selection import ORACLE_STAMP

    if pair not in ("auto", "name", "order"):
        raise SpecError(f"There is no pairing {pair!r}.", where="--pair", mend="Use name, order or auto.")
    if out is not None:
        evaluation.require_writable(out)
    found = evaluation.evaluate(
        reconstructions,
        stimuli,
        preset=preset,
        metrics=[name.strip() for name in metrics.split(",") if name.strip()] or None,
        networks=networks,  # type: ignore[arg-type]
        how=pair,  # type: ignore[arg-type]
        training=training,
        reconstructions_key=reconstructions_key,
        stimuli_key=stimuli_key,
        seed=seed,
        feature_cache=cache,
        stamps=(ORACLE_STAMP,) if oracle else (),
        device=device,
    )
    written = evaluation.write(found, out) if out is not None else []
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
        return
    _show(found, written)


def _show(found, written: list[Path]) -> None:
    from bdk.metrics.table import score_lines

    stamps = found.stamps
    typer.echo(f"{stamps['test_set']}; paired by {stamps['paired_by']}; preset {stamps['preset']}")
    if stamps["candidates"] > 1:
        typer.echo(f"{stamps['candidates']} candidates of each stimulus, scored apart and averaged")
    if "training" in stamps:
        typer.echo(stamps["training"])
    typer.echo("\n".join(score_lines(found.scores)))
    for row, scores in found.baselines.items():
        values = "  ".join(f"{name} {score.printed()}" for name, score in scores.items() if score.value is not None)
        typer.echo(f"{row}: {values}")
    for path in written:
        typer.echo(f"wrote {path}")
