"""``bdk run``: from a spec to scored pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    context: typer.Context,
    specs: Annotated[list[str] | None, typer.Argument(help="Bundled specs or TOML files; default: brainram.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The same pass, smaller.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default runs/NAME.")] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Artifact store; default BDK_STORE or the cache.")
    ] = None,
    executor: Annotated[str, typer.Option(help="serial, or dask for many machines.")] = "serial",
    cluster: Annotated[str, typer.Option(help="With dask: local:N, tcp://…, or a configured name.")] = "",
    plugin: Annotated[list[str] | None, typer.Option("--plugin", help="A plugin file or module to try.")] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast/--keep-going", help="Stop at the first failing row, or finish the others.")
    ] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Progress as JSON lines.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run specs: have or make every step, then write pictures, scores and a report.

    Several processes train together, and give the same numbers: torchrun --nproc-per-node 4 -m bdk run SPEC.
    Any option of a spec can be set: --encoder mlp, --fusion ram, --retriever laion2b, --encoder.hidden 256,
    --guide.text.encoder ridge, --stage1.steps 100, --seed 7, --guides image,text.
    """
    from bdk.processes import crew
    from bdk.runs import execute

    from bdk_cli.progress import watcher

    with watcher(log_json=log_json, quiet=as_json or not crew().leads) as tell:
        finished = execute(
            specs or (),
            out=out,
            store=store,
            overrides=context.obj or [],
            quick=quick,
            plugins=plugin or (),
            executor=executor,
            cluster=cluster,
            keep_going=not fail_fast,
            tell=tell,
        )
    if not crew().leads:
        return
    _tell_end(finished, as_json)
    if finished.failures:
        raise typer.Exit(1)


def _tell_end(finished, as_json: bool) -> None:
    import json

    from bdk import report

    if as_json:
        folders = {name: str(folder) for name, folder in finished.folders.items()}
        facts = {"made": finished.made, "had": finished.had, "folders": folders, "failures": dict(finished.failures)}
        typer.echo(json.dumps(facts, indent=1))
        return
    for sweep in finished.plan.sweeps:
        for line in report.summary_lines(finished.plan, sweep, finished.store, finished.folders[sweep.name]):
            typer.echo(line)
    for row, fault in finished.failures.items():
        typer.echo(f"FAILED {row}: {fault}", err=True)
    typer.echo(f"{finished.made} steps made, {finished.had} already there.")
