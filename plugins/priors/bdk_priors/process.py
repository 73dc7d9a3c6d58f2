"""Training and sampling shared by the diffusion priors; the network is the subclass's."""

from __future__ import annotations

import torch
from bdk.checks import require_tokens
from bdk.contexts import PriorContext
from bdk.errors import ComponentError
from bdk.interfaces import PriorLoss
from bdk.objectives.randomness import restarted
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_priors.configs import DiffusionOptions
from bdk_priors.samplers import sample
from bdk_priors.schedule import NoiseSchedule


class DiffusionProcess(nn.Module):
    """A diffusion prior whose network predicts the clean tokens (x0).

    Source: dalle2-pytorch's ``DiffusionPrior`` as MindEye (commit 6b30ea5) sets it up. Targets are multiplied by
    sqrt(D), which brings unit-length tokens to about unit variance per number; the loss is the plain mean squared
    error in that scale. Samples are divided by sqrt(D), and, in a space scaled by token 0, by the norm of their
    token 0.

    Args:
        config: noise levels, drops and sampler.
        context: the space to sample in.
        network: ``(noisy B T D, level B, condition B T D) -> clean B T D``.
        where: the component's name, for messages.
    """

    def __init__(self, config: DiffusionOptions, context: PriorContext, network: nn.Module, where: str) -> None:
        super().__init__()
        self.config, self.space, self.where = config, context.space, where
        self.scale = context.space.dim**0.5
        self.schedule = NoiseSchedule(config.timesteps)
        self.network = network
        self.null_condition = nn.Parameter(torch.randn(self.space.tokens, self.space.dim))
        self.null_noisy = nn.Parameter(torch.randn(self.space.tokens, self.space.dim))

    def loss(
        self, target: Float[Tensor, "B T D"], condition: Float[Tensor, "B T D"], generator: torch.Generator
    ) -> PriorLoss:
        """Squared error of the clean tokens predicted at a random noise level.

        Args:
            target: true tokens, in the space's scale.
            condition: the encoder's tokens.
            generator: draws the levels, the noise and what is dropped.

        Returns:
            The mean squared error in the prior's own scale (sqrt(D) times the space's), and the predicted clean
            tokens in the space's scale.

        Raises:
            ComponentError: tokens of another space, or numbers that are not finite.
        """
        require_tokens(target, self.space, "The target", where=self.where)
        self._require_condition(condition, target)
        rows = len(target)
        level = torch.randint(self.config.timesteps, (rows,), generator=generator).to(target.device)
        clean = target * self.scale
        noisy = self.schedule.disturb(clean, self._noise(rows, generator, target), level)
        keep_condition, keep_noisy = (self._keep(rows, generator, target.device) for _ in range(2))
        predicted = self._predict(noisy, level, condition, keep_condition, keep_noisy)
        return PriorLoss(F.mse_loss(predicted, clean), predicted / self.scale)

    @torch.no_grad()
    def sample(self, condition: Float[Tensor, "B T D"], n: int, generator: torch.Generator) -> Float[Tensor, "B S T D"]:
        """Draw ``n`` samples for each stimulus, in the space's scale.

        Raises:
            ComponentError: a condition of another space, or numbers that are not finite.
        """
        self._require_condition(condition)
        condition = condition.to(torch.promote_types(condition.dtype, torch.float32))  # steps add up: never in half
        rows = len(condition)
        repeated = condition.repeat_interleave(n, 0)
        shared = self.config.noise == "shared"
        source = restarted(generator) if shared else generator

        def draw() -> Tensor:
            noise = self._noise(n if shared else rows * n, source, condition)
            return noise.repeat(rows, 1, 1) if shared else noise

        def predict(noisy: Tensor, level: float) -> Tensor:
            return self._guided(noisy, torch.full((rows * n,), level, device=noisy.device), repeated)

        clean = sample(self.config.sampler, predict, draw, self.schedule) / self.scale
        return self._renorm(clean).unflatten(0, (rows, n))

    def _predict(
        self, noisy: Tensor, level: Tensor, condition: Tensor, keep_condition: Tensor, keep_noisy: Tensor
    ) -> Float[Tensor, "B T D"]:
        condition = torch.where(keep_condition, condition, self.null_condition.to(condition.dtype))
        noisy = torch.where(keep_noisy, noisy, self.null_noisy.to(noisy.dtype))
        return self.network(noisy, level, condition)

    def _guided(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Float[Tensor, "B T D"]:
        """Classifier-free guidance; the unguided prediction knows neither condition nor noisy tokens, as published."""
        conditioned = self.network(noisy, level, condition)
        if self.config.guidance == 1.0:
            return conditioned
        none = torch.zeros(len(noisy), 1, 1, dtype=torch.bool, device=noisy.device)
        free = self._predict(noisy, level, condition, none, none)
        return free + self.config.guidance * (conditioned - free)

    def _noise(self, rows: int, generator: torch.Generator, like: Tensor) -> Float[Tensor, "rows T D"]:
        noise = torch.randn(rows, self.space.tokens, self.space.dim, generator=generator, device=generator.device)
        return noise.to(like)

    def _keep(self, rows: int, generator: torch.Generator, device: torch.device) -> Bool[Tensor, "B 1 1"]:
        chance = torch.rand(rows, generator=generator, device=generator.device)
        return (chance >= self.config.cond_drop).view(-1, 1, 1).to(device)

    def _renorm(self, tokens: Float[Tensor, "R T D"]) -> Float[Tensor, "R T D"]:
        if self.space.norm != "cls" and not self.config.release_text_norm:
            return tokens
        return tokens / (tokens[:, :1].norm(dim=-1, keepdim=True) + 1e-6)

    def _require_condition(self, condition: Tensor, target: Tensor | None = None) -> None:
        require_tokens(condition, self.space, "The condition", where=self.where)
        if target is not None and len(target) != len(condition):
            raise ComponentError(
                f"{len(target)} targets came with {len(condition)} conditions.",
                where=self.where,
                mend="Give one condition for each target.",
            )
