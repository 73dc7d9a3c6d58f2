"""The conformance kit: does a part keep the contracts of its family?

In the tests of a plugin::

    from bdk.testing import conformance

    def test_myfuse_conforms():
        conformance.assert_conforms("fusion", "myfuse")

At the command line, for everything that a package offers: ``bdk plugin check PACKAGE``.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bdk import registry as registries
from bdk.components import FAMILIES, ComponentInfo, DatasetInfo, MetricInfo
from bdk.errors import UnknownNameError
from bdk.registry import Registry
from bdk.spaces import Space
from bdk.testing.checking import Check, run_checks
from bdk.testing.report import PackageReport, Report, Result

__all__ = ["PackageReport", "Report", "Result", "assert_conforms", "check", "check_package", "checks_of", "plain"]

Info = ComponentInfo | DatasetInfo | MetricInfo | Space
_TABLES = {"data": "dataset", "dataset": "dataset", "space": "space", "metric": "metric"}
DONE: list[Report] = []
"""Reports of `assert_conforms` in this process, for the summary of a test run."""


def check(
    info: Info | str,
    family: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    spaces: Mapping[str, Space] | None = None,
    registry: Registry | None = None,
) -> Report:
    """Run every check of one part.

    Args:
        info: the part, or its name.
        family: its family (or ``data``, ``space``, ``metric``), if only its name is given.
        options: what it is built with; by default what its config class says in ``small``, else its defaults.
        spaces: for a decoder: space of each guide, if its weights are for other sizes than it declares.
        registry: what is installed; by default what is found.

    Returns:
        Every check with its outcome; `Report.ok` says whether it conforms.

    Raises:
        UnknownNameError: nothing of that name is installed.
    """
    known = registry or registries.load()
    part = _found(known, info, family) if isinstance(info, str) else info
    with tempfile.TemporaryDirectory(prefix="bdk-check-") as folder:
        subject = _subject(part, known, Path(folder), options, spaces)
        report = run_checks(subject, checks_of(kind_of(part)), Report(title(part, known)))
    return report


def assert_conforms(family: str, name: str, **how: Any) -> Report:
    """Check an installed part and fail with the whole report if it does not conform.

    Args:
        family: ``encoder``, ``prior``, ``retriever``, ``fusion``, ``decoder``, ``data``, ``space`` or ``metric``.
        name: its name.
        **how: as for `check`.

    Raises:
        AssertionError: a check failed, or fewer than the required ones ran.
    """
    report = check(name, family, **how)
    DONE.append(report)
    if not report.ok:
        raise AssertionError(f"\n{report}")
    return report


def check_package(name: str, *, registry: Registry | None = None) -> PackageReport:
    """Check a package's door and every part it offers.

    Args:
        name: its distribution, its entry point, or the file or module given by ``--plugin``.
        registry: what is installed; by default what is found.

    Raises:
        UnknownNameError: no plugin is called so.
    """
    from bdk.testing import door

    known = registry or registries.load()
    package = door.find(known, name)
    reports = [check(info, registry=known) for info in package.offers]
    return PackageReport(package.distribution, run_checks(package, door.CHECKS, Report(f"package {package}")), reports)


def plain(report: PackageReport) -> dict[str, Any]:
    """A package's reports as plain data."""
    parts = [
        {"subject": part.subject, "ok": part.ok, "results": [asdict(result) for result in part.results]}
        for part in report.reports
    ]
    return {"package": report.package, "ok": report.ok, "counts": report.counts(), "reports": parts}


_CHECKS = {
    "encoder": ("components:CHECKS", "components:MODULE", "behaviour:CHECKS", "fitting:ENCODER"),
    "prior": ("components:CHECKS", "components:MODULE", "behaviour:CHECKS", "fitting:PRIOR"),
    "fusion": ("components:CHECKS", "components:MODULE", "behaviour:CHECKS", "fitting:FUSION"),
    "retriever": ("components:CHECKS", "retrievers:CHECKS"),
    "decoder": ("components:CHECKS", "decoders:CHECKS"),
    "data": ("datasets:CHECKS",),
    "space": ("spaces:CHECKS",),
    "metric": ("metrics:CHECKS",),
}


def checks_of(kind: str) -> list[Check]:
    """The checks of a family, or of data sets, spaces or metrics."""
    found: list[Check] = []
    for place in _CHECKS[kind]:
        module, _, name = place.partition(":")
        found += getattr(importlib.import_module(f"bdk.testing.{module}"), name)
    return found


def kind_of(part: Info) -> str:
    """``fusion``, .., ``data``, ``space`` or ``metric``."""
    if isinstance(part, ComponentInfo):
        return part.family
    return {DatasetInfo: "data", MetricInfo: "metric", Space: "space"}[type(part)]


def title(part: Info, known: Registry) -> str:
    """``fusion ram (brain-decoding-kit 0.1.0)``."""
    kind, name = kind_of(part), part.id if isinstance(part, Space) else part.name
    key = str((kind, name)) if kind in FAMILIES else name
    owner = getattr(part, "distribution", "") or known.owners.get((_tables(kind), key), "")
    return f"{kind} {name} ({owner or 'not packaged'})"


def _tables(kind: str) -> str:
    return "components" if kind in FAMILIES else f"{_TABLES[kind]}s"


def _found(known: Registry, name: str, family: str | None) -> Info:
    if family in FAMILIES:
        return known.component(family, name)
    if family in _TABLES:
        return getattr(known, _TABLES[family])(name)
    words = ", ".join([*FAMILIES, "data", "space", "metric"])
    raise UnknownNameError(f"There is no family {family!r} to check.", mend=f"Families: {words}.")


def _subject(part: Info, known: Registry, folder: Path, options: Any, spaces: Any) -> Any:
    kind = kind_of(part)
    if kind in FAMILIES:
        from bdk.testing.subject import Subject

        return Subject(part, known, folder, options, spaces or {})  # type: ignore[arg-type]
    subject = importlib.import_module(f"bdk.testing.{_TABLES[kind]}s").Subject
    return subject(part, known, folder, options)
