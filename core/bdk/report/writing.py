"""Writes run folders and sweep folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bdk import registry as registries
from bdk.artifacts import Store
from bdk.errors import ArtifactError
from bdk.plan import Plan, PlannedRun
from bdk.registry import Registry
from bdk.report.card import card_text, spec_text
from bdk.report.files import file_names, remove_others, write_whole
from bdk.report.latex import latex
from bdk.report.markdown import markdown
from bdk.report.page import page
from bdk.report.pictures import png
from bdk.report.records import Line, Record, read_lines, read_record, row_name, single_line
from bdk.report.sheet import claim_sheet, comparison_sheet, sheet
from bdk.report.stamps import record_stamps
from bdk.report.table import Table, build_table
from bdk.spec import RunSpec, Sweep


def write_run(plan: Plan, run: PlannedRun, store: Store, out: Path, *, registry: Registry | None = None) -> Path:
    """Write the run folder of one finished run.

    Files: ``spec.toml``, ``run.json``, ``metrics.json``, ``images/<stimulus>.png``, ``report.html``; each is written
    aside and renamed.

    Args:
        plan: the plan it belongs to.
        run: what to write.
        store: where its artifacts are.
        out: the run folder.
        registry: names, labels and citations; by default what is installed.

    Returns:
        Path of ``report.html``.

    Raises:
        ArtifactError: the run is not finished.
    """
    registry = registry or registries.load()
    record = read_record(run, store)
    if record is None:
        missing = [role for role, key in run.keys.items() if key not in store]
        raise ArtifactError(
            f"Run {run.spec.name!r} is not finished: {', '.join(missing) or 'a step'} is not in the store.",
            where=str(store.root),
            mend="Run the spec again; it goes on where it stopped.",
        )
    sweep = next((sweep for sweep in plan.sweeps if sweep.name == run.spec.sweep), Sweep(run.spec.sweep, (run.spec,)))
    return _write_record(record, alone(run.spec, sweep), out, registry)


def write_sweep(
    plan: Plan,
    sweep: Sweep,
    store: Store,
    out: Path,
    failures: Mapping[str, str] | None = None,
    *,
    registry: Registry | None = None,
) -> Path:
    """Write the folder of a sweep: every finished run's folder, the tables and one report for all.

    Files: ``table.md``, ``table.csv``, ``table.tex``, ``comparisons.csv``, ``report.html``, ``<row>[/seed-n]/``; and
    ``claims.csv`` where the spec makes claims.
    Equal results give equal bytes, except in the run cards, which hold times and versions. A run that failed leaves
    ``failure.txt`` in its folder.

    Args:
        plan: the plan it belongs to.
        sweep: what to write.
        store: where the artifacts are.
        out: the sweep's folder.
        failures: why runs failed, by their name.
        registry: names, labels and citations; by default what is installed.

    Returns:
        Path of ``report.html``.
    """
    registry = registry or registries.load()
    lines = read_lines(runs_of(plan, sweep), sweep, store, failures)
    table = build_table(lines, sweep, registry)
    for line in lines:
        _write_line(line, sweep, out, registry)
    _write_tables(table, out)
    return write_whole(out / "report.html", page(table, lines, registry))


def runs_of(plan: Plan, sweep: Sweep) -> tuple[PlannedRun, ...]:
    """The planned runs of a sweep."""
    return tuple(run for run in plan.runs if run.spec.sweep == sweep.name)


def alone(spec: RunSpec, sweep: Sweep) -> Sweep:
    """One run as a sweep of one row; remarks on the whole table stay with the table."""
    footnotes = () if sweep.is_sweep else sweep.footnotes
    name, caption = row_name(spec), spec.label if sweep.is_sweep else sweep.caption
    return Sweep(sweep.name, (spec,), order=(name,), caption=caption, metrics=sweep.metrics, footnotes=footnotes)


def _write_line(line: Line, sweep: Sweep, out: Path, registry: Registry) -> None:
    for record in line.records:
        _write_record(record, alone(record.spec, sweep), out / record.spec.name, registry)
    for seed, reason in line.failures.items():
        name = f"{line.name}/seed-{seed}" if len(line.records) + len(line.failures) > 1 else line.name
        write_whole(out / name / "failure.txt", f"{reason}\n")


def _write_record(record: Record, sweep: Sweep, out: Path, registry: Registry) -> Path:
    write_whole(out / "spec.toml", spec_text(record.spec, record_stamps(record)))
    write_whole(out / "run.json", card_text(record, registry))
    write_whole(out / "metrics.json", record.artifacts["measure"].file("metrics.json").read_bytes())
    _write_images(record, out / "images")
    (out / "failure.txt").unlink(missing_ok=True)
    line = single_line(record)
    return write_whole(out / "report.html", page(build_table([line], sweep, registry), [line], registry))


def _write_images(record: Record, folder: Path) -> None:
    """The chosen reconstruction of every test stimulus, named by its id."""
    names = file_names(record.test_ids, ".png") if "decode" in record.artifacts else []
    for position, name in enumerate(names):
        picture = record.reconstruction(position)
        assert picture is not None
        write_whole(folder / name, png(picture))
    remove_others(folder, names)


def _write_tables(table: Table, out: Path) -> None:
    write_whole(out / "table.md", markdown(table))
    write_whole(out / "table.csv", sheet(table))
    write_whole(out / "table.tex", latex(table))
    write_whole(out / "comparisons.csv", comparison_sheet(table))
    if table.claims:
        write_whole(out / "claims.csv", claim_sheet(table))
    else:
        (out / "claims.csv").unlink(missing_ok=True)
