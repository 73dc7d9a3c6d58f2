"""How MindEye's and BrainRAM's checkpoints name the weights of the prior, and what else they hold."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from bdk_priors.schedule import cosine_betas

_TRANSFORMER = "net.causal_transformer."
_NAMES = (
    (r"null_condition", "net.null_brain_embeds"),
    (r"null_noisy", "net.null_image_embed"),
    (r"network\.positions", "net.learned_query"),
    (r"network\.time\.mlp\.0\.", "net.to_time_embeds.0.1.net.0.0."),
    (r"network\.time\.mlp\.2\.", "net.to_time_embeds.0.1.net.1.0."),
    (r"network\.time\.mlp\.4\.", "net.to_time_embeds.0.1.net.2."),
    (r"network\.bias\.values\.", _TRANSFORMER + "rel_pos_bias.relative_attention_bias."),
    (r"network\.layers\.(\d+)\.attention\.norm\.gain", _TRANSFORMER + r"layers.\1.0.norm.g"),
    (r"network\.layers\.(\d+)\.attention\.null", _TRANSFORMER + r"layers.\1.0.null_kv"),
    (r"network\.layers\.(\d+)\.attention\.query\.", _TRANSFORMER + r"layers.\1.0.to_q."),
    (r"network\.layers\.(\d+)\.attention\.key_value\.", _TRANSFORMER + r"layers.\1.0.to_kv."),
    (r"network\.layers\.(\d+)\.attention\.out\.", _TRANSFORMER + r"layers.\1.0.to_out.0."),
    (r"network\.layers\.(\d+)\.attention\.out_norm\.gain", _TRANSFORMER + r"layers.\1.0.to_out.1.g"),
    (r"network\.layers\.(\d+)\.feed_forward\.0\.gain", _TRANSFORMER + r"layers.\1.1.0.g"),
    (r"network\.layers\.(\d+)\.feed_forward\.1\.", _TRANSFORMER + r"layers.\1.1.1."),
    (r"network\.layers\.(\d+)\.feed_forward\.3\.", _TRANSFORMER + r"layers.\1.1.5."),
    (r"network\.norm\.gain", _TRANSFORMER + "norm.g"),
    (r"network\.project\.", _TRANSFORMER + "project_out."),
)


def published_name(ours: str) -> str:
    """Their name of one of our weights."""
    for pattern, theirs in _NAMES:
        if found := re.match(pattern, ours):
            return found.expand(theirs) + ours[found.end() :]
    raise KeyError(ours)


def published_constants(timesteps: int, depth: int, rotated: int) -> dict[str, Tensor]:
    """Numbers that their files hold and that follow from the options: the noise schedule, the rotary frequencies."""
    betas = cosine_betas(timesteps)
    kept = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1, dtype=kept.dtype), kept[:-1]])
    variance = betas * (1 - before) / (1 - kept)
    schedule = {
        "betas": betas,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": kept.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - kept).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - kept).log(),
        "sqrt_recip_alphas_cumprod": (1 / kept).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - kept),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - kept),
        "p2_loss_weight": torch.ones_like(betas),
    }
    frequencies = 10000.0 ** -(torch.arange(0, rotated, 2) / rotated)
    rotary = {f"{_TRANSFORMER}layers.{layer}.0.rotary_emb.freqs": frequencies for layer in range(depth)}
    return {f"noise_scheduler.{name}": value.float() for name, value in schedule.items()} | rotary
