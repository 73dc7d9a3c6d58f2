"""Eq. 3, 5 and 6: what stage I minimises."""

from __future__ import annotations

import math

import pytest
import torch
from bdk.interfaces import Encoded, PriorLoss
from bdk.objectives import (
    Mix,
    Stage1Objective,
    bimixco,
    draw_mix,
    eq6,
    info_nce,
    mix_betas,
    mixco_nce,
    softclip,
    stage1_loss,
    unit_rows,
)
from torch import nn

TAU = 0.1


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return tuple(unit_rows(torch.randn(5, 2, 3, generator=generator, dtype=torch.float64)) for _ in range(2))


@pytest.fixture
def mix():
    return Mix(torch.tensor([1, 1, 4, 0, 2]), torch.tensor([0.25, 0.7, 1.0, 0.5, 0.9], dtype=torch.float64))


def log_odds(p: list[float], candidates: list[list[float]], chosen: int, tau: float) -> float:
    """log of exp(p.c/tau) over the sum of exp(p.c_j/tau)."""
    scores = [sum(a * b for a, b in zip(p, c, strict=True)) / tau for c in candidates]
    return scores[chosen] - math.log(sum(math.exp(score) for score in scores))


def unit(row: list[float]) -> list[float]:
    norm = math.sqrt(sum(v * v for v in row))
    return [v / norm for v in row]


def test_equation_3_is_info_nce_in_one_direction(pair):
    p, c = (rows.tolist() for rows in pair)
    expected = -sum(log_odds(p[i], c, i, TAU) for i in range(5)) / 5
    assert math.isclose(info_nce(*pair, TAU).item(), expected, rel_tol=1e-12)


def test_equation_5_scores_mixed_betas_against_both_targets(pair, mix):
    p, c = (rows.tolist() for rows in pair)
    expected = 0.0
    for i in range(5):
        share, partner = mix.share[i].item(), int(mix.partner[i])
        expected -= share * log_odds(p[i], c, i, TAU) + (1 - share) * log_odds(p[i], c, partner, TAU)
    assert math.isclose(mixco_nce(*pair, mix, TAU).item(), expected / 5, rel_tol=1e-12)


def test_bimixco_is_mixco_in_both_directions(pair, mix):
    p, c = (rows.tolist() for rows in pair)
    back = 0.0
    for i in range(5):
        for j in range(5):
            owed = (mix.share[j].item() if i == j else 0) + (1 - mix.share[j].item() if int(mix.partner[j]) == i else 0)
            back -= owed * log_odds(c[i], p, j, TAU)
    expected = (mixco_nce(*pair, mix, TAU).item() + back / 5) / 2
    assert math.isclose(bimixco(*pair, mix, TAU).item(), expected, rel_tol=1e-12)


def test_softclip_labels_are_the_likeness_of_the_targets(pair):
    p, c = (rows.tolist() for rows in pair)
    expected = 0.0
    for i in range(5):
        for j in range(5):
            label = math.exp(log_odds(c[i], c, j, TAU))
            expected -= label * (log_odds(p[i], c, j, TAU) + log_odds(c[i], p, j, TAU))
    assert math.isclose(softclip(*pair, TAU).item(), expected / 10, rel_tol=1e-12)


def test_mixed_betas_are_a_weighted_sum_of_two_rows(mix):
    betas = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mixed = mix_betas(betas, mix)
    for i in range(5):
        for v in range(4):
            share = mix.share[i].item()
            expected = share * betas[i, v].item() + (1 - share) * betas[int(mix.partner[i]), v].item()
            assert math.isclose(mixed[i, v].item(), expected, rel_tol=1e-12)


def test_shares_follow_the_beta_distribution_and_half_the_rows_are_mixed():
    mix = draw_mix(40_000, torch.Generator().manual_seed(0))
    mixed = mix.share[mix.share < 1]
    assert 0.48 < len(mixed) / 40_000 < 0.52
    extreme = ((mixed < 0.05) | (mixed > 0.95)).float().mean().item()
    assert 0.64 < extreme < 0.68
    assert sorted(mix.partner.tolist()) == list(range(40_000))


class _Encoder(nn.Module):
    def forward(self, betas):
        tokens = betas.view(len(betas), 2, 3)
        return Encoded(tokens, 2 * tokens)


class _Prior:
    """Predicts its condition; the error is then exact."""

    def loss(self, target, condition, generator):
        return PriorLoss(((condition - target) ** 2).mean(), condition)

    def sample(self, condition, n, generator):
        raise NotImplementedError


