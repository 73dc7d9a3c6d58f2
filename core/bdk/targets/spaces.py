"""The built-in spaces, as plain data. Imports no torch."""

from __future__ import annotations

from typing import Literal

from bdk.spaces import Modality, Space

Norm = Literal["cls", "pooled", "none"]

DEMO = "tiny CLIP (demo world)"
DEMO_VAE = "demo VAE (demo world)"
LABELS = "random codes of category names"
_MODELS = {
    "clip-vit-l14": ("ViT-L-14", True),
    "clip-vit-b32": ("ViT-B-32", True),
    "clip-vit-h14": ("ViT-H-14", False),
    "clip-vit-bigg14": ("ViT-bigG-14", False),
}
"""open_clip's name of each architecture, and whether its weights want the quick GELU (OpenAI's do)."""


def _clip(id: str, weights: str, tokens: int, dim: int, modality: Modality, norm: Norm, form: str) -> Space:
    """One output of an open_clip model; both of its towers share one pooled space, ``<weights>/pooled``."""
    model, quick_gelu = _MODELS[weights]
    options = {"model": model, "weights": weights, "form": form, "quick_gelu": quick_gelu}
    return Space(id, tokens, dim, modality, norm, "bdk.targets.clip:ClipBackbone", options, pooled=f"{weights}/pooled")


def _demo(id: str, tokens: int, modality: Modality, norm: Norm, form: str) -> Space:
    return Space(
        f"demo-clip/{id}", tokens, 128, modality, norm, "bdk.targets.demo:DemoClip", {"form": form},
        pooled="demo-clip/pooled", stamp=DEMO, resources=("bdk.demo:weights/clip.safetensors",),
    )  # fmt: skip


_LATENT = "bdk.targets.vae:VaeBackbone"
_CODES = "bdk.targets.labels:LabelCodes"

SPACES = [
    _demo("image", 65, "image", "cls", "image_tokens"),
    _demo("text", 24, "text", "pooled", "text_tokens"),
    _demo("pooled", 1, "image", "cls", "image_pooled"),
    Space("demo-vae/latent", 64, 8, "latent", "none", "bdk.targets.demo:DemoLatent", stamp=DEMO_VAE, resources=("bdk.demo:weights/vae.safetensors",)),
    Space("label-code/text", 1, 128, "text", "pooled", _CODES, pooled="label-code/text", stamp=LABELS),
    _clip("clip-vit-l14/image", "clip-vit-l14", 257, 768, "image", "cls", "image_tokens"),
    _clip("clip-vit-l14/text", "clip-vit-l14", 77, 768, "text", "pooled", "text_tokens"),
    _clip("clip-vit-l14/pooled", "clip-vit-l14", 1, 768, "image", "cls", "image_pooled"),
    _clip("clip-vit-l14/pooled-text", "clip-vit-l14", 1, 768, "text", "pooled", "text_pooled"),
    _clip("clip-vit-l14/pooled-image", "clip-vit-l14", 1, 768, "image", "none", "image_embed"),
    _clip("sd14/text", "clip-vit-l14", 77, 768, "text", "none", "text_states"),
    _clip("clip-vit-h14/pooled", "clip-vit-h14", 1, 1024, "image", "cls", "image_pooled"),
    _clip("clip-vit-h14/pooled-image", "clip-vit-h14", 1, 1024, "image", "none", "image_embed"),
    _clip("clip-vit-bigg14/pooled", "clip-vit-bigg14", 1, 1280, "image", "cls", "image_pooled"),
    _clip("clip-vit-bigg14/pooled-image", "clip-vit-bigg14", 1, 1280, "image", "none", "image_embed"),
    _clip("clip-vit-b32/pooled", "clip-vit-b32", 1, 512, "image", "cls", "image_pooled"),
    _clip("clip-vit-b32/pooled-text", "clip-vit-b32", 1, 512, "text", "pooled", "text_pooled"),
    Space("swav/instance", 1, 2048, "image", "cls", "bdk.targets.swav:SwavBackbone", {"weights": "swav-resnet50"}, pooled="swav/instance"),
    Space("sd-vae/latent", 4096, 4, "latent", "none", _LATENT, {"weights": "sd-vae", "side": 512}),
    Space("sd-vae/latent-40", 1600, 4, "latent", "none", _LATENT, {"weights": "sd-vae", "side": 320}),
]  # fmt: skip
"""Tokens x numbers of each, with the backbone that computes it. `none` in `norm` means the model's own scale."""
