"""Tokens as a brain would give them: what a decoder must take, drawn from statistics of the tokens alone.

No brain is simulated here. Under a Gaussian model of the tokens, the best guess from a noisy look at them keeps each
principal component by its share of signal, ``r = variance / (variance + noise)``: large components nearly whole, small
ones hardly. Linear decoding of betas fails in just that way, and so does every estimate trained for squared error.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LEVELS = (0.003, 0.6)
"""Least and greatest variance of the look's noise per component, in squared token lengths; drawn log-uniformly."""
_SURE, _SAMPLED = 0.3, 0.2
"""Share of rows that stay as they are, and share that get back what they lost as a random draw, as a prior would."""
_SPILL = 0.15
"""Greatest noise in every component, share of its variance: errors of an estimate do not keep to its signal."""


@dataclass(frozen=True)
class Doubt:
    """The Gaussian model of one guide's tokens.

    Attributes:
        mean: of the flattened tokens, P numbers.
        axes: principal axes, one row each.
        variances: of the tokens along them, descending.
    """

    mean: Float[Tensor, " P"]
    axes: Float[Tensor, "C P"]
    variances: Float[Tensor, " C"]

    @classmethod
    def of(cls, tokens: Float[Tensor, "N T D"], components: int = 512) -> Doubt:
        """Learn the model; N above ``components``."""
        flat = tokens.flatten(1).float()
        mean = flat.mean(0)
        values, left = torch.linalg.eigh((flat - mean) @ (flat - mean).T)
        values, left = values.flip(0)[:components], left.flip(1)[:, :components]
        axes = (left.T @ (flat - mean)) / values.clamp(min=1e-12).sqrt()[:, None]
        return cls(mean, axes, values / len(flat))

    def cast(self, tokens: Float[Tensor, "B T D"], generator: torch.Generator) -> Float[Tensor, "B T D"]:
        """The same tokens, each row guessed from a look through noise of its own level; some stay as they are."""
        rows = len(tokens)
        flat = tokens.flatten(1)
        known = (flat - self.mean) @ self.axes.T
        level = _log_uniform(rows, generator)
        kept = self.variances / (self.variances + level)
        spill = torch.rand((rows, 1), generator=generator) * _SPILL
        sampled = torch.rand((rows, 1), generator=generator) < _SAMPLED
        spread = (kept * (1 - kept) + spill + sampled * (1 - kept)) * self.variances
        guess = kept * known + torch.randn(known.shape, generator=generator) * spread.sqrt()
        sure = torch.rand((rows, 1), generator=generator) < _SURE
        return torch.where(sure, flat, self.mean + guess @ self.axes).view_as(tokens)


def _log_uniform(rows: int, generator: torch.Generator) -> Float[Tensor, "rows 1"]:
    low, high = torch.tensor(LEVELS).log()
    return (low + (high - low) * torch.rand((rows, 1), generator=generator)).exp()
