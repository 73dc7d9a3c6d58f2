"""The loop that every diffusion decoder here shares: noise in, clean latents out, guidance in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Predict = Callable[[Float[Tensor, "N C h w"], Tensor], Float[Tensor, "N C h w"]]


def steps_to_run(steps: int, strength: float) -> int:
    """How many of the last steps an img2img start runs: ``int(steps * strength)``; .85 of 20 is 17."""
    return min(int(steps * strength + 1e-9), steps)


def sample(
    predict: Predict,
    scheduler: Any,
    noise: Float[Tensor, "N C h w"],
    *,
    steps: int,
    start: Float[Tensor, "N C h w"] | None = None,
    strength: float = 1.0,
) -> Float[Tensor, "N C h w"]:
    """Denoise from pure noise, or from noised latents.

    Args:
        predict: what the network says of noisy latents at a timestep, guidance included.
        scheduler: a diffusers scheduler of its own for this call; deterministic ones (DDIM with eta 0, UniPC).
        noise: standard normal numbers, one set per picture.
        steps: steps of the whole schedule.
        start: clean latents to begin from, or None.
        strength: share of the schedule that is run from ``start``: 0 returns it, 1 ignores it.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    run = steps if start is None else steps_to_run(steps, strength)
    if run == 0:
        return start.clone() if start is not None else noise
    first = (steps - run) * scheduler.order
    times = scheduler.timesteps[first:]
    if first and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    if start is None or run == steps:
        latents = noise * scheduler.init_noise_sigma
    else:
        latents = scheduler.add_noise(start, noise, times[:1].expand(len(noise)))
    for time in times:
        output = predict(scheduler.scale_model_input(latents, time), time)
        latents = scheduler.step(output, time, latents, return_dict=False)[0]
    return latents


def guided(
    network: Callable[..., Float[Tensor, "M C h w"]],
    condition: Sequence[Float[Tensor, "N ..."]],
    unconditional: Sequence[Float[Tensor, "N ..."]],
    guidance: float,
) -> Predict:
    """Classifier-free guidance: away from the unconditional prediction by ``guidance`` times the difference.

    At 1 the unconditional half is not computed.

    Args:
        network: called as ``network(latents, time, *condition)``.
        condition: what the pictures are steered by, one row a picture.
        unconditional: the same without the guides.
        guidance: scale, 0 or more.
    """
    both = [torch.cat(pair) for pair in zip(unconditional, condition, strict=True)]

    def predict(latents: Float[Tensor, "N C h w"], time: Tensor) -> Float[Tensor, "N C h w"]:
        if guidance == 1.0:
            return network(latents, time, *condition)
        without, with_guides = network(torch.cat([latents, latents]), time, *both).chunk(2)
        return without + guidance * (with_guides - without)

    return predict
