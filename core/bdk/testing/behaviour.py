"""Checks of what a part returns: shapes, sizes, purity, chance, state, device, errors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bdk.errors import BdkError
from bdk.testing.cases import ROWS, Case
from bdk.testing.checking import NotRun, Violation, check
from bdk.testing.subject import Subject, require_equal

CLOSE = 2e-4
"""Share of the largest number by which rounding may differ between batches of different sizes."""
SHAPED = ("sizes-come-from-context",)
FINITE = ("numbers-are-finite",)
FIXED = ("chance-comes-from-the-generator",)


@check("shapes", after=("builds",))
def shapes(subject: Subject) -> None:
    """It returns tensors of the shapes that its interface states."""
    case = subject.cases[0]
    published = subject.probe.published()
    try:
        _require_shapes(subject, case)
    except Exception:
        # a part that knows one size only has its own check
        if published is None or not _works(subject, published):
            raise


@check("sizes-come-from-context", after=("shapes",))
def sizes_come_from_context(subject: Subject) -> None:
    """It works at every size of the context: no 257, 768 or voxel count is written into it."""
    faults = []
    for case in subject.cases:
        try:
            _require_shapes(subject, case)
        except Violation as fault:
            faults.append(str(fault))
        except Exception as error:  # noqa: BLE001 - noted, and told below
            faults.append(f"{type(error).__name__}: {error} ({case.label})")
    if faults:
        published = subject.probe.published()
        hint = (
            "; it works at 257 x 768, which seems to be written into it"
            if published and _works(subject, published)
            else ""
        )
        raise Violation(f"{faults[0]}{hint}")


def _works(subject: Subject, case: Case) -> bool:
    try:
        _require_shapes(subject, case)
    except Exception:  # noqa: BLE001 - whatever it raises, it does not work
        return False
    return True


def _require_shapes(subject: Subject, case: Case) -> None:
    outputs = subject.call(subject.ready(case), case.copy())
    for name, wanted in subject.probe.shapes(case).items():
        got = outputs[name]
        if not isinstance(got, Tensor):
            raise Violation(f"{name} is {type(got).__name__}, not a tensor ({case.label})")
        if wanted is not None and tuple(got.shape) != wanted:
            raise Violation(f"{name} has shape {tuple(got.shape)}, wanted {wanted} ({case.label})")


@check("one-stimulus-will-do", after=SHAPED)
def one_stimulus_will_do(subject: Subject) -> None:
    """It works on a batch of one."""
    for case in subject.cases:
        alone = Case(f"{case.label}, one stimulus", case.context, case.one(0))
        outputs = subject.call(subject.ready(case), alone.copy())
        for name, wanted in subject.probe.shapes(alone).items():
            if wanted is not None and tuple(outputs[name].shape) != wanted:
                raise Violation(f"{name} has shape {tuple(outputs[name].shape)}, wanted {wanted} ({alone.label})")


@check("numbers-are-finite", after=SHAPED)
def numbers_are_finite(subject: Subject) -> None:
    """It returns no NaN and no infinity."""
    for case in subject.cases:
        for name, tensor in subject.call(subject.ready(case), case.copy()).items():
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise Violation(f"{bad} of {tensor.numel()} numbers of {name} are NaN or infinite ({case.label})")


@check("inputs-stay-as-they-are", after=SHAPED)
def inputs_stay(subject: Subject) -> None:
    """It does not write into what it is given."""
    for case in subject.cases:
        given = case.copy()
        subject.call(subject.ready(case), given)
        if set(given) != set(case.inputs):
            raise Violation(f"it added or took away inputs: {', '.join(set(given) ^ set(case.inputs))}")
        for name, tensor in case.inputs.items():
            if not torch.equal(tensor, given[name]):
                raise Violation(f"it wrote into {name} ({case.label})")


@check("chance-comes-from-the-generator", after=FINITE)
def chance_comes_from_the_generator(subject: Subject) -> None:
    """In evaluation mode equal seeds give equal numbers, whatever the chance of the process."""
    for case in subject.cases:
        part = subject.ready(case)
        first = subject.call(part, case.copy(), seed=5, luck=1)
        second = subject.call(part, case.copy(), seed=5, luck=2)
        kind = "with equal seeds of the generator" if subject.probe.random else "in evaluation mode"
        require_equal(first, second, f"called twice {kind}, it differs ({case.label})")


@check("rows-do-not-mix", after=FIXED)
def rows_do_not_mix(subject: Subject) -> None:
    """What it makes of one stimulus does not depend on the others of the batch."""
    for case in subject.cases:
        part = subject.ready(case)
        before = _stable(subject.call(part, case.copy()))
        after = _stable(subject.call(part, case.other(1)))
        others = [row for row in range(ROWS) if row != 1]
        fault = f"other numbers for stimulus 1 changed the others ({case.label})"
        require_equal(before, after, fault, tolerance=CLOSE, rows=others)
        if not subject.probe.random:
            alone = _stable(subject.call(part, case.one(2)))
            picked = {name: tensor[2:3] for name, tensor in before.items()}
            require_equal(picked, alone, f"a stimulus alone gives other numbers ({case.label})", tolerance=CLOSE)


def _stable(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The outputs that belong to single stimuli: a mean over the batch does not."""
    return {name: tensor for name, tensor in outputs.items() if tensor.ndim > 0}


