"""``bdk run``: from a spec to scored pictures."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bdk_cli.completion import SpecCommand, complete_spec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", cls=SpecCommand)(run)


def run(
    context: typer.Context,
    specs: Annotated[
        list[str] | None,
        typer.Argument(help="Bundled specs or TOML files; default: brainram.", autocompletion=complete_spec),
    ] = None,
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
    tensorboard: Annotated[
        Path | None, typer.Option("--tensorboard", help="Folder for the losses, as TensorBoard reads them.")
    ] = None,
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
    from bdk_cli.scalars import Scalars

    # what a stranger's part prints while it works stays out of what a program reads
    quiet = as_json or not crew().leads
    with watcher(log_json=log_json, quiet=quiet) as tell, contextlib.redirect_stdout(sys.stderr):
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
            tell=Scalars(tensorboard, tell) if tensorboard and crew().leads else tell,
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
        claims = {sweep.name: _claims(finished, sweep) for sweep in finished.plan.sweeps}
        facts = {
            "made": finished.made,
            "had": finished.had,
            "folders": folders,
            "failures": dict(finished.failures),
            "claims": claims,
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    for sweep in finished.plan.sweeps:
        folder, failures = finished.folders[sweep.name], failed(finished, sweep.name)
        for line in report.summary_lines(
            finished.plan, sweep, finished.store, folder, failures, registry=finished.registry
        ):
            typer.echo(line)
    for row, fault in finished.failures.items():
        typer.echo(f"FAILED {row}: {fault}", err=True)
    typer.echo(f"{finished.made} steps made, {finished.had} already there.")


def _claims(finished, sweep) -> list[dict[str, Any]]:
    from bdk import report

    failures = failed(finished, sweep.name)
    return report.claim_facts(finished.plan, sweep, finished.store, failures, registry=finished.registry)


def failed(finished, sweep: str) -> dict[str, str]:
    """Why rows of one sweep failed, by their name."""
    return {
        name.removeprefix(f"{sweep}/"): fault
        for name, fault in finished.failures.items()
        if name.startswith(f"{sweep}/")
    }
