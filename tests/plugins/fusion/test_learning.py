"""On data whose neighbours are known to help, stage II learns to use them."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import FusionContext
from bdk.objectives import Stage2Objective, stage2_loss
from bdk.spaces import Space
from bdk_fusion.configs import Conv1x1Config, CrossAttentionConfig, RamConfig, SelfAttentionConfig
from bdk_fusion.conv1x1 import Conv1x1
from bdk_fusion.cross_attention import CrossAttention
from bdk_fusion.ram import Ram
from bdk_fusion.self_attention import SelfAttention

K, SPACE = 3, Space("tiny", 4, 8, "image")


def planted(rows: int, seed: int):
    """A truth, an estimate with noise of its own size, neighbours with less, the first one the nearest."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(rows, 4, 8, generator=generator)
    estimate = truth + torch.randn(rows, 4, 8, generator=generator)
    spread = torch.tensor([0.3, 0.6, 1.2])[:, None, None]
    neighbours = truth[:, None] + spread * torch.randn(rows, K, 4, 8, generator=generator)
    return estimate, neighbours, torch.rand(rows, K, generator=generator) < 0.9, truth


def gain(kind, config) -> float:
    """Error of the refined tokens over that of the estimate, on stimuli not trained on."""
    torch.manual_seed(0)
    fusion = kind(config, FusionContext(SPACE, K))
    optimiser = torch.optim.Adam(fusion.parameters(), 2e-2)
    for step in range(60):
        estimate, neighbours, present, truth = planted(32, step)
        generator = torch.Generator().manual_seed(step)
        loss = stage2_loss(Stage2Objective(tau=0.1), fusion, estimate, neighbours, present, truth, generator)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    estimate, neighbours, present, truth = planted(256, 10_000)
    with torch.no_grad():
        refined = fusion(estimate, neighbours, present)
    return float((refined - truth).square().mean() / (estimate - truth).square().mean())


@pytest.mark.parametrize(
    ("kind", "config"),
    [(CrossAttention, CrossAttentionConfig(heads=2)), (Ram, RamConfig(heads=2, squeeze=2))],
    ids=["cross-attention", "ram"],
)
def test_trained_modules_beat_the_estimate_on_new_stimuli(kind, config):
    assert gain(kind, config) < 0.95


def test_a_module_that_sees_aligned_neighbours_beats_the_control_that_does_not():
    control = gain(SelfAttention, SelfAttentionConfig(heads=2))
    assert gain(Conv1x1, Conv1x1Config()) < 0.8 * control