@check("state-comes-back", after=FIXED)
def state_comes_back(subject: Subject) -> None:
    """Saved to safetensors and loaded strictly into a fresh copy, it gives the same numbers."""
    for case in subject.cases:
        part = subject.ready(case)
        before = subject.call(part, case.copy(), seed=3)
        fresh = subject.make(case.context, seed=77)
        try:
            fresh.load_state_dict(_through_a_file(part))
        except (RuntimeError, ValueError, TypeError) as error:
            raise Violation(f"its state cannot be saved and loaded: {error}") from error
        fresh.eval()
        after = subject.call(fresh, case.copy(), seed=3)
        fault = f"after loading, numbers differ; something that decides them is no parameter or buffer ({case.label})"
        require_equal(before, after, fault, tolerance=1e-6)


def _through_a_file(part: nn.Module) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_file({name: value.detach().clone().contiguous() for name, value in part.state_dict().items()}, path)
        return load_file(path)


@check("number-type-is-kept", after=SHAPED)
def number_type_is_kept(subject: Subject) -> None:
    """Single precision in, single out; moved to double precision, double out."""
    case = subject.cases[0]
    part = subject.ready(case)
    for wanted in (torch.float32, torch.float64):
        inputs = {name: value.to(wanted) if value.is_floating_point() else value for name, value in case.copy().items()}
        try:
            outputs = subject.call(part.to(wanted), inputs)
        except RuntimeError as error:
            raise Violation(f"it does not work in {wanted}: {error}") from error
        wrong = [f"{name} in {tensor.dtype}" for name, tensor in outputs.items() if tensor.dtype != wanted]
        if wrong:
            raise Violation(f"given {wanted}, it returned {', '.join(wrong)}")


@check("device-is-kept", after=("builds-without-memory", *SHAPED))
def device_is_kept(subject: Subject) -> None:
    """It works where its weights and inputs are: on an accelerator if there is one, else on torch's meta device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    case = subject.cases[0]
    part = subject.ready(case).to(device)
    inputs = {name: value.to(device) for name, value in case.copy().items()}
    try:
        outputs = subject.call(part, inputs)
    except (RuntimeError, NotImplementedError) as error:
        if device.type == "meta" and not _names_two_devices(error):
            raise NotRun(
                f"it looks at numbers, which the meta device has not; try it on an accelerator ({error})"
            ) from error
        raise Violation(f"it does not stay on {device.type}: {error}") from error
    elsewhere = [
        f"{name} on {tensor.device.type}" for name, tensor in outputs.items() if tensor.device.type != device.type
    ]
    if elsewhere:
        raise Violation(f"given numbers on {device.type}, it returned {', '.join(elsewhere)}")


def _names_two_devices(error: Exception) -> bool:
    text = str(error)
    return any(words in text for words in ("on the same device", "two devices", "is on cpu", "device cpu", "on cpu"))


@check("errors-are-the-projects", after=("builds",))
def errors_are_the_projects(subject: Subject) -> None:
    """Inputs of a wrong size are refused with an error of `bdk.errors`, not passed on and not torch's."""
    case = subject.cases[0]
    part: Any = subject.ready(case)
    for label, call in subject.probe.wrong(case):
        try:
            with torch.no_grad():
                call(part)
        except BdkError:
            continue
        except Exception as error:
            raise Violation(
                f"given {label} it raised {type(error).__name__}: {error}; "
                "`bdk.checks` has what refuses it in the project's words"
            ) from error
        raise Violation(f"given {label} it did not complain; `bdk.checks` has what refuses it")


CHECKS = [
    shapes,
    sizes_come_from_context,
    one_stimulus_will_do,
    numbers_are_finite,
    inputs_stay,
    chance_comes_from_the_generator,
    rows_do_not_mix,
    state_comes_back,
    number_type_is_kept,
    device_is_kept,
    errors_are_the_projects,
]
