"""A plugin file: spaces of the published kinds at tiny sizes, computed by the kit's own backbones.

Their weights are looked up in the manifest as ``tiny-clip`` and ``tiny-vae``; `tests.tiny_weights` writes them.
"""

from __future__ import annotations

from bdk.hookspecs import hookimpl
from bdk.spaces import Space

SIDE, WIDTH, CONTEXT = 28, 8, 8


def _clip(name, tokens, modality, norm, form):
    options = {"model": "ViT-B-32", "weights": "tiny-clip", "form": form, "quick_gelu": True}
    backbone = "bdk.targets.clip:ClipBackbone"
    return Space(f"tiny/{name}", tokens, WIDTH, modality, norm, backbone, options, pooled="tiny/pooled")


def _vae(name, side):
    options = {"weights": "tiny-vae", "side": side}
    return Space(f"tiny/{name}", (side // 2) ** 2, 4, "latent", "none", "bdk.targets.vae:VaeBackbone", options)


@hookimpl
def bdk_spaces():
    return [
        _clip("image", (SIDE // 14) ** 2 + 1, "image", "cls", "image_tokens"),
        _clip("text", CONTEXT, "text", "pooled", "text_tokens"),
        _clip("states", CONTEXT, "text", "none", "text_states"),
        _clip("pooled", 1, "image", "cls", "image_pooled"),
        _clip("pooled-text", 1, "text", "pooled", "text_pooled"),
        _vae("latent", 16),
        _vae("latent-small", 8),
    ]
