"""The door of the built-in metrics. Imports no torch."""

from __future__ import annotations

from bdk.components import MetricInfo
from bdk.hookspecs import hookimpl

_MODULE = "bdk.metrics.modules"
_WANG = ("wang2004ssim",)

METRICS = [
    MetricInfo("pixcorr", "PixCorr", f"{_MODULE}:PixCorr", "up", "low", "corr", "Correlation of pixels"),
    MetricInfo(
        "ssim",
        "SSIM",
        f"{_MODULE}:Ssim",
        "up",
        "low",
        "index",
        "Structural similarity, the preset's variant",
        cite=_WANG,
    ),
    MetricInfo("alex2", "Alex(2)", f"{_MODULE}:Alex2", "up", "low", "fraction", "Two-way, AlexNet block 2", 2),
    MetricInfo("alex5", "Alex(5)", f"{_MODULE}:Alex5", "up", "low", "fraction", "Two-way, AlexNet block 5", 2),
    MetricInfo("incep", "Incep", f"{_MODULE}:Incep", "up", "high", "fraction", "Two-way, Inception v3", 2),
    MetricInfo("clip", "CLIP", f"{_MODULE}:Clip", "up", "high", "fraction", "Two-way, CLIP ViT-L/14", 2),
    MetricInfo(
        "eff", "Eff", f"{_MODULE}:Eff", "down", "high", "correlation_distance", "Correlation distance, EfficientNet-B1"
    ),
    MetricInfo(
        "swav",
        "SwAV",
        f"{_MODULE}:Swav",
        "down",
        "high",
        "correlation_distance",
        "Correlation distance, SwAV",
    ),
    MetricInfo(
        "image_retrieval",
        "Image",
        f"{_MODULE}:ImageRetrieval",
        "up",
        "retrieval",
        "fraction",
        "Given the brain, find the image among the pool, top 1",
        version=2,
        cite=("scotti2023mindeye",),
    ),
    MetricInfo(
        "brain_retrieval",
        "Brain",
        f"{_MODULE}:BrainRetrieval",
        "up",
        "retrieval",
        "fraction",
        "Given the image, find the brain among the pool, top 1",
        version=2,
        cite=("scotti2023mindeye",),
    ),
]

VARIANTS = [
    MetricInfo(
        "ssim-2d",
        "SSIM 2d",
        f"{_MODULE}:Ssim2d",
        "up",
        "low",
        "index",
        "SSIM with a two-dimensional window, whatever the preset says",
        cite=_WANG,
    ),
    MetricInfo(
        "ssim-columns",
        "SSIM columns",
        f"{_MODULE}:SsimColumns",
        "up",
        "low",
        "index",
        "SSIM of columns, as scikit-image 0.17 computed it with multichannel=True, whatever the preset says",
        cite=_WANG,
    ),
]
"""Known by name, but in no table unless asked for."""

CITATIONS = {
    "wang2004ssim": (
        "@article{wang2004ssim, title={Image quality assessment: from error visibility to structural similarity}, "
        "author={Wang, Zhou and Bovik, Alan C. and Sheikh, Hamid R. and Simoncelli, Eero P.}, "
        "journal={IEEE Transactions on Image Processing}, volume={13}, number={4}, pages={600--612}, year={2004}}"
    ),
}


@hookimpl
def bdk_metrics() -> list[MetricInfo]:
    return METRICS


@hookimpl
def bdk_citations() -> dict[str, str]:
    return CITATIONS
