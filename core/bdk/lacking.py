"""What steps need and this machine has not: weights, data, galleries, optional packages. Imports no torch.

A part says it by a method ``lacks() -> list[str]`` of its options: one line for each thing that is missing, ending with
the line that gets it. Options without that method need nothing. Retrievers are told the data's world, whose stand-in
galleries need no folder: ``lacks(world)``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from bdk.components import FAMILIES, ComponentInfo
from bdk.plan import Plan, PlannedRun, Step, space_from
from bdk.registry import Registry, config_class
from bdk.spaces import Space
from bdk.weights import weights_lacks

if TYPE_CHECKING:
    from bdk.artifacts import Store


def lacks_of(run: PlannedRun, plan: Plan, registry: Registry, made: Container[str] | Store = ()) -> list[str]:
    """What one row lacks for those of its steps that are not made yet, each thing once."""
    steps = [plan.steps[key] for key in run.keys.values() if key not in made]
    return list(dict.fromkeys(lack for step in steps for lack in step_lacks(step, registry)))


def step_lacks(step: Step, registry: Registry) -> list[str]:
    """What one step lacks: its parts' packages and what their options say, its data, its space's weights."""
    lacks: list[str] = []
    for family in FAMILIES:
        plain = step.options.get(family)
        if isinstance(plain, Mapping):
            info = registry.component(family, plain["use"])
            told = (step.options.get("world") or {},) if family == "retriever" else ()
            lacks += [*package_lacks(info), *_said(config_class(info), plain, *told)]
    if step.kind == "data":
        lacks += _said(config_class(registry.dataset(step.options["use"])), step.options)
    if step.kind == "targets":
        lacks += space_lacks(space_from(step.options["space"]))
    return lacks


def package_lacks(info: ComponentInfo) -> list[str]:
    """Optional packages of a part that are not installed."""
    missing = [(package, extra) for package, extra in info.requires if importlib.util.find_spec(package) is None]
    return [
        f"The package {package!r} is not installed. "
        + (f'pip install "brain-decoding-kit[{extra}]"' if " " not in extra else extra)
        for package, extra in missing
    ]


def space_lacks(space: Space) -> list[str]:
    """The weights that a space's backbone needs and this machine has not."""
    name = space.options.get("weights")
    return weights_lacks(name) if isinstance(name, str) and not space.options.get("path") else []


def _said(kind: Any, plain: Mapping[str, Any], *told: object) -> list[str]:
    config = kind.model_validate({key: value for key, value in plain.items() if key in kind.model_fields})
    check = getattr(config, "lacks", None)
    return list(check(*told)) if check else []
