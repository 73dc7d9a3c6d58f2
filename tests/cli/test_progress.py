"""What a run says while it works: lines for a file, bars for a terminal, JSON for a program."""

from __future__ import annotations

import json
import sys

import pytest
from bdk_cli import progress
from bdk_cli.progress import watcher

PLAN = {"event": "plan", "total": 3}
FIRST = {"event": "start", "key": "a", "label": "estimate image (mamba [x])"}
SECOND = {"event": "start", "key": "b", "label": "estimate text"}
LOSS = {"event": "row", "key": "a", "row": {"step": 4, "loss": 0.25, "lr": 1e-3}}
SHARE = {"event": "progress", "key": "b", "done": 3, "total": 10, "note": "encode neighbours"}
ENDS = [
    {"event": "done", "key": "a", "label": FIRST["label"], "made": True, "seconds": 1.25},
    {"event": "failed", "key": "b", "label": SECOND["label"], "error": "it broke"},
    {"event": "skipped", "key": "c", "label": "measure"},
]


def tell_all(**options):
    with watcher(**options) as tell:
        for event in (PLAN, FIRST, SECOND, LOSS, SHARE, *ENDS):
            tell(event)


def test_without_a_terminal_every_step_is_one_line(capsys):
    tell_all()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "[1/3] estimate image (mamba [x]): made in 1.2 s",
        "[2/3] estimate text: FAILED",
        "[3/3] measure: skipped, as one of its inputs failed",
    ]


def test_losses_are_printed_now_and_then_under_the_name_of_their_step(capsys, monkeypatch):
    monkeypatch.setattr(progress, "ROW_EVERY", -1.0)
    tell_all()
    said = capsys.readouterr().err
    assert "estimate image (mamba [x]): step 5: loss 0.25" in said
    assert "estimate text: encode neighbours 3/10" in said


@pytest.mark.parametrize("late", [LOSS, {"event": "done", "key": "z", "label": "other", "made": False, "seconds": 0}])
def test_a_terminal_shows_every_step_at_work_and_takes_events_that_come_late(capsys, monkeypatch, late):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "140")
    with watcher() as tell:
        for event in (PLAN, FIRST, SECOND, LOSS, SHARE, *ENDS, late):
            tell(event)
    said = capsys.readouterr().err
    for words in ("estimate image (mamba [x]): made in 1.2 s", "estimate text: FAILED", "steps"):
        assert words in said


def test_json_lines_hold_the_events_as_they_are(capsys):
    tell_all(log_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()][3] == LOSS


def test_a_quiet_run_says_nothing(capsys):
    tell_all(quiet=True)
    assert capsys.readouterr() == ("", "")
