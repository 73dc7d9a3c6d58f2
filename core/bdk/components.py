"""What a plugin hands in: descriptions of parts, all of them plain data that import no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bdk.options import Config as Config
    from bdk.options import DecoderConfig as DecoderConfig

FAMILIES = ("encoder", "prior", "retriever", "fusion", "decoder")
Family = Literal["encoder", "prior", "retriever", "fusion", "decoder"]
FitMode = Literal["none", "closed_form", "gradient"]


@dataclass(frozen=True)
class ComponentInfo:
    """One part on offer.

    Args:
        family: which of the five interfaces it fills.
        name: how a spec calls it.
        config: ``module:Class`` of its `Config`; the module must import no torch.
        target: ``module:Class`` built as ``Target(config, context)``.
        summary: one line for ``bdk list``.
        fit_mode: ``none``, ``closed_form`` or ``gradient``.
        version: raise it when results change; part of every content key.
        cite: citation keys, see `bdk.citations`.
        requires: import names of optional packages it needs, each mapped to the extra that installs it.
        distribution: filled in by the registry: who offers it.
    """

    family: Family
    name: str
    config: str
    target: str
    summary: str
    fit_mode: FitMode = "none"
    version: int = 1
    cite: tuple[str, ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    distribution: str = ""


def offer(
    family: Family,
    name: str,
    *,
    config: str,
    target: str,
    summary: str,
    fit_mode: FitMode = "none",
    version: int = 1,
    cite: tuple[str, ...] = (),
    requires: tuple[tuple[str, str], ...] = (),
) -> ComponentInfo:
    """Describe a part; the return value of a ``bdk_components`` hook is a list of these."""
    return ComponentInfo(family, name, config, target, summary, fit_mode, version, cite, requires)


@dataclass(frozen=True)
class DatasetInfo:
    """One data set on offer; ``target`` is built as ``Target(config)`` and follows `bdk.data.Dataset`."""

    name: str
    config: str
    target: str
    summary: str
    version: int = 1
    cite: tuple[str, ...] = ()
    distribution: str = ""


@dataclass(frozen=True)
class MetricInfo:
    """One metric on offer; ``target`` is built as ``Target(preset=..., networks=...)`` (a `bdk.metrics.ImageMetric`).

    Args:
        name: key in ``metrics.json``.
        label: heading in tables.
        target: ``module:Class``.
        direction: ``up`` if larger is better.
        level: ``low``, ``high`` or ``retrieval``.
        unit: ``corr``, ``index``, ``fraction`` (0..1, printed in percent) or ``correlation_distance``.
    """

    name: str
    label: str
    target: str
    direction: Literal["up", "down"]
    level: Literal["low", "high", "retrieval"]
    unit: str
    summary: str
    version: int = 1
    cite: tuple[str, ...] = ()
    distribution: str = ""


@dataclass(frozen=True)
class SpecInfo:
    """One bundled spec file; ``resource`` is ``package:path/in/package.toml``."""

    name: str
    resource: str
    summary: str
    distribution: str = ""


def __getattr__(name: str) -> Any:
    """`Config` and `DecoderConfig`, when first asked for: what lists parts need not wait for pydantic."""
    if name not in ("Config", "DecoderConfig"):
        raise AttributeError(f"module 'bdk.components' has no attribute {name!r}")
    from bdk import options

    return getattr(options, name)
