"""Scores of the demo world's networks on held-out scenes, and the thresholds that shipped weights must pass."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk.demo.captions import captions
from bdk.demo.clip import TinyClip, as_pictures
from bdk.demo.dataset import checking_scenes, render_all
from bdk.demo.scenes import Scene
from bdk.demo.vae import DemoVae

if TYPE_CHECKING:
    from bdk.demo.unet import DemoDiffusion

THRESHOLDS: dict[str, dict[str, float]] = {
    "clip": {"top1_of_300": 0.70},
    "vae": {"psnr_db": 26.0},
    "unet": {"two_way": 0.995, "top1_of_96": 0.90, "pixcorr": 0.92},
}
"""Least held-out score of every shipped network."""


@lru_cache(maxsize=2)
def held_out(n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pictures [n, 64, 64, 3] and fullest captions of held-out scenes with distinct captions."""
    chosen: list[Scene] = []
    texts: list[str] = []
    for scene in checking_scenes(2 * n):
        text = captions(scene, 1)[0]
        if text not in texts and len(texts) < n:
            chosen.append(scene)
            texts.append(text)
    return render_all(chosen), tuple(texts)


def clip_scores(clip: TinyClip, n: int = 300) -> dict[str, float]:
    """Share of held-out pictures whose own fullest caption is nearest, and among the nearest five."""
    pictures, texts = held_out(n)
    likeness = clip.image_embedding(pictures) @ clip.text_embedding(list(texts)).T
    rank = (likeness > likeness.diagonal()[:, None]).sum(dim=1)
    return {f"top1_of_{n}": float((rank < 1).float().mean()), f"top5_of_{n}": float((rank < 5).float().mean())}


def vae_scores(vae: DemoVae, n: int = 300) -> dict[str, float]:
    """Peak signal-to-noise ratio (dB, of the mean squared error) and pixel correlation of reconstructions."""
    pictures, _ = held_out(n)
    truth = as_pictures(pictures)
    drawn = vae.decode(vae.encode(pictures))
    return {"psnr_db": psnr(drawn, truth), "pixcorr": pixcorr(drawn, truth)}


def decoder_scores(
    diffusion: DemoDiffusion, clip: TinyClip, vae: DemoVae, n: int = 96, steps: int = 20, seed: int = 0
) -> dict[str, float]:
    """Likeness of pictures decoded from the true tokens of held-out scenes, one sample each.

    Two-way and top-1 compare tiny-CLIP embeddings of decoded and true pictures; pixcorr and psnr_db compare pixels.
    """
    pictures, texts = held_out(n)
    generator = torch.Generator().manual_seed(seed)
    latents = diffusion.sample(clip.image_tokens(pictures), clip.text_tokens(list(texts)), 1, generator, steps)
    drawn, truth = vae.decode(latents), as_pictures(pictures)
    seen, meant = clip.image_embedding(drawn), clip.image_embedding(truth)
    scores = {"two_way": two_way(seen, meant), f"top1_of_{n}": top1(seen, meant)}
    return scores | {"pixcorr": pixcorr(drawn, truth), "psnr_db": psnr(drawn, truth)}


def shortfalls(weights_dir: Path | str | None = None) -> dict[str, str]:
    """Held-out scores that shipped weights miss, with what was reached and wanted; empty when all is well."""
    from bdk.demo.unet import DemoDiffusion

    clip, vae = TinyClip.load(weights_dir), DemoVae.load(weights_dir)
    decoder = decoder_scores(DemoDiffusion.load(weights_dir), clip, vae)
    scores = {"clip": clip_scores(clip), "vae": vae_scores(vae), "unet": decoder}
    return {
        f"{network} {name}": f"{scores[network][name]:.4f} < {least}"
        for network, wanted in THRESHOLDS.items()
        for name, least in wanted.items()
        if scores[network][name] < least
    }


def psnr(drawn: Float[Tensor, "B 3 H W"], truth: Float[Tensor, "B 3 H W"]) -> float:
    """Mean over pictures of 10 log10(1 / mse), in dB; pixels in 0..1."""
    return float((-10 * (drawn - truth).square().flatten(1).mean(1).log10()).mean())


def pixcorr(drawn: Float[Tensor, "B 3 H W"], truth: Float[Tensor, "B 3 H W"]) -> float:
    """Mean over pictures of the correlation of their pixels."""
    a, b = (F.normalize(x.flatten(1) - x.flatten(1).mean(1, keepdim=True), dim=1) for x in (drawn, truth))
    return float((a * b).sum(1).mean())


def two_way(drawn: Float[Tensor, "B D"], truth: Float[Tensor, "B D"]) -> float:
    """Share of (picture, other picture) pairs in which the drawn one is nearer to its own original (MindEye)."""
    likeness = torch.corrcoef(torch.cat([truth, drawn]))[: len(truth), len(truth) :]
    beaten = (likeness < likeness.diagonal()).float().sum(dim=0)
    return float((beaten / (len(truth) - 1)).mean())


def top1(drawn: Float[Tensor, "B D"], truth: Float[Tensor, "B D"]) -> float:
    """Share of drawn pictures whose own original is the nearest of all."""
    return float(((drawn @ truth.T).argmax(1) == torch.arange(len(truth))).float().mean())
