"""Eq. 12: what stage II minimises."""

from __future__ import annotations

import math

import torch
from bdk.objectives import Stage2Objective, stage2_loss


class _Shift:
    """A fusion whose refined tokens are the estimate plus a tenth of the first neighbour."""

    def __call__(self, estimate, neighbours, present):
        return estimate + 0.1 * neighbours[:, 0]


def test_equation_12_weighs_info_nce_and_the_error_of_the_refined_tokens():
    generator = torch.Generator().manual_seed(0)
    estimate, target = (torch.randn(4, 2, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    neighbours = torch.randn(4, 2, 2, 3, generator=generator, dtype=torch.float64)
    present = torch.ones(4, 2, dtype=torch.bool)
    parts = stage2_loss(
        Stage2Objective(tau=0.5), _Shift(), estimate, neighbours, present, target, torch.Generator().manual_seed(1)
    )
    refined = (estimate + 0.1 * neighbours[:, 0]).flatten(1).tolist()
    wanted = target.flatten(1).tolist()

    def unit(row: list[float]) -> list[float]:
        norm = math.sqrt(sum(v * v for v in row))
        return [v / norm for v in row]

    nce = error = 0.0
    for i in range(4):
        scores = [sum(a * b for a, b in zip(unit(refined[i]), unit(c), strict=True)) / 0.5 for c in wanted]
        nce -= (scores[i] - math.log(sum(math.exp(s) for s in scores))) / 4
        error += sum((a - b) ** 2 for a, b in zip(refined[i], wanted[i], strict=True)) / (4 * 6)
    assert math.isclose(parts["loss"].item(), 0.2 * nce + 0.8 * error, rel_tol=1e-9)


def test_the_error_can_be_weighed_up_to_the_scale_of_the_contrast():
    estimate, target = torch.randn(3, 2, 3), torch.randn(3, 2, 3)
    arguments = (_Shift(), estimate, torch.zeros(3, 1, 2, 3), torch.ones(3, 1, dtype=torch.bool), target)
    plain = stage2_loss(Stage2Objective(gamma=0.0), *arguments, torch.Generator())
    scaled = stage2_loss(Stage2Objective(gamma=0.0, mse_scale=768), *arguments, torch.Generator())
    assert math.isclose(scaled["loss"].item(), 768 * plain["loss"].item(), rel_tol=1e-5)
