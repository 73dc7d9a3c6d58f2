"""The conformance kit itself: it counts, it fails when too little ran, and no part can end it."""

import ast
import subprocess
import sys

import pytest
from bdk import registry
from bdk.errors import MissingExtraError, UnknownNameError
from bdk.testing import conformance
from bdk.testing.checking import Check, NotRun, Violation, check, run_checks
from bdk.testing.report import PackageReport, Report, Result


def raises(error):
    def run(subject):
        raise error

    return run


def passes(subject):
    """Always."""


def report(*checks):
    return run_checks(None, checks, Report("a part"))


def test_a_report_counts_what_ran_what_failed_and_what_was_skipped():
    found = report(
        Check("good", passes, ""),
        Check("bad", raises(Violation("wrong")), ""),
        Check("not-for-it", passes, "", applies=lambda subject: "not its family"),
        Check("could-not", raises(NotRun("no weights")), ""),
    )
    assert [result.outcome for result in found.results] == ["passed", "failed", "skipped", "skipped"]
    assert found.counts() == "2 checks ran, 1 failed, 2 skipped; 2 of 3 required ran"
    assert "FAILED   bad: wrong" in str(found)
    assert "could-not (required): no weights" in str(found)


def test_a_check_that_does_not_apply_leaves_a_report_in_order():
    assert report(Check("good", passes, ""), Check("other", passes, "", applies=lambda subject: "other")).ok


@pytest.mark.parametrize("error", [NotRun("why"), MissingExtraError("x is not installed")])
def test_a_report_is_not_in_order_when_a_required_check_did_not_run(error):
    found = report(Check("good", passes, ""), Check("other", raises(error), ""))
    assert not found.failed and not found.ok
    assert "DOES NOT CONFORM" in str(found)


def test_a_report_without_a_check_is_not_in_order():
    assert not Report("a part").ok


def test_a_check_waits_for_those_it_builds_on():
    found = report(Check("first", raises(Violation("x")), ""), Check("second", passes, "", after=("first",)))
    assert found.failed == ["first"]
    assert found.lacking[0].name == "second" and "first" in found.lacking[0].detail


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), AssertionError("x"), MemoryError()])
def test_no_exception_of_a_part_ends_the_others(error):
    found = report(Check("bad", raises(error), ""), Check("good", passes, ""))
    assert found.failed == ["bad"] and found.named("passed") == ["good"]
    assert type(error).__name__ in found.results[0].detail


def test_an_interrupt_ends_the_checks():
    with pytest.raises(KeyboardInterrupt):
        report(Check("bad", raises(KeyboardInterrupt()), ""))


def test_a_check_made_of_a_function_takes_its_meaning_from_the_first_line():
    made = check("claim")(passes)
    assert made.meaning == "Always."


def test_every_check_of_every_family_says_what_it_asks():
    for kind in ("encoder", "prior", "retriever", "fusion", "decoder", "data", "space", "metric"):
        checks = conformance.checks_of(kind)
        assert len({one.name for one in checks}) == len(checks) >= 5
        assert all(one.meaning.endswith(".") for one in checks), kind


def test_a_check_can_only_wait_for_checks_that_come_before_it():
    for kind in ("encoder", "prior", "retriever", "fusion", "decoder", "data", "space", "metric"):
        seen: set[str] = set()
        for one in conformance.checks_of(kind):
            assert set(one.after) <= seen, f"{kind}: {one.name}"
            seen.add(one.name)


def test_a_package_is_in_order_only_with_all_of_its_parts():
    good = Report("a", [Result("x", "passed")])
    bad = Report("b", [Result("y", "failed", "why")])
    assert PackageReport("p", good, [good]).ok
    assert not PackageReport("p", good, [good, bad]).ok
    assert not PackageReport("p", bad, [good]).ok
    assert "2 parts, 3 checks ran, 1 failed" in PackageReport("p", good, [good, bad]).counts()


def test_an_unknown_part_or_family_is_refused():
    with pytest.raises(UnknownNameError, match="nobody"):
        conformance.check("nobody", "fusion")
    with pytest.raises(UnknownNameError, match="widget"):
        conformance.check("ram", "widget")


def test_assert_conforms_fails_with_the_whole_report(monkeypatch):
    monkeypatch.setattr(conformance, "checks_of", lambda kind: [Check("bad", raises(Violation("wrong")), "")])
    with pytest.raises(AssertionError, match="FAILED   bad: wrong"):
        conformance.assert_conforms("fusion", "average")


def test_options_of_the_callers_choice_are_used():
    info = registry.load().component("fusion", "ram")
    found = conformance.check(info, options={"heads": 7})
    assert "builds" in found.failed or "heads" in str(found)


def test_a_part_too_large_to_try_is_not_tried_and_says_what_would_help():
    found = conformance.check("mlp", "encoder", options={})
    assert not found.ok and not found.failed
    assert any("small: ClassVar[dict]" in result.detail for result in found.lacking)


def test_the_pytest_plugin_imports_nothing_until_the_kit_is_used():
    code = (
        "import sys; before = set(sys.modules)\nimport bdk.testing.pytest_plugin\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert not {"torch", "pydantic", "pluggy", "numpy", "bdk.registry"} & set(loaded)


def test_a_green_test_run_says_how_many_checks_it_stands_for(pytester_like):
    outcome = pytester_like(
        "from bdk.testing import conformance\ndef test_it():\n    conformance.assert_conforms('fusion', 'average')\n"
    )
    assert "1 passed" in outcome
    assert "fusion average (brain-decoding-kit" in outcome and "checks ran, 0 failed" in outcome
    assert "skipped gradients-reach-every-parameter: nothing is trained" in outcome


@pytest.fixture
def pytester_like(tmp_path):
    """Runs a test file in a process of its own and returns what pytest printed."""

    def run(text):
        (tmp_path / "test_it.py").write_text(text)
        line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_it.py")]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    return run
