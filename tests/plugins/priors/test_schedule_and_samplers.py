"""The noise schedule's constants, and samplers on a mixture whose exact answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from bdk_priors.configs import DiffusionConfig, UnetConfig
from bdk_priors.samplers import ddpm, dpm, sample
from bdk_priors.schedule import NoiseSchedule, cosine_betas
from pydantic import ValidationError
from torch import Tensor

SCHEDULE = NoiseSchedule(100)
SPREAD, MODES, DIM = 0.1, 8, 16


def test_the_schedule_has_the_published_constants():
    betas = cosine_betas(100)
    kept = torch.cumprod(1 - betas, 0)
    for level, expected in {0: 6.3128e-4, 50: 0.0315463, 98: 0.749939, 99: 0.999}.items():
        assert math.isclose(betas[level].item(), expected, rel_tol=1e-4)
    for level, expected in {0: 0.9993687, 10: 0.9667167, 50: 0.4782646, 99: 2.43e-7}.items():
        assert math.isclose(kept[level].item(), expected, rel_tol=2e-3 if level == 99 else 1e-6)


def test_noise_is_added_and_taken_away_as_printed():
    clean, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    noisy = SCHEDULE.disturb(clean, noise, torch.tensor([10, 50]))
    for row, level in enumerate((10, 50)):
        kept = SCHEDULE.kept[level]
        torch.testing.assert_close(noisy[row], kept.sqrt() * clean[row] + (1 - kept).sqrt() * noise[row])
    level = 30
    beta, kept, before = SCHEDULE.betas[level], SCHEDULE.kept[level], SCHEDULE.kept[level - 1]
    mean = beta * before.sqrt() / (1 - kept) * clean + (1 - before) * (1 - beta).sqrt() / (1 - kept) * noisy
    expected = mean + (beta * (1 - before) / (1 - kept)).sqrt() * noise
    torch.testing.assert_close(SCHEDULE.step_back(clean, noisy, noise, level), expected, rtol=1e-4, atol=1e-5)


def mixture() -> Tensor:
    return torch.randn(MODES, DIM, generator=torch.Generator().manual_seed(0)) * math.sqrt(1 - SPREAD**2)


def exact(noisy: Tensor, level: float) -> Tensor:
    """Mean of the clean points of an equal mixture of Gaussians, given a noisy one."""
    kept, modes = SCHEDULE.kept[round(level)].double(), mixture().double()
    variance = kept * SPREAD**2 + 1 - kept
    away = noisy.double() - kept.sqrt() * modes  # R 1 D - M D
    share = (-away.square().sum(-1) / (2 * variance)).softmax(-1)
    return (share[..., None] * (modes + kept.sqrt() * SPREAD**2 / variance * away)).sum(1, keepdim=True).float()


def drawn(name: str, rows: int = 2000) -> tuple[Tensor, int]:
    generator, calls = torch.Generator().manual_seed(1), 0

    def predict(noisy: Tensor, level: float) -> Tensor:
        nonlocal calls
        calls += 1
        return exact(noisy, level)

    points = sample(name, predict, lambda: torch.randn(rows, 1, DIM, generator=generator), SCHEDULE)
    return points[:, 0], calls


def variance_ratio(points: Tensor) -> float:
    """Variance around the nearest mode, over the true one."""
    nearest = torch.cdist(points, mixture()).argmin(1)
    return (points - mixture()[nearest]).square().mean().item() / SPREAD**2


def test_the_few_step_sampler_keeps_the_variance_better_than_the_published_one_in_a_fifth_of_the_calls():
    published, calls = drawn("ddpm-100")
    few, few_calls = drawn("dpm-20")
    assert calls == 100 and few_calls == 20
    assert abs(1 - variance_ratio(few)) < abs(1 - variance_ratio(published))
    shares = torch.bincount(torch.cdist(few, mixture()).argmin(1), minlength=MODES) / len(few)
    assert shares.min() > 0.1


@pytest.mark.parametrize("steps", [2, 3, 7, 20, 100])
def test_the_few_step_sampler_takes_exactly_as_many_steps_as_asked(steps):
    points, calls = drawn(f"dpm-{steps}", rows=10)
    assert calls == steps and points.isfinite().all()


def test_samplers_give_back_what_a_network_is_sure_of():
    sure = torch.randn(3, 2, 4)
    generator = torch.Generator().manual_seed(0)

    def draw() -> Tensor:
        return torch.randn(3, 2, 4, generator=generator)

    torch.testing.assert_close(ddpm(lambda x, level: sure, draw, SCHEDULE), sure)
    torch.testing.assert_close(dpm(lambda x, level: sure, draw, SCHEDULE, 10), sure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "ddim-20"}, "'ddim-20' is unknown"),
        ({"sampler": "ddpm-50"}, "write 'ddpm-100'"),
        ({"sampler": "dpm-200"}, "2 to 100 steps"),
        ({"sampler": "dpm-20", "timesteps": 10}, "2 to 10 steps"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        DiffusionConfig(**options)


def test_the_published_recipe_is_the_default():
    assert DiffusionConfig().sampler == UnetConfig().sampler == "ddpm-100"
