"""`ridge`: one linear map per token, in closed form."""

from __future__ import annotations

import torch
from bdk.checks import require_tokens
from bdk.contexts import EncoderContext
from bdk.errors import ComponentError, NotFittedError
from bdk.interfaces import Encoded
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bdk_encoders.configs import RidgeConfig
from bdk_encoders.ridge_solver import RidgeSolver
from bdk_encoders.roi import Voxels


class Ridge(nn.Module):
    """Ridge regression from voxels to every number of every token, with one penalty per token.

    Source: Brain-Diffuser (Ozcelik and VanRullen 2023), which solves 257 + 77 separate problems; Takagi and
    Nishimoto 2023. All tokens have the same voxels, so one factorisation serves them all; the solution is the same.
    The penalty is on the weights, not on the intercept.

    The solution lives in buffers whose shapes follow from the context: ``state_dict`` saves it, strict loading
    restores it.
    """

    is_fitted: Tensor
    center: Tensor
    spread: Tensor
    weight: Tensor
    intercept: Tensor
    alpha: Tensor
    target_mean: Tensor
    target_deviation: Tensor
    predicted_mean: Tensor
    predicted_deviation: Tensor

    def __init__(self, config: RidgeConfig, context: EncoderContext) -> None:
        super().__init__()
        self.config, self.space, self.where = config, context.space, "encoder 'ridge'"
        self.voxels = Voxels(config, context, self.where)
        voxels, tokens, dim = self.voxels.count, context.space.tokens, context.space.dim
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))
        self.register_buffer("center", torch.zeros(voxels))
        self.register_buffer("spread", torch.ones(voxels))
        self.register_buffer("weight", torch.zeros(voxels, tokens, dim))
        self.register_buffer("intercept", torch.zeros(tokens, dim))
        self.register_buffer("alpha", torch.zeros(tokens))
        for name in ("target_mean", "target_deviation", "predicted_mean", "predicted_deviation"):
            self.register_buffer(name, torch.zeros(tokens, dim))

    @property
    def is_transductive(self) -> bool:
        """Whether a prediction depends on the stimuli that are predicted with it."""
        return self.config.renorm == "test_set"

    @torch.no_grad()
    def solve(self, betas: Float[Tensor, "B V"], targets: Float[Tensor, "B T D"]) -> None:
        """Choose each token's penalty and solve for its weights.

        Args:
            betas: training stimuli, at least twice as many as folds.
            targets: their true tokens.

        Raises:
            ComponentError: betas or targets that do not fit the context or each other, or too few stimuli.
        """
        chosen = self.voxels(betas)
        require_tokens(targets, self.space, "The target", where=self.where)
        self._require_pairs(len(betas), len(targets))
        center, spread = _standardisation(chosen, self.config.standardize)
        solver = RidgeSolver((chosen - center) / spread, self.config.alphas, self.config.folds)
        mean = targets.mean(0)
        alpha = torch.empty(self.space.tokens, dtype=torch.float64)
        for token in range(self.space.tokens):
            alpha[token], self.weight[:, token] = solver.solve(targets[:, token] - mean[token])
        for name, value in {"center": center, "spread": spread, "intercept": mean, "alpha": alpha}.items():
            getattr(self, name).copy_(value)
        self.is_fitted.fill_(True)
        self._remember_spread(chosen, targets)

    def forward(self, betas: Float[Tensor, "B V"]) -> Encoded:
        """Tokens; what the contrastive loss scores is the same.

        Raises:
            NotFittedError: before `solve` or loading.
            ComponentError: betas of another voxel count, numbers that are not finite, or one stimulus alone with
                ``renorm = "test_set"``.
        """
        if not self.is_fitted.is_meta and not bool(self.is_fitted):
            raise NotFittedError("It was not fitted.", where=self.where, mend="Call solve(betas, targets) first.")
        tokens = self._renorm(self._predict(self.voxels(betas)))
        return Encoded(tokens, tokens)

    def _predict(self, chosen: Float[Tensor, "B V"]) -> Float[Tensor, "B T D"]:
        standard = (chosen - self.center) / self.spread
        return (standard @ self.weight.flatten(1)).unflatten(1, self.intercept.shape) + self.intercept

    def _remember_spread(self, chosen: Tensor, targets: Tensor) -> None:
        predicted = self._predict(chosen)
        self.target_mean.copy_(targets.mean(0))
        self.target_deviation.copy_(targets.std(0, correction=0))
        self.predicted_mean.copy_(predicted.mean(0))
        self.predicted_deviation.copy_(predicted.std(0, correction=0))

    def _renorm(self, predicted: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """(y - mean) / deviation, then the training targets' deviation and mean; see `RidgeConfig.renorm`."""
        if self.config.renorm == "none":
            return predicted
        mean, deviation = self.predicted_mean, self.predicted_deviation
        if self.config.renorm == "test_set":
            if len(predicted) < 2:
                raise ComponentError(
                    "One stimulus alone has no spread to be renormed by.",
                    where=f"{self.where}: renorm",
                    mend='Predict the whole test set at once, or set renorm = "train_pred".',
                )
            mean, deviation = predicted.mean(0), predicted.std(0, correction=0)
        flat = deviation <= 1e-12
        return (predicted - mean) / deviation.masked_fill(flat, 1.0) * self.target_deviation + self.target_mean

    def _require_pairs(self, stimuli: int, targets: int) -> None:
        if stimuli != targets:
            raise ComponentError(
                f"{stimuli} rows of betas came with {targets} targets.", where=self.where, mend="Give one per stimulus."
            )
        if stimuli < 2 * self.config.folds and len(self.config.alphas) > 1:
            raise ComponentError(
                f"{stimuli} stimuli are too few for {self.config.folds} folds.",
                where=f"{self.where}: folds",
                mend="Give more stimuli, fewer folds, or a single alpha.",
            )


def _standardisation(chosen: Float[Tensor, "B V"], wanted: bool) -> tuple[Float[Tensor, "V"], Float[Tensor, "V"]]:
    """Mean and deviation (ddof 1) of each voxel; deviation 1 for a voxel that never varies, or if not wanted."""
    center = chosen.mean(0)
    if not wanted or len(chosen) < 2:
        return center, torch.ones_like(center)
    spread = chosen.std(0)
    constant: Bool[Tensor, V] = spread <= 1e-6 * chosen.abs().amax(0).clamp(min=1e-30)
    return center, spread.masked_fill(constant, torch.inf)
