"""The door: the hooks a plugin may implement. Each returns plain descriptions and imports nothing heavy."""

from __future__ import annotations

import pluggy

from bdk.components import ComponentInfo, DatasetInfo, MetricInfo, SpecInfo
from bdk.spaces import Space

PROJECT = "bdk"
API_VERSION = "1.0"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bdk_components() -> list[ComponentInfo]:  # type: ignore[empty-body]
    """Encoders, priors, retrievers, fusion modules and decoders."""


@hookspec
def bdk_datasets() -> list[DatasetInfo]:  # type: ignore[empty-body]
    """Data sets."""


@hookspec
def bdk_spaces() -> list[Space]:  # type: ignore[empty-body]
    """Spaces and the backbones that compute them."""


@hookspec
def bdk_metrics() -> list[MetricInfo]:  # type: ignore[empty-body]
    """Metrics."""


@hookspec
def bdk_specs() -> list[SpecInfo]:  # type: ignore[empty-body]
    """Bundled spec files."""


@hookspec
def bdk_citations() -> dict[str, str]:  # type: ignore[empty-body]
    """BibTeX entries by citation key."""