def test_equation_6_weighs_info_nce_error_and_mixco():
    assert math.isclose(
        eq6(torch.tensor(2.0), torch.tensor(3.0), torch.tensor(5.0), gamma=0.8, beta=0.3).item(), 3.7, rel_tol=1e-6
    )
    generator = torch.Generator().manual_seed(3)
    betas, targets = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 6), (5, 2, 3)))
    config = Stage1Objective(loss="brainram-paper", tau=TAU)
    parts = stage1_loss(config, _Encoder(), _Prior(), betas, targets, 0.9, torch.Generator().manual_seed(4))

    replay = torch.Generator().manual_seed(4)
    torch.randint(2**62, (), generator=replay)
    mix = draw_mix(5, replay)
    x, c = betas.tolist(), targets.flatten(1).tolist()
    wanted = [unit(row) for row in c]
    nce = error = mixco = 0.0
    for i in range(5):
        share, partner = mix.share[i].item(), int(mix.partner[i])
        mixed = unit([share * a + (1 - share) * b for a, b in zip(x[i], x[partner], strict=True)])
        nce -= log_odds(unit(x[i]), wanted, i, TAU) / 5
        error += sum((a - b) ** 2 for a, b in zip(x[i], c[i], strict=True)) / 30
        both = share * log_odds(mixed, wanted, i, TAU) + (1 - share) * log_odds(mixed, wanted, partner, TAU)
        mixco -= both / 5
    assert math.isclose(parts["loss"].item(), 0.8 * nce + 0.2 * error + 0.3 * mixco, rel_tol=1e-6)


def test_the_released_objective_goes_from_bimixco_to_softclip_at_a_third():
    generator = torch.Generator().manual_seed(3)
    betas, targets = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 6), (5, 2, 3)))

    def loss(progress: float) -> dict[str, torch.Tensor]:
        seed = torch.Generator().manual_seed(4)
        return stage1_loss(Stage1Objective(), _Encoder(), _Prior(), betas, targets, progress, seed)

    estimate, wanted = unit_rows(betas.view(5, 2, 3)), unit_rows(targets)
    error = ((betas.view(5, 2, 3) - targets) ** 2).mean()
    for progress, tau in ((0.33, 0.004), (1.0, 0.0075), (0.665, 0.00575)):
        expected = softclip(estimate, wanted, tau) + 30 * error
        assert math.isclose(loss(progress)["loss"].item(), expected.item(), rel_tol=1e-9)
    replay = torch.Generator().manual_seed(4)
    torch.randint(2**62, (), generator=replay)
    mix = draw_mix(5, replay)
    mixed = mix_betas(betas, mix).view(5, 2, 3)
    expected = bimixco(unit_rows(mixed), wanted, mix, 0.006) + 30 * ((mixed - targets) ** 2).mean()
    assert math.isclose(loss(0.0)["loss"].item(), expected.item(), rel_tol=1e-9)


def test_without_a_prior_the_tokens_themselves_are_the_estimate():
    betas = torch.randn(5, 6, generator=torch.Generator().manual_seed(3))
    targets = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(4))
    parts = stage1_loss(Stage1Objective(), _Encoder(), None, betas, targets, 1.0, torch.Generator())
    assert math.isclose(parts["error"].item(), 3 * ((betas.view(5, 2, 3) - targets) ** 2).mean().item(), rel_tol=1e-6)


def test_an_anchor_adds_the_error_of_the_encoders_own_tokens():
    betas = torch.randn(5, 6, generator=torch.Generator().manual_seed(3))
    targets = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(4))

    def parts(weight: float) -> dict[str, torch.Tensor]:
        config = Stage1Objective(anchor_weight=weight)
        return stage1_loss(config, _Encoder(), _Prior(), betas, targets, 1.0, torch.Generator())

    free, anchored = parts(0.0), parts(7.0)
    own = 3 * ((betas.view(5, 2, 3) - targets) ** 2).mean().item()
    assert "anchor" not in free
    assert math.isclose(anchored["loss"].item() - free["loss"].item(), 7 * own, rel_tol=1e-4)


def test_no_loss_writes_its_inputs(pair, mix):
    before = [t.clone() for t in (*pair, *mix)]
    for loss in (info_nce, softclip):
        loss(*pair, TAU)
    for loss in (mixco_nce, bimixco):
        loss(*pair, mix, TAU)
    mix_betas(pair[0], mix)
    for t, kept in zip((*pair, *mix), before, strict=True):
        assert torch.equal(t, kept)


def test_rows_that_do_not_pair_up_are_refused(pair):
    with pytest.raises(ValueError, match="differ in shape"):
        info_nce(pair[0], pair[1][:3], TAU)
