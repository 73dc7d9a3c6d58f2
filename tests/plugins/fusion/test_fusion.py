"""What every fusion module promises, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from bdk.contexts import FusionContext
from bdk.errors import ComponentError
from bdk.spaces import Space
from bdk_fusion.average import Average
from bdk_fusion.configs import (
    AverageConfig,
    Conv1x1Config,
    CrossAttentionConfig,
    RamConfig,
    SelfAttentionConfig,
)
from bdk_fusion.conv1x1 import Conv1x1
from bdk_fusion.cross_attention import CrossAttention
from bdk_fusion.ram import Ram
from bdk_fusion.self_attention import SelfAttention
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

ATTENDS = {"heads": 1, "zero_init": "none"}
KINDS = {
    "average": (Average, AverageConfig()),
    "conv1x1": (Conv1x1, Conv1x1Config()),
    "cross-attention": (CrossAttention, CrossAttentionConfig(**ATTENDS)),
    "self-attention": (SelfAttention, SelfAttentionConfig(**ATTENDS)),
    "ram": (Ram, RamConfig(**ATTENDS)),
    "ram apart": (Ram, RamConfig(**ATTENDS, shared=False, pre_norm=True)),
    "ram tied": (Ram, RamConfig(**ATTENDS, gates="tied", branch_embedding=True)),
    "ram literal": (Ram, RamConfig(**ATTENDS, token_sum=True, residual=False)),
    "ram over tokens": (Ram, RamConfig(**ATTENDS, softmax="tokens")),
    "ram filling in": (Ram, RamConfig(**ATTENDS, missing="estimate")),
}
SIZES = {"rows": st.integers(1, 3), "k": st.integers(0, 4), "tokens": st.integers(1, 5), "dim": st.integers(1, 6)}


def make(name: str, k: int, tokens: int = 3, dim: int = 4):
    torch.manual_seed(0)
    kind, config = KINDS[name]
    fusion = kind(config, FusionContext(Space("tiny", tokens, dim, "image", "cls"), k)).double()
    for parameter in fusion.parameters():
        nn.init.normal_(parameter, 0.0, 0.5)
    return fusion


def draw(rows: int, k: int, tokens: int = 3, dim: int = 4, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    estimate = torch.randn(rows, tokens, dim, generator=generator, dtype=torch.float64)
    neighbours = torch.randn(rows, k, tokens, dim, generator=generator, dtype=torch.float64)
    return estimate, neighbours, torch.rand(rows, k, generator=generator) < 0.6


def everyone(present):
    return torch.ones_like(present)


@pytest.mark.parametrize("name", KINDS)
@given(**SIZES)
@settings(max_examples=15, deadline=None)
def test_refined_tokens_are_finite_have_the_estimates_size_and_nothing_is_written(name, rows, k, tokens, dim):
    given_inputs = draw(rows, k, tokens, dim)
    kept = [t.clone() for t in given_inputs]
    refined = make(name, k, tokens, dim)(*given_inputs)
    assert refined.shape == given_inputs[0].shape and refined.isfinite().all()
    assert all(torch.equal(a, b) for a, b in zip(given_inputs, kept, strict=True))


@pytest.mark.parametrize("name", KINDS)
@given(**SIZES)
@settings(max_examples=15, deadline=None)
def test_what_stands_in_a_missing_neighbours_place_does_not_matter(name, rows, k, tokens, dim):
    estimate, neighbours, present = draw(rows, k, tokens, dim)
    fusion, rubbish = make(name, k, tokens, dim), neighbours.clone()
    rubbish[~present] = torch.nan
    assert torch.equal(fusion(estimate, neighbours, present), fusion(estimate, rubbish, present))


def branches_of(name: str, larger, kept: list[int]) -> dict[str, torch.Tensor]:
    """Weights of the branches ``kept`` (0 is the estimate's), in that order, and all weights that have no branch."""
    ranked = {"conv1x1": ("weight",), "ram tied": ("embedding",), "self-attention": ()}
    per_branch = ranked.get(name, ("gates.", "embedding") if name.startswith("ram") else ())
    return {
        key: value[kept] if per_branch and key.startswith(per_branch) else value
        for key, value in larger.state_dict().items()
    }


@pytest.mark.parametrize("name", [name for name in KINDS if name != "ram filling in"])
@given(**{**SIZES, "k": st.integers(2, 4)}, gone=st.integers(0, 3))
@settings(max_examples=10, deadline=None)
def test_a_missing_neighbour_equals_its_absence(name, rows, k, tokens, dim, gone):
    """The same module built for one neighbour less, without the weights of the missing one's branch."""
    gone %= k
    estimate, neighbours, present = draw(rows, k, tokens, dim)
    larger, smaller = make(name, k, tokens, dim), make(name, k - 1, tokens, dim)
    here = [n for n in range(k) if n != gone]
    smaller.load_state_dict(branches_of(name, larger, [0, *(n + 1 for n in here)]))
    missing = present.clone()
    missing[:, gone] = False
    expected = smaller(estimate, neighbours[:, here], present[:, here])
    torch.testing.assert_close(larger(estimate, neighbours, missing), expected)


@pytest.mark.parametrize("name", KINDS)
@given(**{**SIZES, "rows": st.integers(2, 3)})
@settings(max_examples=10, deadline=None)
def test_rows_of_a_batch_do_not_mix(name, rows, k, tokens, dim):
    fusion, (estimate, neighbours, present) = make(name, k, tokens, dim), draw(rows, k, tokens, dim)
    changed, others, missing = estimate.clone(), neighbours.clone(), present.clone()
    changed[1] += 1
    others[1] += 1
    missing[1] = ~missing[1]
    first, second = fusion(estimate, neighbours, present), fusion(changed, others, missing)
    rest = [row for row in range(rows) if row != 1]
    torch.testing.assert_close(first[rest], second[rest])
    if name != "ram literal":  # without the residual, a mean-free token may happen to give nothing
        assert not torch.allclose(first[1], second[1])


@pytest.mark.parametrize("name", KINDS)
@given(**{**SIZES, "k": st.integers(2, 4)}, order=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_permuting_neighbours_together_with_their_branches_changes_nothing(name, rows, k, tokens, dim, order):
    estimate, neighbours, present = draw(rows, k, tokens, dim)
    fusion, permuted = make(name, k, tokens, dim), make(name, k, tokens, dim)
    place = order.sample(range(k), k)
    permuted.load_state_dict(branches_of(name, fusion, [0, *(p + 1 for p in place)]))
    expected = fusion(estimate, neighbours, present)
    torch.testing.assert_close(permuted(estimate, neighbours[:, place], present[:, place]), expected)


@pytest.mark.parametrize("name", KINDS)
@given(**SIZES)
@settings(max_examples=5, deadline=None)
def test_equal_seeds_give_equal_modules_and_equal_results(name, rows, k, tokens, dim):
    inputs = draw(rows, k, tokens, dim)
    first = make(name, k, tokens, dim)(*inputs)
    torch.randn(5)
    assert torch.equal(make(name, k, tokens, dim)(*inputs), first)


def test_permuting_neighbours_alone_changes_what_ram_says():
    estimate, neighbours, present = draw(2, 3)
    fusion = make("ram", 3)
    first = fusion(estimate, neighbours, everyone(present))
    assert not torch.allclose(first, fusion(estimate, neighbours.flip(1), everyone(present)))


@pytest.mark.parametrize("name", ["average", "cross-attention", "self-attention"])
def test_modules_without_ranks_do_not_care_for_the_order(name):
    estimate, neighbours, present = draw(2, 3)
    fusion = make(name, 3)
    turned = fusion(estimate, neighbours.flip(1), present.flip(1))
    torch.testing.assert_close(fusion(estimate, neighbours, present), turned)


def test_tied_gates_without_embeddings_do_not_care_for_the_order():
    estimate, neighbours, present = draw(2, 3)
    config = RamConfig(**ATTENDS, gates="tied")
    fusion = Ram(config, FusionContext(Space("tiny", 3, 4, "image"), 3)).double()
    turned = fusion(estimate, neighbours.flip(1), present.flip(1))
    torch.testing.assert_close(fusion(estimate, neighbours, present), turned)


def test_the_average_is_the_hand_value():
    estimate = torch.full((1, 1, 2), 1.0)
    neighbours = torch.tensor([[[[4.0, 7.0]], [[100.0, 100.0]], [[1.0, 1.0]]]])
    present = torch.tensor([[True, False, True]])
    average = Average(AverageConfig(), FusionContext(Space("tiny", 1, 2, "image"), 3))
    assert average(estimate, neighbours, present).tolist() == [[[2.0, 3.0]]]


def test_conv1x1_is_a_convolution_over_branches():
    estimate, neighbours, present = draw(2, 3)
    fusion = make("conv1x1", 3)
    branches = torch.cat([estimate[:, None], neighbours], 1)
    q = nn.functional.conv2d(branches, fusion.weight.view(1, 4, 1, 1), fusion.bias)[:, 0]
    torch.testing.assert_close(fusion(estimate, neighbours, everyone(present)), estimate + q)


def test_the_control_ignores_neighbours():
    estimate, neighbours, present = draw(2, 3)
    fusion = make("self-attention", 3)
    assert torch.equal(fusion(estimate, neighbours, present), fusion(estimate, neighbours + 1, ~present))


def test_cross_attention_with_no_neighbour_at_all_leaves_the_estimate():
    estimate, neighbours, present = draw(2, 3)
    assert torch.equal(make("cross-attention", 3)(estimate, neighbours, torch.zeros_like(present)), estimate)


@pytest.mark.parametrize(
    "kind_config", [(Ram, RamConfig), (CrossAttention, CrossAttentionConfig), (SelfAttention, SelfAttentionConfig)]
)
def test_trained_modules_start_at_the_estimate(kind_config):
    kind, config = kind_config
    estimate, neighbours, present = draw(2, 3)
    fusion = kind(config(heads=2), FusionContext(Space("tiny", 3, 4, "image"), 3)).double()
    assert torch.equal(fusion(estimate, neighbours, present), estimate)


def test_uniform_start_weighs_all_branches_alike():
    config = RamConfig(heads=2, uniform_start=True)
    fusion = Ram(config, FusionContext(Space("tiny", 3, 4, "image"), 3)).double()
    estimate, neighbours, _ = draw(2, 3)
    weights = fusion.weigh(fusion.divide(estimate, neighbours), torch.ones(2, 4, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.full_like(weights, 0.25))


@pytest.mark.parametrize("name", KINDS)
def test_wrong_inputs_are_refused_with_what_where_and_how_to_mend(name):
    fusion, (estimate, neighbours, present) = make(name, 3), draw(2, 3)
    with pytest.raises(ComponentError, match="K = 3 neighbours and was given 2") as caught:
        fusion(estimate, neighbours[:, :2], present[:, :2])
    assert name.split()[0] in caught.value.where and "retriever.k = 3" in caught.value.mend
    with pytest.raises(ComponentError, match="The estimate has shape"):
        fusion(estimate[:, :2], neighbours, present)
    with pytest.raises(ComponentError, match="The neighbours have shape"):
        fusion(estimate, neighbours[:, :, :2], present)
    holed = neighbours.clone()
    holed[0, 1, 0, 0] = torch.nan
    with pytest.raises(ComponentError, match="marked present"):
        fusion(estimate, holed, everyone(present))
    with pytest.raises(ComponentError, match="The estimate holds numbers that are not finite"):
        fusion(estimate / 0, neighbours, present)


def test_heads_that_do_not_divide_a_token_are_refused_with_the_legal_ones():
    with pytest.raises(ComponentError, match="12 heads do not divide the 128") as caught:
        Ram(RamConfig(), FusionContext(Space("tiny", 3, 128, "image"), 4))
    assert "1, 2, 4, 8, 16, 32, 64" in caught.value.mend


@pytest.mark.parametrize("name", [name for name in KINDS if name != "average"])
def test_every_weight_learns_once_it_has_left_the_start(name):
    fusion, inputs = make(name, 3), draw(2, 3)
    (fusion(*inputs) - 1).square().mean().backward()
    silent = {n for n, p in fusion.named_parameters() if p.grad is None or not p.grad.abs().max() > 0}
    assert silent <= {"attention.key.bias", "own.key.bias"}  # a key's bias shifts all logits of a query alike
