"""MindEye's prior network against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from bdk_priors.token_transformer import RelativeBias, Rotary, TokenTransformer
from torch import Tensor, nn


def network(tokens: int = 3, dim: int = 8, depth: int = 2, heads: int = 2, dim_head: int = 4) -> TokenTransformer:
    torch.manual_seed(0)
    made = TokenTransformer(tokens, dim, depth, heads, dim_head, 2)
    for parameter in made.parameters():  # gains of exactly 1 would hide a missing gain
        nn.init.normal_(parameter, 0.5 if parameter.ndim == 1 else 0.0, 0.3)
    return made.eval()


def inputs(rows: int, tokens: int, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    noisy, condition = (torch.randn(rows, tokens, dim, generator=generator) for _ in range(2))
    return noisy, torch.arange(rows) * 17, condition


def norm(x: Tensor, gain: Tensor) -> Tensor:
    return (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * gain


def bucket(query: int, column: int) -> int:
    """Of the sequence with the null key in column 0."""
    back = max(query - column, 0)
    return back if back < 16 else min(16 + int(math.log(back / 16) / math.log(128 / 16) * 16), 31)


def turn(x: Tensor, position: int, rotated: int) -> Tensor:
    out = x.clone()
    for pair in range(rotated // 2):
        angle = position * 10000 ** (-2 * pair / rotated)
        a, b = x[2 * pair], x[2 * pair + 1]
        out[2 * pair] = a * math.cos(angle) - b * math.sin(angle)
        out[2 * pair + 1] = b * math.cos(angle) + a * math.sin(angle)
    return out


def plainly(net: TokenTransformer, noisy: Tensor, level: float, condition: Tensor) -> Tensor:
    """One row of the network, token by token and head by head."""
    dim, layers = noisy.shape[1], net.layers
    half = dim // 2
    angles = [level * math.exp(-math.log(10000) / (half - 1) * i) for i in range(half)]
    time = net.time.mlp(torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles]).to(noisy))
    sequence = [*condition, time, *(noisy + net.positions)]
    for layer in layers:
        attention, (ff_norm, widen, _, narrow) = layer.attention, layer.feed_forward
        x = [norm(token, attention.norm.gain) for token in sequence]
        width = attention.null.shape[1]
        keys = [turn((attention.key_value.weight @ t)[:width], n, min(32, width)) for n, t in enumerate(x)]
        keys = [k / k.norm() for k in (attention.null[0], *keys)]
        values = [attention.null[1], *((attention.key_value.weight @ t)[width:] for t in x)]
        attended = []
        for q, token in enumerate(x):
            heads = []
            for h, query in enumerate((attention.query.weight @ token).view(attention.heads, width)):
                query = turn(query, q, min(32, width))
                logits = torch.stack([16 * (query @ k) / query.norm() for k in keys])
                bias = torch.stack([net.bias.values.weight[bucket(q, k), h] for k in range(len(keys))])
                heads.append(sum(s * v for s, v in zip((logits + bias).softmax(0), values, strict=True)))
            attended.append(norm(attention.out.weight @ torch.cat(heads), attention.out_norm.gain))
        sequence = [a + t for a, t in zip(attended, sequence, strict=True)]
        fed = []
        for token in sequence:
            value, gate = (widen.weight @ norm(token, ff_norm.gain)).chunk(2)
            fed.append(narrow.weight @ (value * gate * torch.sigmoid(gate)) + token)
        sequence = fed
    return torch.stack([net.project.weight @ norm(t / t.max(), net.norm.gain) for t in sequence[-net.tokens :]])


@pytest.mark.parametrize(("tokens", "dim", "heads", "dim_head"), [(3, 8, 2, 4), (20, 6, 3, 36), (1, 8, 1, 8)])
def test_the_network_equals_plain_loops_in_float64(tokens, dim, heads, dim_head):
    net = network(tokens, dim, 2, heads, dim_head).double()
    noisy, level, condition = (t.double() for t in inputs(2, tokens, dim))
    found = net(noisy, level, condition)
    for row in range(2):
        torch.testing.assert_close(
            found[row], plainly(net, noisy[row], float(level[row]), condition[row]), rtol=1e-5, atol=1e-6
        )


def test_the_relative_bias_is_one_sided_and_counts_the_null_key():
    buckets = RelativeBias(515, 12).bucket
    assert buckets[400, 0] == 31  # the null key, far behind
    for query in (0, 5, 300):
        assert (buckets[query, query + 1 :] == 0).all()  # itself and everything after
        assert query == 0 or buckets[query, query] == 0  # the key just before: k = q - 1 stands in column q
    assert buckets[20, 19] == 1 and buckets[20, 10] == 10
    for query, column in ((100, 3), (514, 400), (130, 2), (40, 24)):
        assert buckets[query, column] == bucket(query, column)


def test_rotation_turns_only_the_first_numbers_of_a_head():
    x = torch.randn(2, 5, 64)
    turned = Rotary(5, 32)(x)
    assert torch.equal(turned[..., 32:], x[..., 32:])
    assert torch.equal(turned[:, 0], x[:, 0]) and not torch.allclose(turned[:, 1, :32], x[:, 1, :32])


def test_the_last_layer_computes_only_the_tokens_that_are_kept():
    net, rows = network(tokens=5, depth=3), []
    for layer in net.layers:
        layer.feed_forward.register_forward_hook(lambda module, given, out: rows.append(out.shape[1]))
    assert net(*inputs(2, 5, 8)).shape == (2, 5, 8)
    assert rows == [11, 11, 5]
