"""Priors: from an encoder's tokens to samples of the space."""

from __future__ import annotations

from bdk.components import ComponentInfo, offer
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """The priors of this package."""
    return [
        offer(
            "prior",
            "diffusion",
            config="bdk_priors.configs:DiffusionConfig",
            target="bdk_priors.diffusion:Diffusion",
            summary="diffusion over tokens by MindEye's transformer (also BrainRAM's release)",
            fit_mode="gradient",
            cite=("scotti2023mindeye", "ramesh2022dalle2", "lu2022dpmsolverpp"),
        ),
        offer(
            "prior",
            "unet",
            config="bdk_priors.configs:UnetConfig",
            target="bdk_priors.unet:Unet",
            summary="diffusion over tokens by a cross-attention U-Net, as BrainRAM's paper words it",
            fit_mode="gradient",
            cite=("xie2024brainram",),
        ),
    ]


@hookimpl
def bdk_citations() -> dict[str, str]:
    """BibTeX of what these priors are taken from."""
    from bdk_priors.citations import CITATIONS

    return CITATIONS
