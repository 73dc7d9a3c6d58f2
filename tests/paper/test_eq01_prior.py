"""Eq. 1 and 2: a diffusion prior gives back clean tokens from noisy ones; the paper's network attends to the brain."""

from __future__ import annotations

import math

import torch
from bdk.contexts import PriorContext
from bdk.spaces import Space
from bdk_priors.configs import DiffusionConfig
from bdk_priors.diffusion import Diffusion
from bdk_priors.unet import CrossAttention

SPACE = Space("tiny", 3, 8, "image", "cls")


def kept_signal(level: int, timesteps: int) -> float:
    """abar of the cosine schedule, one factor after the other, in float64."""

    def f(t: int) -> float:
        return math.cos((t / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    product = 1.0
    for t in range(level + 1):
        product *= 1 - min(1 - f(t + 1) / f(t), 0.999)
    return product


def test_equation_1_the_loss_is_the_error_of_the_clean_tokens_predicted_from_noisy_ones():
    torch.manual_seed(0)
    prior = Diffusion(DiffusionConfig(depth=1, heads=2, dim_head=4, cond_drop=0.0), PriorContext(SPACE)).double()
    target, condition = torch.randn(4, 3, 8).double(), torch.randn(4, 3, 8).double()
    loss = prior.loss(target, condition, torch.Generator().manual_seed(7))

    generator = torch.Generator().manual_seed(7)
    levels = torch.randint(100, (4,), generator=generator)
    noise = torch.randn(4, 3, 8, generator=generator).double()
    total = 0.0
    for row in range(4):
        kept = kept_signal(int(levels[row]), 100)
        clean = target[row] * math.sqrt(8)
        noisy = math.sqrt(kept) * clean + math.sqrt(1 - kept) * noise[row]
        predicted = prior.network(noisy[None], levels[row : row + 1], condition[row : row + 1])[0].detach()
        for t in range(3):
            for d in range(8):
                total += float(predicted[t, d] - clean[t, d]) ** 2
        torch.testing.assert_close(loss.prediction[row].detach(), predicted / math.sqrt(8), rtol=1e-5, atol=1e-6)
    assert math.isclose(loss.loss.item(), total / (4 * 3 * 8), rel_tol=1e-5)


def test_equation_2_the_unet_takes_queries_from_the_noisy_tokens_and_keys_and_values_from_the_condition():
    torch.manual_seed(0)
    attention = CrossAttention(channels=8, dim=6, heads=2).double()
    x, condition = torch.randn(2, 3, 8).double(), torch.randn(2, 5, 6).double()
    found = attention(x, condition)
    normed = attention.norm(x)
    for row in range(2):
        mixed = torch.zeros(3, 8).double()
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            for t in range(3):
                query = (attention.query.weight @ normed[row, t])[part]
                logits = [
                    (query @ (attention.key.weight @ condition[row, s])[part]).item() / math.sqrt(4) for s in range(5)
                ]
                total = sum(math.exp(logit) for logit in logits)
                for s in range(5):
                    value = (attention.value.weight @ condition[row, s])[part]
                    mixed[t, part] += math.exp(logits[s]) / total * value
        expected = mixed @ attention.out.weight.T + attention.out.bias
        torch.testing.assert_close(found[row], expected, rtol=1e-9, atol=1e-9)
