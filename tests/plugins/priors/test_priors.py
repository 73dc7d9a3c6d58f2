"""What every prior promises, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import PriorContext
from bdk.errors import ComponentError
from bdk.spaces import Space
from bdk_priors.configs import DiffusionConfig, UnetConfig
from bdk_priors.diffusion import Diffusion
from bdk_priors.unet import Unet
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {
    "diffusion": (Diffusion, lambda **more: DiffusionConfig(**({"depth": 2, "heads": 2, "dim_head": 4} | more))),
    "unet": (Unet, lambda **more: UnetConfig(**({"width": 8, "levels": 2, "heads": 2} | more))),
}


def make(name: str, tokens: int = 3, dim: int = 4, norm: str = "cls", **options):
    torch.manual_seed(0)
    kind, config = KINDS[name]
    options = {"sampler": "dpm-3"} | options
    return kind(config(**options), PriorContext(Space("tiny", tokens, dim, "image", norm))).eval()


def draw(rows: int, tokens: int = 3, dim: int = 4, seed: int = 0):
    return torch.randn(rows, tokens, dim, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", KINDS)
@given(rows=st.integers(1, 3), tokens=st.integers(1, 9), dim=st.integers(2, 8), n=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_samples_and_losses_have_the_spaces_size(name, rows, tokens, dim, n):
    prior, condition = make(name, tokens, dim), draw(rows, tokens, dim)
    target = draw(rows, tokens, dim, 1)
    kept = condition.clone(), target.clone()
    loss = prior.loss(target, condition, seeded())
    assert loss.loss.shape == () and loss.prediction.shape == (rows, tokens, dim)
    assert prior.sample(condition, n, seeded()).shape == (rows, n, tokens, dim)
    assert torch.equal(condition, kept[0]) and torch.equal(target, kept[1])


@pytest.mark.parametrize("name", KINDS)
def test_equal_seeds_give_equal_results_whatever_torchs_own_generator(name):
    prior, condition = make(name), draw(2)
    first = prior.sample(condition, 2, seeded()), prior.loss(draw(2, seed=1), condition, seeded()).loss
    torch.randn(7)
    second = prior.sample(condition, 2, seeded()), prior.loss(draw(2, seed=1), condition, seeded()).loss
    other = prior.sample(condition, 2, seeded(1)), prior.loss(draw(2, seed=1), condition, seeded(1)).loss
    for a, b, c in zip(first, second, other, strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize("name", KINDS)
@given(rows=st.integers(2, 4), tokens=st.integers(1, 6), dim=st.integers(2, 8), n=st.integers(1, 3))
@settings(max_examples=6, deadline=None)
def test_rows_of_a_batch_do_not_mix(name, rows, tokens, dim, n):
    prior, condition = make(name, tokens, dim), draw(rows, tokens, dim)
    changed = condition.clone()
    changed[1] += 1
    first, second = prior.sample(condition, n, seeded()), prior.sample(changed, n, seeded())
    rest = [row for row in range(rows) if row != 1]
    torch.testing.assert_close(first[rest], second[rest], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_samples_follow_their_own_condition(name):
    prior, condition = make(name), draw(3)
    changed = condition.clone()
    changed[1] += 1
    first, second = prior.sample(condition, 2, seeded()), prior.sample(changed, 2, seeded())
    assert not torch.allclose(first[1], second[1])


@pytest.mark.parametrize("name", KINDS)
def test_samples_of_one_stimulus_differ_and_shared_noise_makes_company_irrelevant(name):
    samples = make(name).sample(draw(2), 2, seeded())
    assert not torch.allclose(samples[:, 0], samples[:, 1])
    prior = make(name, noise="shared")
    whole, alone = prior.sample(draw(3), 2, seeded()), prior.sample(draw(3)[2:], 2, seeded())
    torch.testing.assert_close(whole[2:], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_noise_is_shared_with_the_next_batch_too_and_independent_noise_goes_on(name):
    for noise, equal in (("shared", True), ("independent", False)):
        prior, generator = make(name, noise=noise), seeded()
        first, second = (prior.sample(draw(1), 2, generator) for _ in range(2))
        assert torch.equal(first, second) == equal


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("norm", "release", "unit"), [("cls", False, True), ("pooled", False, False), ("pooled", True, True)]
)
def test_samples_are_scaled_by_token_0_where_the_space_is(name, norm, release, unit):
    samples = make(name, norm=norm, release_text_norm=release).sample(draw(2), 2, seeded())
    norms = samples[:, :, 0].norm(dim=-1)
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-4) == unit


@pytest.mark.parametrize("name", KINDS)
def test_dropped_rows_see_neither_their_condition_nor_their_noisy_tokens(name):
    prior, none = make(name), torch.zeros(2, 1, 1, dtype=torch.bool)
    level = torch.tensor([10, 10])
    predicted = prior._predict(draw(2), level, draw(2, seed=1), none, none)
    torch.testing.assert_close(predicted[0], predicted[1])


@pytest.mark.parametrize("name", KINDS)
def test_dropping_happens_as_often_as_asked_and_apart(name):
    prior = make(name, cond_drop=0.2)
    generator = seeded()
    kept = torch.cat([torch.stack([prior._keep(1000, generator, torch.device("cpu")) for _ in range(2)])], 1)
    assert 0.17 < 1 - kept.float().mean().item() < 0.23
    both = (~kept[0] & ~kept[1]).float().mean().item()
    assert 0.02 < both < 0.06


@pytest.mark.parametrize("name", KINDS)
def test_guidance_of_one_is_no_guidance_and_more_moves_away_from_the_unconditional(name):
    plain = make(name)
    guided = make(name, guidance=3.0)
    noisy, level, condition = draw(2), torch.tensor([50, 50]), draw(2, seed=1)
    none = torch.zeros(2, 1, 1, dtype=torch.bool)
    conditioned = plain.network(noisy, level, condition)
    assert torch.equal(plain._guided(noisy, level, condition), conditioned)
    free = plain._predict(noisy, level, condition, none, none)
    torch.testing.assert_close(guided._guided(noisy, level, condition), free + 3 * (conditioned - free))


@pytest.mark.parametrize("name", KINDS)
def test_wrong_tokens_are_refused_with_what_where_and_how_to_mend(name):
    prior = make(name)
    for wrong in (draw(2, tokens=4), draw(2, dim=5)):
        with pytest.raises(ComponentError, match="The condition has shape") as caught:
            prior.sample(wrong, 1, seeded())
        assert name in caught.value.where and caught.value.mend
    holed = draw(2)
    holed[1, 0, 0] = torch.inf
    with pytest.raises(ComponentError, match="not finite"):
        prior.loss(holed, draw(2), seeded())
    with pytest.raises(ComponentError, match="3 targets came with 2 conditions"):
        prior.loss(draw(3), draw(2), seeded())


@pytest.mark.parametrize("name", KINDS)
def test_a_prior_learns(name):
    prior = make(name, dim=8).train()
    target = torch.nn.functional.normalize(draw(8, dim=8, seed=2), dim=-1)
    optimiser = torch.optim.Adam(prior.parameters(), 3e-3)
    losses = []
    for step in range(60):
        loss = prior.loss(target, target, seeded(step)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert all(parameter.grad is not None for parameter in prior.parameters())
