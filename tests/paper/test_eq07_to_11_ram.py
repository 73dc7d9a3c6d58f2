"""Eq. 7 to 11: the Retrieval-Augmented Module, against plain loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from bdk.contexts import FusionContext
from bdk.spaces import Space
from bdk_fusion.configs import RamConfig
from bdk_fusion.ram import Ram

B, K, T, D, HEADS = 2, 3, 4, 8, 2
SPACE = Space("tiny", T, D, "image", "cls")


@pytest.fixture
def ram():
    torch.manual_seed(0)
    return Ram(RamConfig(heads=HEADS, squeeze=4, zero_init="none"), FusionContext(SPACE, K)).double()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    estimate = torch.randn(B, T, D, generator=generator, dtype=torch.float64)
    neighbours = torch.randn(B, K, T, D, generator=generator, dtype=torch.float64)
    return estimate, neighbours, torch.ones(B, K, dtype=torch.bool)


def affine(layer, x: list[float]) -> list[float]:
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def attend(attention, x: list[list[float]], c: list[list[float]]) -> list[list[float]]:
    """A(x, c) of eq. 7, one head, one token, one number at a time."""
    width = D // HEADS
    queries, keys = [affine(attention.query, t) for t in x], [affine(attention.key, t) for t in c]
    values = [affine(attention.value, t) for t in c]
    rows = []
    for query in queries:
        mixed = [0.0] * D
        for head in range(HEADS):
            part = range(head * width, head * width + width)
            logits = [sum(query[d] * key[d] for d in part) / math.sqrt(width) for key in keys]
            total = sum(math.exp(logit) for logit in logits)
            for logit, value in zip(logits, values, strict=True):
                for d in part:
                    mixed[d] += math.exp(logit) / total * value[d]
        rows.append(affine(attention.out, mixed))
    return rows


def gate(ram, k: int, mean: list[float]) -> float:
    """F_k of eq. 9."""
    gates = ram.gates
    hidden = [
        sum(w * m for w, m in zip(row, mean, strict=True)) + b
        for row, b in zip(gates.widen[k].tolist(), gates.widen_bias[k].tolist(), strict=True)
    ]
    active = [0.5 * h * (1 + math.erf(h / math.sqrt(2))) for h in hidden]
    return sum(n * a for n, a in zip(gates.narrow[k].tolist(), active, strict=True)) + gates.narrow_bias[k].item()


def divide(ram, estimate, neighbours, row: int) -> list[list[list[float]]]:
    p = estimate[row].tolist()
    return [attend(ram.attention, p, c) for c in (p, *neighbours[row].tolist())]


def mean_branch(branches: list[list[list[float]]], t: int) -> list[float]:
    return [sum(branch[t][d] for branch in branches) / (K + 1) for d in range(D)]


def weights_of(ram, branches: list[list[list[float]]], t: int) -> list[float]:
    gates = [gate(ram, k, mean_branch(branches, t)) for k in range(K + 1)]
    total = sum(math.exp(g) for g in gates)
    return [math.exp(g) / total for g in gates]


def test_equation_7_the_estimate_attends_to_itself_and_to_each_neighbour_apart(ram, inputs):
    branches = ram.divide(*inputs[:2])
    for row in range(B):
        torch.testing.assert_close(branches[row], torch.tensor(divide(ram, *inputs[:2], row), dtype=torch.float64))


def test_equation_8_the_branches_are_averaged_token_by_token(ram, inputs):
    branches = ram.divide(*inputs[:2])
    seen: list[torch.Tensor] = []
    ram.gates.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    ram.weigh(branches, torch.ones(B, K + 1, dtype=torch.bool))
    for row in range(B):
        plain = divide(ram, *inputs[:2], row)
        for t in range(T):
            expected = torch.tensor(mean_branch(plain, t), dtype=torch.float64)
            torch.testing.assert_close(seen[0][row, t], expected, rtol=1e-9, atol=1e-12)


def test_equation_9_each_branch_has_a_gate_of_its_own_for_every_token(ram, inputs):
    mean = inputs[0]
    gates = ram.gates(mean, torch.arange(K + 1))
    assert gates.shape == (B, K + 1, T)
    for row in range(B):
        for k in range(K + 1):
            for t in range(T):
                assert math.isclose(gates[row, k, t].item(), gate(ram, k, mean[row, t].tolist()), rel_tol=1e-9)


def test_equation_10_gates_compete_over_the_branches_each_token_by_itself(ram, inputs):
    branches = ram.divide(*inputs[:2])
    weights = ram.weigh(branches, torch.ones(B, K + 1, dtype=torch.bool))
    torch.testing.assert_close(weights.sum(1), torch.ones(B, T, dtype=torch.float64))
    for row in range(B):
        plain = divide(ram, *inputs[:2], row)
        for t in range(T):
            expected = torch.tensor(weights_of(ram, plain, t), dtype=torch.float64)
            torch.testing.assert_close(weights[row, :, t], expected, rtol=1e-9, atol=1e-12)


def test_equation_11_weighs_the_branches_of_each_token_and_adds_the_estimate(ram, inputs):
    refined = ram(*inputs)
    for row in range(B):
        branches = divide(ram, *inputs[:2], row)
        for t in range(T):
            weights = weights_of(ram, branches, t)
            for d in range(D):
                q = sum(weight * branch[t][d] for weight, branch in zip(weights, branches, strict=True))
                assert math.isclose(refined[row, t, d].item(), inputs[0][row, t, d].item() + q, rel_tol=1e-9)


def test_q_is_exactly_zero_before_training(inputs):
    torch.manual_seed(0)
    ram = Ram(RamConfig(heads=HEADS), FusionContext(SPACE, K)).double()
    assert torch.equal(ram.fuse(*inputs), torch.zeros_like(inputs[0]))
    assert torch.equal(ram(*inputs), inputs[0])


def test_with_the_bias_left_out_of_the_zero_start_it_leaks(inputs):
    ram = Ram(RamConfig(heads=HEADS, zero_init="weight"), FusionContext(SPACE, K)).double()
    assert ram.fuse(*inputs).abs().max() > 0


def test_at_the_start_only_the_output_projection_learns(inputs):
    ram = Ram(RamConfig(heads=HEADS), FusionContext(SPACE, K)).double()
    (ram(*inputs) - 1).square().mean().backward()
    moved = {name for name, p in ram.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {"attention.out.weight", "attention.out.bias"}


def test_self_and_cross_attention_share_their_weights_unless_told_otherwise(inputs):
    shared = Ram(RamConfig(heads=HEADS), FusionContext(SPACE, K))
    apart = Ram(RamConfig(heads=HEADS, shared=False), FusionContext(SPACE, K))
    own = sum(p.numel() for p in shared.attention.parameters())
    assert sum(p.numel() for p in apart.parameters()) - sum(p.numel() for p in shared.parameters()) == own


def test_one_retrieved_vector_would_make_cross_attention_blind_to_the_estimate(inputs):
    """Why c_k must be token sequences: a softmax over one key is 1, whatever the query."""
    torch.manual_seed(0)
    ram = Ram(RamConfig(heads=HEADS, zero_init="none"), FusionContext(SPACE, K)).double()
    single = inputs[1][:, 0, :1]
    gathered = ram.attention(inputs[0], single)
    torch.testing.assert_close(gathered, gathered[:, :1].expand_as(gathered))
    torch.testing.assert_close(gathered, ram.attention(inputs[0].flip(0), single))
