"""Loaded by pytest wherever the kit is installed, so it imports nothing: it says how many checks a green run had."""

from __future__ import annotations

import sys
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List every conformance report of the run with its counts; a green dot alone does not say how many checks ran."""
    kit = sys.modules.get("bdk.testing.conformance")
    if kit is None or not kit.DONE:
        return
    terminalreporter.section("bdk conformance")
    for report in kit.DONE:
        terminalreporter.write_line(f"{report.subject}: {report.counts()}")
        for result in report.results if report.ok else ():
            if result.outcome == "skipped":
                terminalreporter.write_line(f"    skipped {result.name}: {result.detail}")
