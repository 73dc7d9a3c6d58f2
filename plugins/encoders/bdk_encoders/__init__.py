"""Encoders: from betas to tokens."""

from __future__ import annotations

from bdk.components import ComponentInfo, offer
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """The encoders of this package."""
    return [
        offer(
            "encoder",
            "mlp",
            config="bdk_encoders.configs:MlpConfig",
            target="bdk_encoders.mlp:Mlp",
            summary="MindEye's BrainNetwork: residual MLP with a projector",
            fit_mode="gradient",
            cite=("scotti2023mindeye",),
        ),
        offer(
            "encoder",
            "mamba",
            config="bdk_encoders.configs:MambaConfig",
            target="bdk_encoders.mamba:Mamba",
            summary="BrainRAM's encoder: MindEye's frame with Mamba blocks",
            fit_mode="gradient",
            cite=("xie2024brainram", "gu2023mamba"),
        ),
        offer(
            "encoder",
            "ridge",
            config="bdk_encoders.configs:RidgeConfig",
            target="bdk_encoders.ridge:Ridge",
            summary="one ridge regression per token, closed form (Brain-Diffuser, Takagi)",
            fit_mode="closed_form",
            cite=("ozcelik2023braindiffuser", "takagi2023high"),
        ),
        offer(
            "encoder",
            "conv1d-resnet",
            config="bdk_encoders.configs:Conv1dResnetConfig",
            target="bdk_encoders.conv1d_resnet:Conv1dResnet",
            summary="Mind Reader's convolutional mapper over the voxel axis",
            fit_mode="gradient",
            cite=("lin2022mindreader",),
        ),
        offer(
            "encoder",
            "latent-upsampler",
            config="bdk_encoders.configs:LatentUpsamplerConfig",
            target="bdk_encoders.latent_upsampler:LatentUpsampler",
            summary="MindEye's low-level encoder: residual MLP and upsampler to a latent image",
            fit_mode="gradient",
            cite=("scotti2023mindeye",),
            requires=(("diffusers", "cpu"),),
        ),
    ]


@hookimpl
def bdk_citations() -> dict[str, str]:
    """BibTeX of what these encoders are taken from."""
    from bdk_encoders.citations import CITATIONS

    return CITATIONS
