"""What the conformance kit found: every check with its outcome, and whether enough of them ran."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Result:
    """One check's outcome.

    Args:
        name: the check.
        outcome: ``skipped`` covers checks that do not apply as well as those that could not run.
        detail: what is wrong, or why it was skipped.
        required: whether it had to run.
        meaning: what the check asks, one sentence.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    required: bool = True
    meaning: str = ""


@dataclass
class Report:
    """The checks of one part, or of one package.

    Args:
        subject: such as ``fusion ram (brain-decoding-kit 0.1.0)``.
        results: in the order in which they ran.
    """

    subject: str
    results: list[Result] = field(default_factory=list)

    def named(self, outcome: Outcome) -> list[str]:
        """Names of the checks with that outcome."""
        return [result.name for result in self.results if result.outcome == outcome]

    @property
    def ran(self) -> int:
        """Checks that ran to an end, good or bad."""
        return sum(result.outcome != "skipped" for result in self.results)

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return self.named("failed")

    @property
    def lacking(self) -> list[Result]:
        """Required checks that did not run."""
        return [result for result in self.results if result.required and result.outcome == "skipped"]

    @property
    def ok(self) -> bool:
        """Nothing failed and every required check ran; a report without a check is not in order."""
        return bool(self.results) and not self.failed and not self.lacking

    def counts(self) -> str:
        """How many checks ran, failed and were skipped, and how many had to run."""
        required = sum(result.required for result in self.results)
        skipped = len(self.results) - self.ran
        return (
            f"{self.ran} checks ran, {len(self.failed)} failed, {skipped} skipped; "
            f"{required - len(self.lacking)} of {required} required ran"
        )

    def lines(self, *, every: bool = False) -> list[str]:
        """The report as text; passed checks only with ``every``."""
        shown = [result for result in self.results if every or result.outcome != "passed"]
        lines = [self.subject]
        for result in shown:
            word = "FAILED" if result.outcome == "failed" else result.outcome
            lines.append(f"  {word:<8} {result.name}{_detail(result)}")
        verdict = "conforms" if self.ok else "DOES NOT CONFORM"
        return [*lines, f"  {verdict}: {self.counts()}"]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _detail(result: Result) -> str:
    must = " (required)" if result.required and result.outcome == "skipped" else ""
    if not result.detail:
        return must
    first, *rest = (f"{must}: {result.detail}").splitlines()
    return "\n".join([first, *(textwrap.indent(line, " " * 11) for line in rest)])


@dataclass
class PackageReport:
    """The checks of a package: its door, and every part it offers."""

    package: str
    door: Report
    parts: list[Report] = field(default_factory=list)

    @property
    def reports(self) -> list[Report]:
        """The door first."""
        return [self.door, *self.parts]

    @property
    def ok(self) -> bool:
        """Whether the door and all parts conform."""
        return all(report.ok for report in self.reports)

    @property
    def failed(self) -> list[str]:
        """Names of all checks that failed."""
        return [name for report in self.reports for name in report.failed]

    def counts(self) -> str:
        """Sums over all reports."""
        ran, failed = sum(report.ran for report in self.reports), len(self.failed)
        skipped = sum(len(report.results) for report in self.reports) - ran
        lacking = sum(len(report.lacking) for report in self.reports)
        return (
            f"{self.package}: {len(self.parts)} parts, {ran} checks ran, {failed} failed, {skipped} skipped"
            f"{f', {lacking} of them required' if lacking else ''}"
        )

    def __str__(self) -> str:
        return "\n\n".join([*map(str, self.reports), self.counts()])
