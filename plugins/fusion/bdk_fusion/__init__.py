"""Fusion modules: an estimate and its neighbours become refined tokens."""

from __future__ import annotations

from bdk.components import ComponentInfo, offer
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """The fusion modules of this package."""
    return [
        offer(
            "fusion",
            "ram",
            config="bdk_fusion.configs:RamConfig",
            target="bdk_fusion.ram:Ram",
            summary="Divide and Fuse, BrainRAM eq. 7-11",
            fit_mode="gradient",
            cite=("xie2024brainram",),
        ),
        offer(
            "fusion",
            "average",
            config="bdk_fusion.configs:AverageConfig",
            target="bdk_fusion.average:Average",
            summary="mean of the estimate and its neighbours",
            cite=("xie2024brainram",),
        ),
        offer(
            "fusion",
            "conv1x1",
            config="bdk_fusion.configs:Conv1x1Config",
            target="bdk_fusion.conv1x1:Conv1x1",
            summary="one learned weight per branch",
            fit_mode="gradient",
            cite=("xie2024brainram",),
        ),
        offer(
            "fusion",
            "cross-attention",
            config="bdk_fusion.configs:CrossAttentionConfig",
            target="bdk_fusion.cross_attention:CrossAttention",
            summary="the estimate attends to all neighbours at once",
            fit_mode="gradient",
            cite=("xie2024brainram",),
        ),
        offer(
            "fusion",
            "self-attention",
            config="bdk_fusion.configs:SelfAttentionConfig",
            target="bdk_fusion.self_attention:SelfAttention",
            summary="control: the estimate attends to itself, neighbours are ignored",
            fit_mode="gradient",
        ),
    ]


@hookimpl
def bdk_citations() -> dict[str, str]:
    """BibTeX of what these modules are taken from."""
    from bdk_fusion.citations import CITATIONS

    return CITATIONS
