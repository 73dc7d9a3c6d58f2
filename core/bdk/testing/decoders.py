"""Checks of decoders: pictures in 0..1 that follow their guides, and missing guides refused in words."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bdk.errors import BdkError
from bdk.testing import behaviour
from bdk.testing.cases import ROWS
from bdk.testing.checking import Violation, check
from bdk.testing.probes import generator
from bdk.testing.subject import Subject


@check("guides-are-declared", after=("config-is-strict",))
def guides_are_declared(subject: Subject) -> None:
    """Its config says, without being built, in which space each guide lives; required guides are among them."""
    kind, declared = subject.kind, subject.config.spaces()  # type: ignore[attr-defined]
    unknown = [f"{guide} = {id!r}" for guide, id in declared.items() if id not in subject.registry.spaces]
    if unknown:
        raise Violation(
            f"nobody offers the space of guide {unknown[0]}; known: {', '.join(sorted(subject.registry.spaces))}"
        )
    absent = set(kind.required) - set(declared)  # type: ignore[attr-defined]
    if absent:
        raise Violation(f"required guides without a space: {', '.join(sorted(absent))}")
    if not declared and not subject.config.uses_neighbours():  # type: ignore[attr-defined]
        raise Violation("it declares no guide and wants no neighbours, so nothing could steer it")


@check("shapes", after=("builds", "guides-are-declared"))
def shapes(subject: Subject) -> None:
    """It returns B S 3 H W, as many pictures of each stimulus as it was asked for."""
    for case in subject.cases:
        part = subject.ready(case)
        for n in (1, 2):
            with torch.no_grad():
                pictures = part(case.copy(), n, generator(0))
            got = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
            if not isinstance(pictures, Tensor) or pictures.ndim != 5 or got[:3] != (ROWS, n, 3):
                raise Violation(
                    f"asked for {n} of {ROWS} stimuli it returned {got}, wanted ({ROWS}, {n}, 3, H, W) ({case.label})"
                )


SHAPED = ("shapes",)


@check("values-are-0-to-1", after=SHAPED)
def values_are_0_to_1(subject: Subject) -> None:
    """Pictures are floats from 0 to 1."""
    for case in subject.cases:
        pictures = subject.call(subject.ready(case), case.copy())["pictures"]
        if not pictures.is_floating_point():
            raise Violation(f"pictures are {pictures.dtype}, not floats ({case.label})")
        low, high = float(pictures.min()), float(pictures.max())
        if not (low >= 0 and high <= 1):
            raise Violation(f"values run from {low:.3g} to {high:.3g} ({case.label})")


@check("guides-matter", after=SHAPED)
def guides_matter(subject: Subject) -> None:
    """Other guides give other pictures, with the same chance."""
    case = subject.cases[0]
    part = subject.ready(case)
    other = {name: -value if value.is_floating_point() else value + 50 for name, value in case.copy().items()}
    if torch.equal(subject.call(part, case.copy())["pictures"], subject.call(part, other)["pictures"]):
        raise Violation("it paints the same pictures whatever it is told")


@check("missing-guides-are-named", after=("builds",))
def missing_guides_are_named(subject: Subject) -> None:
    """Without its guides it says which are missing."""
    case = subject.cases[0]
    part = subject.ready(case)
    wanted = [*subject.config.spaces(), "neighbour", "ids", "guide"]  # type: ignore[attr-defined]
    try:
        part({}, 1, generator(0))
    except BdkError as error:
        if any(word in str(error) for word in wanted):
            return
        raise Violation(f"without guides it says {error.what!r}, which names none of them") from error
    except Exception as error:
        raise Violation(f"without guides it raised {type(error).__name__}: {error}") from error
    raise Violation("it painted without any guide")


CHECKS = [
    guides_are_declared,
    shapes,
    replace(behaviour.numbers_are_finite, after=SHAPED),
    values_are_0_to_1,
    guides_matter,
    replace(behaviour.inputs_stay, after=SHAPED),
    behaviour.chance_comes_from_the_generator,
    behaviour.rows_do_not_mix,
    missing_guides_are_named,
    behaviour.errors_are_the_projects,
]
