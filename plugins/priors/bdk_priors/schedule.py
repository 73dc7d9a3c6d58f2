"""The noise of the diffusion priors: how much at each level, and how to take it away."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def cosine_betas(timesteps: int, offset: float = 0.008) -> Float[Tensor, "levels"]:
    """Share of noise added at each level, in float64.

    Source: Nichol and Dhariwal 2021, eq. 17: abar(t) = cos^2((t/T + s) / (1 + s) pi/2) / abar(0), betas cut at .999.
    """
    time = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    kept = torch.cos((time + offset) / (1 + offset) * math.pi / 2) ** 2
    kept = kept / kept[0]
    return (1 - kept[1:] / kept[:-1]).clamp(0, 0.999)


class NoiseSchedule(nn.Module):
    """Variance-preserving noise with T levels; level 0 is nearly clean, level T-1 nearly pure noise.

    Computed in float64 and stored in float32, as in dalle2-pytorch. Holds no weights and no state.
    """

    betas: Tensor
    kept: Tensor
    signal: Tensor
    sigma: Tensor
    posterior_clean: Tensor
    posterior_noisy: Tensor
    posterior_deviation: Tensor

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        betas = cosine_betas(timesteps)
        kept = torch.cumprod(1 - betas, 0)
        before = torch.cat([torch.ones(1, dtype=kept.dtype), kept[:-1]])
        variance = betas * (1 - before) / (1 - kept)
        self.timesteps = timesteps
        self._constant("betas", betas)
        self._constant("kept", kept)  # abar
        self._constant("signal", kept.sqrt())
        self._constant("sigma", (1 - kept).sqrt())
        self._constant("posterior_clean", betas * before.sqrt() / (1 - kept))
        self._constant("posterior_noisy", (1 - before) * (1 - betas).sqrt() / (1 - kept))
        self._constant("posterior_deviation", (0.5 * variance.clamp(min=1e-20).log()).exp())

    def _constant(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values.float(), persistent=False)

    def disturb(
        self, clean: Float[Tensor, "B T D"], noise: Float[Tensor, "B T D"], level: Int[Tensor, "B"]
    ) -> Float[Tensor, "B T D"]:
        """Clean tokens with the noise of a level: sqrt(abar) x0 + sqrt(1 - abar) eps."""
        return self.signal[level, None, None] * clean + self.sigma[level, None, None] * noise

    def step_back(
        self, clean: Float[Tensor, "B T D"], noisy: Float[Tensor, "B T D"], noise: Tensor | None, level: int
    ) -> Float[Tensor, "B T D"]:
        """One ancestral DDPM step, given the predicted clean tokens; no noise is added at level 0."""
        mean = self.posterior_clean[level] * clean + self.posterior_noisy[level] * noisy
        return mean if noise is None else mean + self.posterior_deviation[level] * noise
