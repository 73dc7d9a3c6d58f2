"""Ways from noise to clean tokens, given a network that predicts the clean ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from bdk_priors.schedule import NoiseSchedule

Predict = Callable[[Float[Tensor, "R T D"], float], Float[Tensor, "R T D"]]
"""Clean tokens from noisy ones at a noise level."""
Draw = Callable[[], Float[Tensor, "R T D"]]
"""Fresh standard normal noise."""


def sample(name: str, predict: Predict, draw: Draw, schedule: NoiseSchedule) -> Float[Tensor, "R T D"]:
    """Run the sampler ``ddpm-N`` or ``dpm-N``, see `bdk_priors.configs.DiffusionOptions`."""
    kind, _, steps = name.partition("-")
    return ddpm(predict, draw, schedule) if kind == "ddpm" else dpm(predict, draw, schedule, int(steps))


def ddpm(predict: Predict, draw: Draw, schedule: NoiseSchedule) -> Float[Tensor, "R T D"]:
    """Ancestral sampling over all levels (Ho et al. 2020), one network call each; nothing is clamped."""
    noisy = draw()
    for level in reversed(range(schedule.timesteps)):
        clean = predict(noisy, level)
        noisy = schedule.step_back(clean, noisy, draw() if level else None, level)
    return noisy


def dpm(predict: Predict, draw: Draw, schedule: NoiseSchedule, steps: int) -> Float[Tensor, "R T D"]:
    """DPM-Solver++(2M) of diffusers, deterministic after the first draw, at levels even in log signal-to-noise."""
    from diffusers import DPMSolverMultistepScheduler

    solver: Any = DPMSolverMultistepScheduler(
        num_train_timesteps=schedule.timesteps,
        trained_betas=schedule.betas.double().cpu().numpy(),
        prediction_type="sample",
        algorithm_type="dpmsolver++",
        solver_order=2,
        use_lu_lambdas=True,
        final_sigmas_type="zero",
    )
    noisy = draw()
    solver.set_timesteps(steps, device=noisy.device)
    solver.set_begin_index(0)  # levels are rounded and may repeat; without this a repeated first one is skipped
    for level in solver.timesteps:
        noisy = solver.step(predict(noisy, float(level)), level, noisy).prev_sample
    return noisy
