"""Checks of parts that learn: gradients, and whether what they learn is of any use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bdk.errors import BdkError
from bdk.testing import planted
from bdk.testing.cases import SPACES, Case, numbers
from bdk.testing.checking import Violation, check
from bdk.testing.probes import generator
from bdk.testing.subject import Subject, chance

STEPS, BATCH, RATE = 250, 32, 3e-3
IDENTIFIED = 0.6
"""Share of two-way comparisons that a useful prior wins; chance stays below .58 for the 64 test stimuli."""
SHAPED = ("sizes-come-from-context",)
FINITE = ("numbers-are-finite",)


def not_trained(subject: Subject) -> str:
    """Why a check of gradients does not apply."""
    return "" if subject.info.fit_mode == "gradient" else f"nothing is trained (fit_mode {subject.info.fit_mode})"


@check("gradients-reach-every-parameter", applies=not_trained, after=SHAPED)
def gradients_reach_every_parameter(subject: Subject) -> None:
    """Every parameter that asks for a gradient gets one that is not zero, in one of the cases at least.

    Not in each: over a single token the softmax of an attention is 1 whatever its query and key are.
    """
    idle: list[str] = []
    for place, case in enumerate(subject.cases):
        part = subject.ready(case)
        part.train()
        for seed in range(8):  # some parameters take part by chance only, such as a prior's null condition
            with chance(seed):
                _pull(subject, part, case, seed).backward()
        silent = [name for name, p in part.named_parameters() if p.requires_grad and not _moved(p)]
        idle = [name for name in (idle if place else silent) if name in silent]
        if not idle:
            return
    more = f" and {len(idle) - 4} more" if len(idle) > 4 else ""
    raise Violation(f"no gradient reaches {', '.join(idle[:4])}{more} (in none of {len(subject.cases)} cases)")


def _pull(subject: Subject, part: nn.Module, case: Case, seed: int) -> Tensor:
    """A scalar that every output has a part in; many rows, so that rare ones occur."""
    inputs = {
        name: torch.cat([value + 0.1 * numbers(*value.shape, seed=i) for i in range(8)])
        if value.is_floating_point()
        else value.repeat(8, *[1] * (value.ndim - 1))
        for name, value in case.inputs.items()
    }
    outputs = subject.probe.call(part, inputs, seed)
    pulls = [(tensor * numbers(*tensor.shape, seed=seed)).sum() for tensor in outputs.values() if tensor.requires_grad]
    if not pulls:
        raise Violation("none of its outputs can be differentiated")
    return torch.stack(pulls).sum()


def _moved(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool((parameter.grad != 0).any())


@check("gradients-reach-the-condition", applies=not_trained, after=SHAPED)
def gradients_reach_the_condition(subject: Subject) -> None:
    """The prior's loss can train the encoder that made its condition."""
    case = subject.cases[0]
    part = subject.ready(case)
    condition = case.inputs["condition"].clone().requires_grad_()
    for seed in range(8):
        part.loss(case.inputs["target"], condition, generator(seed)).loss.backward()
    if condition.grad is None or not bool((condition.grad != 0).any()):
        raise Violation("its loss has no gradient with respect to the condition")


@check("is-useful", after=FINITE)
def is_useful(subject: Subject) -> None:
    """Fitted on data with a known truth, it does better than doing nothing."""
    fault = _MEASURED[subject.info.family](subject)
    if fault:
        raise Violation(f"on planted data, {fault}")


def _encoder(subject: Subject) -> str:
    """Its tokens must be nearer to the truth than the mean of the training targets is."""
    space = SPACES[0]
    case = next(case for case in subject.cases if case.context.space == space)
    world = planted.brain(case.context.voxels, space)
    part = _learner(subject, case)
    if subject.info.fit_mode == "closed_form":
        part.solve(world.betas, world.targets)
    else:
        _train(part, lambda rows, seed: (part(world.betas[rows]).tokens - world.targets[rows]).square().mean())
    with torch.no_grad():
        got = planted.error(part(world.test_betas).tokens, world.test_targets)
    idle = planted.error(world.targets.mean(0), world.test_targets)
    return "" if got < idle else f"its error is {got:.4g}; the mean of the training targets has {idle:.4g}"


