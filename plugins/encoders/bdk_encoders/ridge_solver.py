"""Many ridge regressions with the same inputs: one factorisation, exact cross-validation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


class RidgeSolver:
    """Factorises the inputs once; then solves for any targets and penalties.

    The eigendecomposition is of the smaller Gram matrix: samples x samples when voxels outnumber samples (the dual
    form), else voxels x voxels; in float64. Cross-validation needs no further factorisation: the residuals that a
    fold F would have if left out are (I - H_FF)^-1 r_F, with H the smoothing matrix, intercept included, and r the
    residuals of the full fit (exact for penalised least squares).

    himalaya's solvers, whose results these equal, choose a penalty per number or one for all, and factorise anew in
    every fold; a penalty per token (768 numbers) would have them factorise once per token and fold.

    Args:
        inputs: columns of mean zero.
        alphas: penalties to choose from.
        folds: contiguous folds of the cross-validation.
    """

    def __init__(self, inputs: Float[Tensor, "N V"], alphas: tuple[float, ...], folds: int) -> None:
        self.inputs, self.alphas = inputs.double(), alphas
        self.left, self.power = _left_vectors(self.inputs)
        self.folds = torch.arange(len(inputs), device=inputs.device).tensor_split(folds) if len(alphas) > 1 else ()
        self.unfold = {alpha: [self._leave_out(rows, alpha) for rows in self.folds] for alpha in alphas}

    def solve(self, targets: Float[Tensor, "N D"]) -> tuple[float, Float[Tensor, "V D"]]:
        """The best penalty for these targets (mean zero), and the weights at it."""
        targets = targets.double()
        projected = self.left.T @ targets  # R D
        alpha = min(self.alphas, key=lambda a: self._error(targets, projected, a)) if self.folds else self.alphas[0]
        return alpha, self.inputs.T @ (self.left @ (projected / (self.power + alpha)[:, None]))

    def _error(self, targets: Tensor, projected: Tensor, alpha: float) -> float:
        """Squared error of every stimulus, predicted from the folds that it is not in."""
        residual = targets - self.left @ (projected * (self.power / (self.power + alpha))[:, None])
        left_out = (inverse @ residual[rows] for rows, inverse in zip(self.folds, self.unfold[alpha], strict=True))
        return sum(float(errors.square().sum()) for errors in left_out)

    def _leave_out(self, rows: Tensor, alpha: float) -> Float[Tensor, "n n"]:
        left = self.left[rows]
        smoother = left * (self.power / (self.power + alpha)) @ left.T + 1 / len(self.left)
        return torch.linalg.inv(torch.eye(len(rows), dtype=smoother.dtype, device=smoother.device) - smoother)


def _left_vectors(inputs: Float[Tensor, "N V"]) -> tuple[Float[Tensor, "N R"], Float[Tensor, "R"]]:
    """Left singular vectors of the inputs and squared singular values, without the null space."""
    dual = inputs.shape[1] > inputs.shape[0]
    power, vectors = torch.linalg.eigh(inputs @ inputs.T if dual else inputs.T @ inputs)
    kept = power > power[-1].clamp(min=1e-300) * 1e-12
    power, vectors = power[kept], vectors[:, kept]
    return (vectors if dual else inputs @ vectors / power.sqrt()), power
