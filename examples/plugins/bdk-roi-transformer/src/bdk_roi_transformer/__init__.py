"""A Transformer over regions of interest: what the package offers. Imports nothing heavy."""

from __future__ import annotations

from bdk import ComponentInfo, hookimpl, offer

bdk_api = ">=1,<2"


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """What this package offers."""
    return [
        offer(
            "encoder",
            "roi-transformer",
            config="bdk_roi_transformer.configs:RoiTransformerConfig",
            target="bdk_roi_transformer.transformer:RoiTransformer",
            summary="Transformer over one token per region of interest, with timm's blocks",
            fit_mode="gradient",
            cite=("dosovitskiy2021vit", "wightman2019timm"),
        )
    ]


@hookimpl
def bdk_citations() -> dict[str, str]:
    """BibTeX of what the encoder is made from."""
    return {
        "dosovitskiy2021vit": (
            "@inproceedings{dosovitskiy2021vit, title={An Image is Worth 16x16 Words: Transformers for Image "
            "Recognition at Scale}, author={Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and others}, "
            "booktitle={International Conference on Learning Representations}, year={2021}}"
        ),
        "wightman2019timm": (
            "@misc{wightman2019timm, title={PyTorch Image Models}, author={Wightman, Ross}, "
            "howpublished={\\url{https://github.com/huggingface/pytorch-image-models}}, year={2019}}"
        ),
    }
