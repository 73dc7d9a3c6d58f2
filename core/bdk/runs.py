"""Specs in, run folders out: what the command ``bdk run`` and `bdk.run` do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bdk import registry as registries
from bdk.artifacts import Store
from bdk.errors import BdkError, SpecError
from bdk.lacking import lacks_of
from bdk.making import Tell
from bdk.plan import Plan, PlannedRun, make_plan
from bdk.processes import crew
from bdk.registry import Registry
from bdk.spec import Sweep, load
from bdk.spec.resolve import Cited

DEFAULT_SPEC = "brainram"


@dataclass(frozen=True)
class Finished:
    """What a run left behind.

    Args:
        plan: the plan that was run.
        made: how many steps were made now.
        had: how many were there already.
        folders: run folder of each spec, by its name.
        failures: for each row that failed, ``spec/row``: the error's text.
        store: where the artifacts are.
        registry: what was installed, plugins of this run included.
    """

    plan: Plan
    made: int
    had: int
    folders: Mapping[str, Path]
    failures: Mapping[str, str]
    store: Store
    registry: Registry


def silent(event: Mapping[str, Any]) -> None:
    """Tell nobody."""


def planned(
    specs: Sequence[str] = (),
    *,
    overrides: Iterable[tuple[str, str]] = (),
    quick: bool = False,
    plugins: Iterable[str] = (),
) -> tuple[Plan, Registry]:
    """Read specs and plan them together; nothing is made."""
    registry = registries.load(plugins)
    pairs = list(overrides)
    sweeps = [load(name, registry, overrides=pairs, quick=quick) for name in specs or (DEFAULT_SPEC,)]
    names = [sweep.name for sweep in sweeps]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SpecError(f"Two specs are called {sorted(twice)[0]!r}.", mend="Give one of them another name.")
    return make_plan(sweeps, registry), registry


def execute(
    specs: Sequence[str] = (),
    *,
    out: Path | str | None = None,
    store: Path | str | None = None,
    overrides: Iterable[tuple[str, str]] = (),
    quick: bool = False,
    plugins: Iterable[str] = (),
    executor: str = "serial",
    cluster: str = "",
    keep_going: bool = True,
    tell: Tell = silent,
) -> Finished:
    """Plan some specs, make what is not made yet, and write their run folders.

    Args:
        specs: bundled names or paths; none runs ``brainram``.
        out: the run folder (one spec), or a folder for one each; default ``runs/<name>``.
        store: the artifact store; default ``BDK_STORE`` or the user's cache folder.
        overrides: options as (dotted key, text), as on the command line.
        quick: scale the run down.
        plugins: unpackaged plugins, files or modules.
        executor: ``serial`` or ``dask``.
        cluster: for dask: ``local:N``, a scheduler's address, or a name from the user's configuration.
        keep_going: whether other rows go on when one fails.
        tell: takes progress events.

    Raises:
        BdkError: a mistake in the spec or the data, before any work; or a failed step without ``keep_going``.
    """
    plugins = tuple(plugins)
    plan, registry = planned(specs, overrides=overrides, quick=quick, plugins=plugins)
    artifacts = Store(store)
    plan = _with_unavailable_cited(plan, registry, artifacts)
    folders = {sweep.name: _folder(out, sweep, len(plan.sweeps)) for sweep in plan.sweeps}
    for folder in folders.values():
        require_writable(folder, "--out")
    require_writable(artifacts.root, "--store")
    run = _executor(executor, cluster, plugins)
    with crew().together():
        outcome = run(plan, artifacts, registry, tell, keep_going=keep_going)
        failures = {f"{r.spec.sweep}/{r.spec.name}": str(fault) for r in plan.runs if (fault := outcome.fault(r))}
        if crew().leads:
            _write(plan, artifacts, registry, folders, failures, outcome.failed)
    return Finished(plan, len(outcome.made), len(outcome.had), folders, failures, artifacts, registry)


def _with_unavailable_cited(plan: Plan, registry: Registry, store: Store) -> Plan:
    """The plan without the rows that lack something on this machine, where their sweep says to cite those.

    Raises:
        BdkError: no row of such a sweep can be run; what the first one lacks is told.
    """
    sweeps = [
        _with_rows_cited(plan, sweep, registry, store) if sweep.cites_unavailable else sweep for sweep in plan.sweeps
    ]
    return plan if sweeps == list(plan.sweeps) else make_plan(sweeps, registry)


def _with_rows_cited(plan: Plan, sweep: Sweep, registry: Registry, store: Store) -> Sweep:
    members = [run for run in plan.runs if run.spec.sweep == sweep.name]
    lacking = {run.spec.name: found for run in members if (found := lacks_of(run, plan, registry, store))}
    if lacking and len(lacking) == len(members):
        name, found = next(iter(lacking.items()))
        raise BdkError(f"No row of {sweep.name!r} can be run here. {name}: {found[0]}", mend=f"bdk doctor {sweep.name}")
    cited = [
        Cited(row_of(spec.name), spec.label, spec.reported, _why(spec.note, lacking[spec.name]), spec.columns)
        for spec in sweep.runs
        if spec.name in lacking
    ]
    runs = tuple(spec for spec in sweep.runs if spec.name not in lacking)
    return replace(sweep, runs=runs, cited=(*sweep.cited, *{row.name: row for row in cited}.values()))


def row_of(name: str) -> str:
    """The row that a run belongs to: its name without the seed."""
    return name.partition("/seed-")[0]


def _why(note: str, lacking: list[str]) -> str:
    return f"{note.rstrip('. ')}. Cited, not run: {lacking[0]}" if note else f"Cited, not run: {lacking[0]}"


def _executor(name: str, cluster: str, plugins: tuple[str, ...]) -> Any:
    if name == "serial":
        from bdk.pipeline import run_serial

        return run_serial
    if name == "dask":
        if crew().count > 1:
            raise SpecError(
                "torchrun and dask do not go together.", where="--executor", mend="Start dask's run without torchrun."
            )
        from functools import partial

        from bdk.executors import run_dask

        return partial(run_dask, cluster=cluster or "local:2", plugins=plugins)
    raise SpecError(f"There is no executor {name!r}.", where="--executor", mend="Executors: serial, dask.")


def _write(
    plan: Plan,
    store: Store,
    registry: Registry,
    folders: Mapping[str, Path],
    failures: Mapping[str, str],
    failed: Mapping[str, Exception],
) -> None:
    from bdk import report

    for sweep in plan.sweeps:
        members = [run for run in plan.runs if run.spec.sweep == sweep.name]
        if sweep.is_sweep:
            own = {run.spec.name: failures[f"{sweep.name}/{run.spec.name}"] for run in members
                   if f"{sweep.name}/{run.spec.name}" in failures}  # fmt: skip
            report.write_sweep(plan, sweep, store, folders[sweep.name], own, registry=registry)
        elif f"{sweep.name}/{members[0].spec.name}" in failures:
            raise next(iter(failed.values()))
        else:
            report.write_run(plan, members[0], store, folders[sweep.name], registry=registry)


def _folder(out: Path | str | None, sweep: Sweep, count: int) -> Path:
    if out is None:
        return Path("runs") / sweep.name
    return Path(out) if count == 1 else Path(out) / sweep.name


def require_writable(folder: Path, option: str) -> None:
    """Refuse a folder that cannot be written, before any work.

    Raises:
        SpecError: it is a file, or may not be written.
    """
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise SpecError(f"{nearest} is not a folder.", where=option, mend="Choose another folder.")
    probe = nearest / f".bdk-probe-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "error")
        raise SpecError(
            f"{folder} cannot be written ({reason}).", where=option, mend=f"Choose another folder with {option}."
        ) from error


def run_of(plan: Plan, name: str) -> PlannedRun:
    """A row by name.

    Raises:
        BdkError: there is none.
    """
    for run in plan.runs:
        if name in (run.spec.name, f"{run.spec.sweep}/{run.spec.name}"):
            return run
    raise BdkError(f"There is no row {name!r}.", mend=f"Rows: {', '.join(r.spec.name for r in plan.runs)}.")
