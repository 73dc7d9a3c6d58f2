"""What a check is, and how the checks of a part are run one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bdk.errors import BdkError, MissingExtraError, WeightsMissingError
from bdk.testing.report import Report, Result


class Violation(Exception):
    """A contract that is broken; the text says how."""


class NotRun(Exception):
    """A check that could not run; the text says why. If it was required, the report is not in order."""


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        name: a claim in few words, such as ``rows-do-not-mix``.
        run: raises `Violation`, or `NotRun`.
        meaning: what it asks, one sentence.
        applies: says why it does not apply to a part; empty if it does.
        after: checks that must have passed, else it is skipped: their failure would only be told again.
    """

    name: str
    run: Callable[[Any], None]
    meaning: str
    applies: Callable[[Any], str] | None = None
    after: tuple[str, ...] = ()


def check(
    name: str, *, applies: Callable[[Any], str] | None = None, after: tuple[str, ...] = ()
) -> Callable[[Callable[[Any], None]], Check]:
    """Make a check of a function; the first line of its docstring is its meaning."""

    def made(run: Callable[[Any], None]) -> Check:
        return Check(name, run, (run.__doc__ or "").strip().splitlines()[0], applies, after)

    return made


def run_checks(subject: Any, checks: Iterable[Check], report: Report) -> Report:
    """Run checks in order and note their outcomes; no exception of a part ends the others."""
    for one in checks:
        report.results.append(_outcome(one, subject, report))
    return report


def _outcome(one: Check, subject: Any, report: Report) -> Result:
    why = one.applies(subject) if one.applies else ""
    if why:
        return Result(one.name, "skipped", why, required=False, meaning=one.meaning)
    passed = report.named("passed")
    waiting = [name for name in one.after if name not in passed]
    if waiting:
        return Result(one.name, "skipped", f"needs {waiting[0]} to pass first", meaning=one.meaning)
    try:
        one.run(subject)
    except NotRun as reason:
        return Result(one.name, "skipped", str(reason), meaning=one.meaning)
    except (MissingExtraError, WeightsMissingError) as error:
        return Result(one.name, "skipped", f"{error.what} {error.mend}".strip(), meaning=one.meaning)
    except Violation as fault:
        return Result(one.name, "failed", str(fault), meaning=one.meaning)
    except BdkError as error:
        return Result(one.name, "failed", f"it refused to work: {error}", meaning=one.meaning)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's part may raise anything, and the kit goes on
        return Result(one.name, "failed", f"{type(error).__name__}: {error}", meaning=one.meaning)
    return Result(one.name, "passed", meaning=one.meaning)
