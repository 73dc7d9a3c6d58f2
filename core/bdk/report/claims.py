"""Which claims about a table's rows its numbers support: one paired test a metric and rival, one verdict a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bdk.report.cells import ALPHA, Column
from bdk.report.comparisons import Difference, comparable, holm, per_stimulus, sign_flips
from bdk.report.records import Line
from bdk.spec.claims import Claim

if TYPE_CHECKING:
    from bdk.report.table import Table

Finding = Literal["supported", "reversed", "not separated"]
HOW_JUDGED = (
    "Differences are turned so that above 0 speaks for the claim, whichever way the metric runs; in brackets their 95 % "
    "bootstrap interval over stimuli, seeds averaged first; p of the two-sided paired sign-flip test, after Holm over all "
    "tests of the claim. A test supports a claim (bold) or reverses it below .05, and only if no seed by itself leans the "
    "other way. Holds: every test supports it; in part: some do and none is reversed; mixed: some do and some are; "
    "contradicted: none does and some are; not supported: none is separated."
)


@dataclass(frozen=True)
class Test(Difference):
    """The claimed row against one rival in one metric.

    ``difference`` above 0 speaks for the claim, whatever the metric's direction; Holm is over all tests of the claim.

    Args:
        than: name of the rival.
        seeds: seeds that both rows have.
        seeds_for: how many of them, alone, lean the claim's way.
        paper: the same difference between the paper's printed numbers; None if it prints none.
    """

    than: str
    seeds: int
    seeds_for: int
    paper: float | None = None

    def interval(self, column: Column) -> str:
        """Its interval as printed."""
        return f"[{column.printed(self.low, signed=True)}, {column.printed(self.high, signed=True)}]"

    def paper_text(self, column: Column) -> str:
        """The paper's own difference as printed."""
        return "" if self.paper is None else column.cited(self.paper, signed=True)

    @property
    def seeds_text(self) -> str:
        """How many seeds lean the claim's way; empty with one."""
        return f"{self.seeds_for}/{self.seeds} seeds" if self.seeds > 1 else ""

    @property
    def finding(self) -> Finding:
        """What the test says: it must be significant, and no seed may lean the other way."""
        if self.p_adjusted < ALPHA and self.difference > 0 and self.seeds_for == self.seeds:
            return "supported"
        if self.p_adjusted < ALPHA and self.difference < 0 and self.seeds_for == 0:
            return "reversed"
        return "not separated"


@dataclass(frozen=True)
class Judgement:
    """A claim and what became of it.

    Args:
        claim: the claim.
        tests: every test that could be made.
        untested: rivals (or the claimed row) without a run that can be compared.
    """

    claim: Claim
    tests: tuple[Test, ...]
    untested: tuple[str, ...] = ()

    @property
    def rivals(self) -> tuple[str, ...]:
        """Rows that it was tested against."""
        return tuple(dict.fromkeys(test.than for test in self.tests))

    def test(self, than: str, metric: str) -> Test | None:
        """The test against one rival in one metric, if there is one."""
        return next((test for test in self.tests if (test.than, test.metric) == (than, metric)), None)

    def count(self, finding: Finding) -> int:
        """Tests with that finding."""
        return sum(test.finding == finding for test in self.tests)

    @property
    def verdict(self) -> str:
        """In a word or three."""
        for_it, against, total = self.count("supported"), self.count("reversed"), len(self.tests)
        if not total:
            return "not tested"
        if for_it == total:
            return "holds"
        if for_it:
            return "mixed" if against else "holds in part"
        return "contradicted" if against else "not supported"

    @property
    def words(self) -> str:
        """How many tests say what, and what the paper's own numbers say."""
        if not self.tests:
            return f"no run to compare of: {', '.join(self.untested)}"
        total = len(self.tests)
        found = [f"supported in {self.count('supported')} of {total} tests, reversed in {self.count('reversed')}"]
        printed = [test.paper for test in self.tests if test.paper is not None]
        if printed:
            found.append(f"the paper's own numbers lean its way in {sum(x > 0 for x in printed)} of {len(printed)}")
        if self.untested:
            found.append(f"no run to compare of: {', '.join(self.untested)}")
        return "; ".join(found)

    def facts(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        tests = [{**asdict(test), "finding": test.finding} for test in self.tests]
        return {**asdict(self.claim), "verdict": self.verdict, "words": self.words, "tests": tests,
                "untested": list(self.untested)}  # fmt: skip


def judge(lines: Sequence[Line], columns: Sequence[Column], claims: Sequence[Claim]) -> list[Judgement]:
    """Test every claim on the rows that may be compared."""
    rows = {line.name: line for line in comparable(lines)}
    return [_judge(claim, rows, columns) for claim in claims]


def claimed_columns(table: Table) -> list[Column]:
    """Columns of a table in which some claim was tested."""
    metrics = {test.metric for judged in table.claims for test in judged.tests}
    return [column for column in table.columns if column.metric in metrics and not column.is_split]


def _judge(claim: Claim, rows: Mapping[str, Line], columns: Sequence[Column]) -> Judgement:
    untested = tuple(name for name in (claim.better, *claim.than) if name not in rows)
    if claim.better in untested:
        return Judgement(claim, (), untested)
    wanted = [c for c in columns if not c.is_split and (not claim.metrics or c.metric in claim.metrics)]
    rivals = [rows[name] for name in claim.than if name in rows]
    pairs = [
        (column, rival, difference)
        for rival in rivals
        for column in wanted
        if (difference := _difference(rows[claim.better], rival, column)) is not None
    ]
    p_values = [float(sign_flips(difference[None])[0]) for _, _, difference in pairs]
    adjusted = holm(p_values) if p_values else []
    tests = [
        _test(rows[claim.better], rival, column, difference, p, q)
        for (column, rival, difference), p, q in zip(pairs, p_values, adjusted, strict=True)
    ]
    return Judgement(claim, tuple(tests), untested)


def _difference(better: Line, rival: Line, column: Column) -> np.ndarray | None:
    """Per stimulus, seeds averaged, above 0 where the claimed row is better; None without numbers of both."""
    numbers = per_stimulus([better, rival], column.metric)
    return _sign(column) * (numbers[better.name] - numbers[rival.name]) if len(numbers) == 2 else None


def _test(better: Line, rival: Line, column: Column, difference: np.ndarray, p: float, q: float) -> Test:
    from bdk.statistics import bootstrap_interval

    ends = bootstrap_interval(difference)
    leans = _by_seed(better, rival, column)
    return Test(
        column.metric,
        float(difference.mean()),
        ends.low,
        ends.high,
        p,
        q,
        len(difference),
        rival.name,
        len(leans),
        sum(lean > 0 for lean in leans),
        _printed(better, rival, column),
    )


def _by_seed(better: Line, rival: Line, column: Column) -> list[float]:
    """The difference of each seed that both rows have, averaged over stimuli."""
    means = [
        {record.spec.seed: float(np.mean(values)) for record in line.records
         if (values := record.measured(column.metric)) is not None}
        for line in (better, rival)
    ]  # fmt: skip
    return [_sign(column) * (means[0][seed] - means[1][seed]) for seed in means[0] if seed in means[1]]


def _printed(better: Line, rival: Line, column: Column) -> float | None:
    if column.metric not in better.reported or column.metric not in rival.reported:
        return None
    return round(_sign(column) * (better.reported[column.metric] - rival.reported[column.metric]), 6)


def _sign(column: Column) -> int:
    return 1 if column.direction == "up" else -1
