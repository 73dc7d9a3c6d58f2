"""The part under test: how it is built, fitted and called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bdk.components import ComponentInfo, Config
from bdk.registry import Registry, config_class, owner_of, resolve
from bdk.testing.cases import Case
from bdk.testing.checking import NotRun, Violation
from bdk.testing.probes import PROBES, Probe

TOO_LARGE = 20_000_000
"""Parameters above which a part is not tried: a check is to take seconds."""


@dataclass
class Subject:
    """A component, with the options it is tried with.

    Args:
        info: which.
        registry: what is installed.
        folder: for files of the checks.
        given: options that the caller chose; none takes `small_options`.
        spaces: space of each guide, for a decoder whose weights are for other sizes than it declares.
    """

    info: ComponentInfo
    registry: Registry
    folder: Path
    given: Mapping[str, Any] | None = None
    spaces: Mapping[str, Any] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    """Contexts in which its size was found to be small."""

    @cached_property
    def kind(self) -> type[Config]:
        """Its config class."""
        return config_class(self.info)

    @cached_property
    def options(self) -> dict[str, Any]:
        """What it is tried with."""
        return self._probe_class.options(self) if self.given is None else dict(self.given)

    @cached_property
    def config(self) -> Config:
        """Its options, checked."""
        return self.kind.model_validate(self.options)

    @cached_property
    def target(self) -> Any:
        """What is built."""
        return resolve(self.info.target, owner=owner_of(self.info), requires=self.info.requires)

    @property
    def _probe_class(self) -> type[Probe]:
        return resolve(PROBES[self.info.family])

    @cached_property
    def probe(self) -> Probe:
        """How a part of its family is called."""
        return self._probe_class(self)

    @property
    def cases(self) -> list[Case]:
        """The contexts it is tried in."""
        return self.probe.cases

    def make(self, context: Any, seed: int = 0) -> Any:
        """Build it as it comes, in evaluation mode; torch's own chance is seeded and put back."""
        with chance(seed):
            part = self.target(self.config, context)
        if isinstance(part, nn.Module):
            part.eval()
        return part

    def ready(self, case: Case, seed: int = 0) -> Any:
        """Build it as if it had been trained: solved in closed form, or with its weights moved off their start.

        A module that starts at zero would otherwise pass every check.
        """
        if self.info.fit_mode == "gradient":
            self.require_small(case)
        part = self.make(case.context, seed)
        if self.info.fit_mode == "closed_form":
            self.probe.solve(part, case)
        elif self.info.fit_mode == "gradient" and isinstance(part, nn.Module):
            disturb(part, seed)
        return part

    def require_small(self, case: Case) -> None:
        """Refuse to try a part of many parameters.

        Raises:
            NotRun: it has more than `TOO_LARGE`.
        """
        if case.label in self.tried:
            return
        with torch.device("meta"):
            part = self.target(self.config, case.context)
        parameters = part.parameters() if isinstance(part, nn.Module) else ()
        count = sum(parameter.numel() for parameter in parameters)
        if count > TOO_LARGE:
            raise NotRun(
                f"it has {count:,} parameters at {case.label}; give its config class `small: ClassVar[dict]`, "
                "options that make it quick to try"
            )
        self.tried.add(case.label)

    def call(self, part: Any, inputs: Mapping[str, Tensor], seed: int = 0, luck: int = 0) -> dict[str, Tensor]:
        """Call it without gradients; all outputs by name.

        Args:
            part: what is called.
            inputs: with what.
            seed: of the generator that it is given.
            luck: seed of the generators that it should not use.
        """
        with chance(luck), torch.no_grad():
            return self.probe.call(part, dict(inputs), seed)


def disturb(module: nn.Module, seed: int = 0) -> None:
    """Move every parameter a little, so that nothing rests at zero."""
    generator = torch.Generator().manual_seed(1000 + seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.add_(0.1 * noise.to(parameter))


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """Inside, the generators that the whole process shares start from a seed; outside, they are as before."""
    import random

    import numpy as np

    kept = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])


def require_equal(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], fault: str, *, tolerance: float = 0.0, rows: Any = None
) -> None:
    """Refuse outputs that differ by more than a share of their largest number.

    Args:
        first: outputs by name.
        second: the same names.
        fault: start of the message.
        tolerance: as a share of the largest number.
        rows: which stimuli to compare; none for all.

    Raises:
        Violation: they differ; names the output and by how much.
    """
    for name, one in first.items():
        other = second[name]
        if rows is not None and one.ndim:
            one, other = one[rows], other[rows]
        if one.shape != other.shape:
            raise Violation(f"{fault}: {name} {tuple(one.shape)} and {tuple(other.shape)}")
        gap = float((one - other).abs().max()) if one.numel() else 0.0
        if not gap <= tolerance * max(1e-6, float(one.abs().max())):
            raise Violation(
                f"{fault}: {name} differs by {gap:.3g} (its largest number is {float(one.abs().max()):.3g})"
            )
