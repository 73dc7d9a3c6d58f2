"""Checks of metrics: they tell good pictures from bad ones, in the direction they declare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bdk.components import MetricInfo
from bdk.metrics import Measurement, NetworkSet
from bdk.registry import Registry, owner_of, resolve
from bdk.testing.checking import Violation, check
from bdk.testing.subject import chance

N, SIDE = 8, 64


@dataclass
class Subject:
    """A metric.

    Args:
        info: which.
        registry: what is installed.
        folder: not used.
        given: not used: a metric has no options of its own.
    """

    info: MetricInfo
    registry: Registry
    folder: Path
    given: Any = None

    def make(self) -> Any:
        """Build it, with networks of random weights where it looks at features."""
        target = resolve(self.info.target, owner=owner_of(self.info))
        return target(preset="mindeye", networks=self.networks if self.wants == "features" else None)

    @cached_property
    def networks(self) -> NetworkSet:
        """The published architectures, with random weights."""
        return NetworkSet.random()

    @property
    def wants(self) -> str:
        """``pixels``, ``features`` or ``embeddings``."""
        return getattr(resolve(self.info.target), "wants", "pixels")

    @cached_property
    def pictures(self) -> Tensor:
        """Smooth random pictures, N 3 H W in 0..1: no two alike, none flat. Vectors for a metric of embeddings."""
        generator = torch.Generator().manual_seed(81)
        if self.wants == "embeddings":
            return torch.randn(N, 32, generator=generator)
        coarse = torch.rand(N, 3, 6, 6, generator=generator)
        return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0, 1)

    @cached_property
    def worse(self) -> Tensor:
        """The pictures of other stimuli: what a reconstruction that knows nothing looks like."""
        return self.pictures.roll(1, 0)

    def measure(self, reconstructions: Tensor) -> Measurement:
        """Feed it in two batches and measure."""
        metric = self.make()
        for part in (slice(0, 3), slice(3, N)):
            metric.update(reconstructions[part].clone(), self.pictures[part].clone())
        return metric.measure()


@check("declaration-is-whole")
def declaration_is_whole(subject: Subject) -> None:
    """Its direction, level and unit are words that tables know."""
    info = subject.info
    known = {
        "direction": ("up", "down"),
        "level": ("low", "high", "retrieval"),
        "unit": ("corr", "index", "fraction", "correlation_distance"),
    }
    for field, words in known.items():
        if getattr(info, field) not in words:
            raise Violation(f"{field} {getattr(info, field)!r} is none of {', '.join(words)}")
    if not info.label or not info.summary or "\n" in info.summary:
        raise Violation("label and summary must be one line each")
    unknown = [key for key in info.cite if key not in subject.registry.citations]
    if unknown:
        raise Violation(f"nobody hands in BibTeX for {', '.join(unknown)}; add a hook bdk_citations")


@check("measures", after=("declaration-is-whole",))
def measures(subject: Subject) -> None:
    """Fed with batches of pictures, it gives a finite `Measurement`, one number per stimulus."""
    found = subject.measure(subject.pictures)
    if not isinstance(found, Measurement) or not math.isfinite(found.value):
        raise Violation(f"measure gives {found!r}; a bdk.metrics.Measurement with a finite value is expected")
    if found.per_stimulus is not None and len(found.per_stimulus) != N:
        raise Violation(f"it gives {len(found.per_stimulus)} numbers for {N} stimuli")


MEASURED = ("measures",)


@check("better-is-better", after=MEASURED)
def better_is_better(subject: Subject) -> None:
    """Perfect reconstructions score better than pictures of other stimuli, in the direction declared."""
    best, worst = subject.measure(subject.pictures).value, subject.measure(subject.worse).value
    if not (best > worst if subject.info.direction == "up" else best < worst):
        raise Violation(
            f"direction is {subject.info.direction}, but perfect pictures score {best:.4g}, wrong ones {worst:.4g}"
        )


@check("inputs-stay-as-they-are", after=MEASURED)
def inputs_stay(subject: Subject) -> None:
    """It does not write into the pictures."""
    metric = subject.make()
    truth, guess = subject.pictures.clone(), subject.worse.clone()
    metric.update(guess, truth)
    if not torch.equal(truth, subject.pictures) or not torch.equal(guess, subject.worse):
        raise Violation("update wrote into the pictures")


@check("chance-has-no-say", after=MEASURED)
def chance_has_no_say(subject: Subject) -> None:
    """Measured twice, it is the same number, and resetting forgets what was fed before."""
    first = subject.measure(subject.worse).value
    with chance(6):
        again = subject.measure(subject.worse).value
    metric = subject.make()
    metric.update(subject.pictures.clone(), subject.pictures.clone())
    metric.reset()
    metric.update(subject.worse.clone(), subject.pictures.clone())
    if first != again or not math.isclose(first, metric.measure().value, rel_tol=1e-5, abs_tol=1e-6):
        raise Violation("the same pictures gave another number the second time, or after reset()")


CHECKS = [declaration_is_whole, measures, better_is_better, inputs_stay, chance_has_no_say]
