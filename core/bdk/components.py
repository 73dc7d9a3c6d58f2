"""What a plugin hands in: descriptions of parts, all of them plain data that import no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

FAMILIES = ("encoder", "prior", "retriever", "fusion", "decoder")
Family = Literal["encoder", "prior", "retriever", "fusion", "decoder"]
FitMode = Literal["none", "closed_form", "gradient"]


class Config(BaseModel):
    """Base of every options class: frozen, unknown keys refused, each field documented by the line under it.

    A field made with ``Field(default, json_schema_extra={"quick": value})`` takes ``value`` under ``--quick``
    unless the user set it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    needs_neighbours: ClassVar[bool] = True
    """Fusion modules: whether a spec without a retriever is refused. False for controls that ignore neighbours."""


class DecoderConfig(Config):
    """Base of decoder options: says, as plain data, in which space each of its guides lives."""

    required: ClassVar[tuple[str, ...]] = ()
    """Guides without which the decoder cannot work."""

    def spaces(self) -> dict[str, str]:
        """Space id of every guide the decoder understands, by guide name; none: whatever the data gives."""
        raise NotImplementedError("a decoder's config says its spaces")

    def uses_neighbours(self) -> bool:
        """Whether the decoder also wants the ids of the retrieved items (as `nearest` does)."""
        return False


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