def _prior(subject: Subject) -> str:
    """Its samples must tell their own target from another one; their own variance does not count against them."""
    case = subject.cases[0]
    world = planted.conditions(case.context.space)
    part = _learner(subject, case)
    if subject.info.fit_mode == "gradient":
        _train(part, lambda rows, seed: part.loss(world.targets[rows], world.conditions[rows], generator(seed)).loss)
    with torch.no_grad():
        guess = part.sample(world.test_conditions, 4, generator(0)).mean(1)
    rate = planted.identified(guess, world.test_targets)
    return "" if rate > IDENTIFIED else f"its samples know their target from another in {rate:.0%}; chance is 50%"


def _fusion(subject: Subject) -> str:
    """What it returns must be nearer to the truth than the estimate it was given."""
    case = subject.cases[0]
    train, test = planted.retrieved(case.context.space, case.context.k)
    part = _learner(subject, case)
    if subject.info.fit_mode == "gradient":

        def loss(rows: Tensor, seed: int) -> Tensor:
            refined = part(train.estimates[rows], train.neighbours[rows], train.present[rows])
            return (refined - train.targets[rows]).square().mean()

        _train(part, loss)
    with torch.no_grad():
        got = planted.error(part(test.estimates, test.neighbours, test.present), test.targets)
    idle = planted.error(test.estimates, test.targets)
    return "" if got < idle else f"its error is {got:.4g}; the estimate as it came has {idle:.4g}"


_MEASURED: dict[str, Callable[[Subject], str]] = {
    "encoder": _encoder,
    "prior": _prior,
    "fusion": _fusion,
}


def _learner(subject: Subject, case: Case) -> Any:
    subject.require_small(case)
    return subject.make(case.context)


def _train(part: nn.Module, loss: Callable[[Tensor, int], Tensor]) -> None:
    """Adam, a few hundred steps; the module is left in evaluation mode."""
    optimiser = torch.optim.Adam(part.parameters(), lr=RATE)
    part.train()
    with chance(0):
        for seed, rows in enumerate(_batches()):
            optimiser.zero_grad()
            value = loss(rows, seed)
            if not torch.isfinite(value):
                raise Violation(f"its training diverged: the loss is {value.item()} at step {seed}")
            value.backward()
            optimiser.step()
    part.eval()


def _batches() -> Iterator[Tensor]:
    draw = generator(51)
    for _ in range(STEPS):
        yield torch.randint(planted.TRAIN, (BATCH,), generator=draw)


@check("missing-neighbours-do-not-matter", after=FINITE)
def missing_neighbours(subject: Subject) -> None:
    """Whatever numbers stand in for a neighbour that is missing, the result is the same, and finite."""
    for case in subject.cases:
        if case.context.k == 0:
            continue
        part = subject.ready(case)
        gone = torch.zeros_like(case.inputs["present"])
        some = case.inputs["present"].clone()
        some[0, -1] = False
        for present in (some, gone):
            results = [_refined(subject, part, case, present, filler) for filler in (0.0, 3.0, torch.nan)]
            if not all(torch.isfinite(result).all() for result in results):
                raise Violation(f"with {int((~present).sum())} neighbours missing it returns NaN ({case.label})")
            if not all(torch.equal(results[0], other) for other in results[1:]):
                raise Violation(f"numbers in the place of a missing neighbour change the result ({case.label})")


def _refined(subject: Subject, part: Any, case: Case, present: Tensor, filler: float) -> Tensor:
    neighbours = torch.where(present[..., None, None], case.inputs["neighbours"], torch.tensor(filler))
    return subject.call(part, {**case.copy(), "neighbours": neighbours, "present": present})["refined"]


def _not_closed_form(subject: Subject) -> str:
    return "" if subject.info.fit_mode == "closed_form" else "not solved in closed form"


@check("unfitted-is-said", applies=_not_closed_form, after=("builds",))
def unfitted_is_said(subject: Subject) -> None:
    """Called before it was solved, it says so with an error of the project's."""
    case = subject.cases[0]
    try:
        subject.call(subject.make(case.context), case.copy())
    except BdkError:
        return
    except Exception as error:
        raise Violation(f"it raised {type(error).__name__}: {error}; raise bdk.errors.NotFittedError") from error
    raise Violation("it returned numbers; raise bdk.errors.NotFittedError")


ENCODER = [gradients_reach_every_parameter, unfitted_is_said, is_useful]
PRIOR = [gradients_reach_every_parameter, gradients_reach_the_condition, is_useful]
FUSION = [gradients_reach_every_parameter, missing_neighbours, is_useful]
