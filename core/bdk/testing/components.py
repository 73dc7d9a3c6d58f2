"""Checks of every component, whatever its family: its description, its options, how it is built."""

from __future__ import annotations

import re

import torch
from pydantic import ValidationError
from torch import nn

from bdk.components import Config, DecoderConfig
from bdk.errors import BdkError
from bdk.facts import options_of
from bdk.registry import resolve
from bdk.testing.checking import Violation, check
from bdk.testing.subject import Subject

MODULES = ("encoder", "prior", "fusion")
"""Families whose parts are modules: they are trained, moved to a device, saved and loaded."""


@check("description-is-complete")
def description(subject: Subject) -> None:
    """Its name is lower-case words joined by hyphens, its summary one line, its citations known."""
    info = subject.info
    if not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", info.name):
        raise Violation(f"the name {info.name!r} should be lower-case letters, digits and hyphens")
    if not info.summary.strip() or "\n" in info.summary:
        raise Violation(f"the summary should be one line that says what the part is, not {info.summary!r}")
    unknown = [key for key in info.cite if key not in subject.registry.citations]
    if unknown:
        raise Violation(f"nobody hands in BibTeX for {', '.join(unknown)}; add a hook bdk_citations")


@check("config-is-strict")
def config_is_strict(subject: Subject) -> None:
    """Its options are a frozen `Config` that refuses unknown keys and survives being written down."""
    kind = subject.kind
    base = DecoderConfig if getattr(subject.info, "family", "data") == "decoder" else Config
    if not issubclass(kind, base):
        raise Violation(f"{kind.__name__} must derive from bdk.components.{base.__name__}")
    settings = kind.model_config
    if not settings.get("frozen") or settings.get("extra") != "forbid":
        raise Violation(f"{kind.__name__} must stay frozen and forbid unknown keys")
    config = subject.config
    again = kind.model_validate(config.model_dump(mode="json"))
    if again != config:
        raise Violation("written to JSON and read back, its options are others")


@check("options-are-documented")
def options_are_documented(subject: Subject) -> None:
    """Every option has a line under it that says its meaning."""
    silent = [option.name for option in options_of(subject.kind) if not option.meaning]
    if silent:
        raise Violation(f"no meaning is given for: {', '.join(silent)}; write a docstring under each")


@check("target-loads")
def target_loads(subject: Subject) -> None:
    """Its target can be imported and called; packages it needs are declared in `requires`."""
    try:
        target = resolve(subject.info.target, requires=subject.info.requires)
    except BdkError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            raise Violation(
                f"it imports {package!r}, which is neither installed nor declared in `requires`: "
                f"requires=(({package!r}, 'pip install {package}'),)"
            ) from error
        raise
    if not callable(target):
        raise Violation(f"{subject.info.target} is {type(target).__name__}, which cannot be called")


@check("builds", after=("config-is-strict", "target-loads"))
def builds(subject: Subject) -> None:
    """It can be built from its options and every context, and is a module where its family is trained or moved."""
    built = []
    for case in subject.cases:
        try:
            built.append(subject.make(case.context))
        except (BdkError, ValidationError):
            raise
        except Exception as error:
            raise Violation(f"its constructor raised {type(error).__name__}: {error} ({case.label})") from error
    if subject.info.family in MODULES and not all(isinstance(part, nn.Module) for part in built):
        raise Violation(f"{type(built[0]).__name__} must be a torch.nn.Module")


@check("fit-mode-is-true", after=("builds",))
def fit_mode_is_true(subject: Subject) -> None:
    """`fit_mode` says how it is fitted: something to train, a `solve`, or neither."""
    part, mode = subject.make(subject.cases[0].context), subject.info.fit_mode
    trained = isinstance(part, nn.Module) and any(p.requires_grad for p in part.parameters())
    if mode == "gradient" and not trained:
        raise Violation("fit_mode is gradient, and it has no parameter that could be trained")
    if mode == "closed_form" and not callable(getattr(part, "solve", None)):
        raise Violation("fit_mode is closed_form, and it has no method solve(betas, targets)")
    if mode != "gradient" and trained:
        raise Violation(f"fit_mode is {mode}, but it has parameters that nobody will train")


@check("builds-without-memory", after=("builds",))
def builds_without_memory(subject: Subject) -> None:
    """It can be built on torch's meta device, as `bdk plan` does to count its parameters."""
    for case in subject.cases:
        with torch.device("meta"):
            try:
                part = subject.target(subject.config, case.context)
            except (RuntimeError, NotImplementedError) as error:
                raise Violation(f"its constructor looks at numbers: {error}") from error
        real = [name for name, parameter in part.named_parameters() if not parameter.is_meta]
        if real:
            raise Violation(f"the device is written into it: {', '.join(real)} did not come on the device asked for")


CHECKS = [
    description,
    config_is_strict,
    options_are_documented,
    target_loads,
    builds,
    fit_mode_is_true,
]
MODULE = [builds_without_memory]
"""And of those that are modules."""
