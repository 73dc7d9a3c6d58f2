"""Runs a plan: for each step, have it or make it."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from bdk.artifacts import Artifact, Store
from bdk.errors import BdkError, PluginError, StepFailedError
from bdk.making import Making, Tell
from bdk.plan import Plan, PlannedRun, Step
from bdk.processes import crew
from bdk.registry import Registry

MAKERS = {
    "data": "bdk.data.making",
    "targets": "bdk.targets.making",
    "estimate": "bdk.estimate",
    "retrieve": "bdk.retrieve",
    "refine": "bdk.refine",
    "decode": "bdk.decode",
    "measure": "bdk.measure",
}

TRAINING = ("estimate", "refine")
"""Kinds of steps that several processes make together; all others are the leader's."""


@dataclass
class Outcome:
    """How a plan ended.

    Args:
        made: keys of steps this call made.
        had: keys of steps that were there already.
        failed: for each failed step, the error.
        skipped: steps not tried because one of their inputs failed, each with that input's key.
    """

    made: list[str] = field(default_factory=list)
    had: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def fault(self, run: PlannedRun) -> Exception | None:
        """The error that keeps a row from its result, if any."""
        for key in run.keys.values():
            while key in self.skipped:
                key = self.skipped[key]
            if key in self.failed:
                return self.failed[key]
        return None

    def blocked_by(self, step: Step) -> str:
        """Key of an input that failed or was skipped, or nothing."""
        return next((key for key in step.inputs.values() if key in self.failed or key in self.skipped), "")


def make_step(step: Step, store: Store, registry: Registry, tell: Tell) -> tuple[Artifact, bool]:
    """Have one step's artifact, or make it from its inputs; several processes do it together.

    Returns:
        The artifact and whether it was made now.

    Raises:
        BdkError: the step failed; its label is named.
    """
    if not crew().leads:
        return _help(step, store, registry)
    found = store.get(step.key)
    crew().say({"had": found is not None})
    if found is not None:
        return found, False
    try:
        result = _make(step, store, registry, tell)
    except BdkError as error:
        crew().say({"failed": [error.what, error.where, error.mend]})
        raise
    crew().say({"failed": None})
    return result


def _help(step: Step, store: Store, registry: Registry) -> tuple[Artifact, bool]:
    """What a process does about a step that does not lead: help to train it if it is asked to, and wait."""
    made = not crew().say()["had"]
    word = crew().say() if made else {"failed": None}
    if work := word.get("help"):
        store.trust(step.inputs.values())
        with tempfile.TemporaryDirectory() as out:
            inputs = {role: store.need(key, role) for role, key in step.inputs.items()}
            making = Making(step, inputs, Path(out), Path(work), store, registry, lambda event: None)
            crew().help(step.label, lambda: importlib.import_module(MAKERS[step.kind]).make(making))
        word = crew().say()
    if word["failed"]:
        what, where, mend = word["failed"]
        raise StepFailedError(what, where=where, mend=mend)
    store.trust([step.key])
    return store.need(step.key, step.label), made


def _make(step: Step, store: Store, registry: Registry, tell: Tell) -> tuple[Artifact, bool]:
    inputs = {role: store.need(key, role) for role, key in step.inputs.items()}

    def builder(out: Path, work: Path) -> None:
        making = Making(step, inputs, out, work, store, registry, tell)
        with crew().helped(work) if step.kind in TRAINING else nullcontext():
            _stay_alive(making)

    try:
        return store.make(step.key, step.recipe(), builder)
    except BdkError as error:
        if not error.where or isinstance(error, PluginError):  # it names the package, not yet the step
            error.where = ", ".join(filter(None, (error.where, f"step {step.label}")))
        raise
    except Exception as error:
        raise StepFailedError(
            f"Step {step.label} failed: {type(error).__name__}: {error}",
            where=_suspects(step, registry),
            mend="Run again with --debug for the traceback.",
        ) from error


def _stay_alive(making: Making) -> None:
    """Make a step; a part that calls ``sys.exit`` ends its step, not the run."""
    try:
        importlib.import_module(MAKERS[making.step.kind]).make(making)
    except SystemExit as error:
        raise RuntimeError(f"a part tried to end the process (SystemExit: {error})") from error


def _suspects(step: Step, registry: Registry) -> str:
    """Foreign or own, the parts at work in a step, with their distributions."""
    parts = []
    for family in ("encoder", "prior", "retriever", "fusion", "decoder"):
        plain = step.options.get(family)
        if isinstance(plain, Mapping):
            info = registry.components.get((family, plain["use"]))
            parts.append(f"{family} {plain['use']} ({info.distribution if info else 'not installed'})")
    return ", ".join(parts) or f"step {step.label}"


def run_serial(plan: Plan, store: Store, registry: Registry, tell: Tell, *, keep_going: bool = True) -> Outcome:
    """Make every step of a plan in this process, inputs first.

    Args:
        plan: what to make.
        store: where artifacts are and go.
        registry: what is installed.
        tell: takes progress events.
        keep_going: whether other rows go on when a step fails.

    Raises:
        BdkError: a step failed and ``keep_going`` is off.
    """
    outcome = Outcome()
    tell({"event": "plan", "total": len(plan.steps)})
    for step in plan.steps.values():
        if blocker := outcome.blocked_by(step):
            outcome.skipped[step.key] = blocker
            tell({"event": "skipped", "key": step.key, "label": step.label})
            continue
        tell({"event": "start", "key": step.key, "label": step.label})
        try:
            artifact, made = make_step(step, store, registry, tell)
        except BdkError as error:
            record_failure(outcome, step, error, tell)
            if not keep_going:
                raise
            continue
        record_done(outcome, step, made, artifact.recipe.get("seconds", 0.0), tell)
    return outcome


def record_done(outcome: Outcome, step: Step, made: bool, seconds: float, tell: Tell) -> None:
    """Note a finished step."""
    (outcome.made if made else outcome.had).append(step.key)
    tell({"event": "done", "key": step.key, "label": step.label, "made": made, "seconds": seconds})


def record_failure(outcome: Outcome, step: Step, error: Exception, tell: Tell) -> None:
    """Note a failed step."""
    outcome.failed[step.key] = error
    tell({"event": "failed", "key": step.key, "label": step.label, "error": str(error)})
