"""MindEye's prior network against plain loops and against dalle2-pytorch's layers."""

from __future__ import annotations

import math

import pytest
import torch
from bdk.contexts import PriorContext
from bdk.spaces import Space
from bdk_priors.configs import DiffusionConfig
from bdk_priors.diffusion import Diffusion
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


class PublishedNetwork(nn.Module):
    """MindEye's prior network put together from dalle2-pytorch's own layers, with the names of its checkpoints."""

    def __init__(self, tokens: int, dim: int, depth: int, heads: int, dim_head: int, ff_mult: int) -> None:
        super().__init__()
        layers = pytest.importorskip("dalle2_pytorch.dalle2_pytorch")
        self.tokens = tokens
        self.to_time_embeds = nn.Sequential(nn.Sequential(layers.SinusoidalPosEmb(dim), layers.MLP(dim, dim)))
        self.learned_query = nn.Parameter(torch.randn(tokens, dim))
        self.null_brain_embeds = nn.Parameter(torch.randn(tokens, dim))
        self.null_image_embed = nn.Parameter(torch.randn(tokens, dim))
        self.causal_transformer = layers.CausalTransformer(
            dim=dim, depth=depth, heads=heads, dim_head=dim_head, ff_mult=ff_mult
        )
        for attention, _ in self.causal_transformer.layers:
            attention.causal = False

    def forward(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        time = self.to_time_embeds(level.to(noisy.dtype))[:, None]
        sequence = torch.cat([condition, time, noisy + self.learned_query], 1)
        return self.causal_transformer(sequence)[:, -self.tokens :]


def paired(tokens: int, dim: int, depth: int, heads: int, dim_head: int) -> tuple[Diffusion, PublishedNetwork]:
    """Our prior and theirs with the same weights, loaded strictly by the published names."""
    theirs = PublishedNetwork(tokens, dim, depth, heads, dim_head, 4)
    torch.manual_seed(0)
    config = DiffusionConfig(depth=depth, heads=heads, dim_head=dim_head)
    ours = Diffusion(config, PriorContext(Space("tiny", tokens, dim, "image", "cls")))
    for parameter in ours.parameters():
        nn.init.normal_(parameter, 0.5 if parameter.ndim == 1 else 0.0, 0.2)
    state = {name: ours.state_dict()[mine] for mine, name in ours.published_names().items()}
    state |= ours.published_constants()
    state = {k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}
    theirs.load_state_dict(state, strict=True)
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize(("tokens", "dim", "depth", "heads", "dim_head"), [(9, 16, 2, 2, 8), (40, 96, 3, 3, 64)])
def test_the_network_equals_dalle2_pytorchs_with_the_same_weights(tokens, dim, depth, heads, dim_head):
    ours, theirs = paired(tokens, dim, depth, heads, dim_head)
    given = inputs(2, tokens, dim)
    with torch.no_grad():
        found, expected = ours.network(*given), theirs(*given)
    assert (found - expected).abs().max() / expected.abs().max() < 1e-5


def test_its_gradients_equal_dalle2_pytorchs():
    ours, theirs = paired(9, 16, 2, 2, 8)
    names = ours.published_names()
    for net, module in ((ours.network, ours), (theirs, theirs)):
        module.zero_grad()
        net(*inputs(2, 9, 16)).square().sum().backward()
    others = dict(theirs.named_parameters())
    for name, parameter in ours.network.named_parameters():
        expected = others[names[f"network.{name}"].removeprefix("net.")].grad
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_the_schedule_equals_dalle2_pytorchs():
    layers = pytest.importorskip("dalle2_pytorch.dalle2_pytorch")
    theirs = layers.NoiseScheduler(beta_schedule="cosine", timesteps=100, loss_type="l2").state_dict()
    ours, _ = paired(3, 8, 1, 1, 4)
    constants = {k.removeprefix("noise_scheduler."): v for k, v in ours.published_constants().items() if "noise" in k}
    assert constants.keys() == theirs.keys()
    for name, expected in theirs.items():
        torch.testing.assert_close(constants[name], expected, rtol=1e-5, atol=1e-9)
