"""MindEye's prior network: a transformer over [condition | time | noisy tokens]."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from bdk_priors.embeddings import TimeEmbedding

BUCKETS, FARTHEST = 32, 128
"""Relative positions share 32 learned values per head; from 128 places on, one value."""
ROTATED = 32
"""Numbers of each head that are rotated by position."""
HALF = (torch.float16, torch.bfloat16)
"""Number types whose norms use a larger epsilon, 1e-3."""


class TokenTransformer(nn.Module):
    """Predicts clean tokens from noisy ones, a noise level and a condition.

    Source: MindEye (commit 6b30ea5) ``VersatileDiffusionPriorNetwork`` with ``learned_query_mode="pos_emb"`` and no
    causal mask, on dalle2-pytorch 1.15.6. Same function; here the last layer computes only the tokens that are kept.

    Args:
        tokens: T.
        dim: D.
        depth: layers.
        heads: query heads; all share one key and value head.
        dim_head: numbers per head.
        ff_mult: hidden units of the feed-forward part, in D.
    """

    def __init__(self, tokens: int, dim: int, depth: int, heads: int, dim_head: int, ff_mult: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.time = TimeEmbedding(dim)
        self.positions = nn.Parameter(torch.randn(tokens, dim) * dim**-0.5)
        self.bias = RelativeBias(2 * tokens + 1, heads)
        self.rotary = Rotary(2 * tokens + 1, min(ROTATED, dim_head))
        self.layers = nn.ModuleList(Layer(dim, heads, dim_head, ff_mult) for _ in range(depth))
        self.norm = GainNorm(dim, stable=True)
        self.project = nn.Linear(dim, dim, bias=False)

    def forward(
        self, noisy: Float[Tensor, "B T D"], level: Float[Tensor, "B"], condition: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B T D"]:
        """Clean tokens; ``level`` may be fractional."""
        sequence = torch.cat([condition, self.time(level, noisy.dtype), noisy + self.positions], 1)
        bias, last = self.bias(), len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            sequence = layer(sequence, bias, self.rotary, self.tokens if index == last else sequence.shape[1])
        return self.project(self.norm(sequence))


class Layer(nn.Module):
    """Attention and feed-forward, each with its residual; computes the last ``keep`` tokens only."""

    def __init__(self, dim: int, heads: int, dim_head: int, ff_mult: int) -> None:
        super().__init__()
        self.attention = SharedKeyAttention(dim, heads, dim_head)
        self.feed_forward = FeedForward(dim, ff_mult * dim)

    def forward(self, sequence: Tensor, bias: Tensor, rotary: Rotary, keep: int) -> Float[Tensor, "B keep D"]:
        kept = self.attention(sequence, bias, rotary, keep) + sequence[:, -keep:]
        return self.feed_forward(kept) + kept


class GainNorm(nn.Module):
    """Layer norm with a gain and no bias; ``stable`` divides by the (signed) maximum first."""

    def __init__(self, dim: int, stable: bool = False) -> None:
        super().__init__()
        self.stable = stable
        self.gain = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        if self.stable:
            x = x / x.amax(-1, keepdim=True).detach()
        return F.layer_norm(x, x.shape[-1:], self.gain, eps=1e-3 if x.dtype in HALF else 1e-5)


class FeedForward(nn.Sequential):
    """Norm, widen, x SiLU(gate), narrow; no bias."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(
            GainNorm(dim), nn.Linear(dim, 2 * hidden, bias=False), SwiGlu(), nn.Linear(hidden, dim, bias=False)
        )


class SwiGlu(nn.Module):
    """First half times SiLU of the second."""

    def forward(self, x: Float[Tensor, "*any D2"]) -> Float[Tensor, "*any D"]:
        value, gate = x.chunk(2, dim=-1)
        return value * F.silu(gate)


class SharedKeyAttention(nn.Module):
    """Cosine attention whose query heads share one key and value head, with one learned null key and value.

    Logits are 16 times the cosine plus the relative bias. The null pair comes first and is not rotated.
    """

    def __init__(self, dim: int, heads: int, dim_head: int, scale: float = 16.0) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale
        self.norm = GainNorm(dim)
        self.null = nn.Parameter(torch.randn(2, dim_head))  # key, value
        self.query = nn.Linear(dim, heads * dim_head, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim_head, bias=False)
        self.out = nn.Linear(heads * dim_head, dim, bias=False)
        self.out_norm = GainNorm(dim)

    def forward(self, sequence: Tensor, bias: Tensor, rotary: Rotary, keep: int) -> Float[Tensor, "B keep D"]:
        x = self.norm(sequence)
        query = self.query(x[:, -keep:]).unflatten(2, (self.heads, -1)).transpose(1, 2)  # B heads keep d
        key, value = self.key_value(x).chunk(2, dim=-1)
        query, key = F.normalize(rotary(query), dim=-1), F.normalize(rotary(key), dim=-1)
        null_key, null_value = self.null.to(x.dtype)
        key = _prepend(F.normalize(null_key, dim=-1), key)
        value = _prepend(null_value, value)
        shape = (-1, self.heads, -1, -1)
        mixed = F.scaled_dot_product_attention(
            query,
            key[:, None].expand(shape),
            value[:, None].expand(shape),
            attn_mask=bias[None, :, -keep:].to(x.dtype),  # four axes: three would not be fused
            scale=self.scale,
        )
        return self.out_norm(self.out(mixed.transpose(1, 2).flatten(2)))


def _prepend(null: Float[Tensor, "d"], sequence: Float[Tensor, "B N d"]) -> Float[Tensor, "B N+1 d"]:
    return torch.cat([null.expand(len(sequence), 1, -1), sequence], 1)


class Rotary(nn.Module):
    """Turns interleaved pairs of the first numbers of each head by an angle that grows with the position."""

    cos: Tensor
    sin: Tensor

    def __init__(self, length: int, dim: int, base: float = 10000.0) -> None:
        super().__init__()
        frequency = base ** -(torch.arange(0, dim, 2).float() / dim)
        angle = torch.outer(torch.arange(length).float(), frequency).repeat_interleave(2, -1)
        self.dim = dim
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, x: Float[Tensor, "*any N d"]) -> Float[Tensor, "*any N d"]:
        """The last N positions of the sequence, turned."""
        turned, rest = x[..., : self.dim], x[..., self.dim :]
        cos, sin = self.cos[-x.shape[-2] :].to(x.dtype), self.sin[-x.shape[-2] :].to(x.dtype)
        swapped = torch.stack([-turned[..., 1::2], turned[..., ::2]], -1).flatten(-2)
        return torch.cat([turned * cos + swapped * sin, rest], -1)


class RelativeBias(nn.Module):
    """T5-style bias, one-sided: every key at or after the query shares one value.

    Positions of keys count the null key, so that key k stands at k + 1 and the query sees itself as "after".
    """

    bucket: Tensor

    def __init__(self, length: int, heads: int) -> None:
        super().__init__()
        self.values = nn.Embedding(BUCKETS, heads)
        self.register_buffer("bucket", _bucket(length), persistent=False)

    def forward(self) -> Float[Tensor, "heads N N+1"]:
        return self.values(self.bucket).permute(2, 0, 1).contiguous()


def _bucket(length: int) -> Int[Tensor, "N N+1"]:
    back = (torch.arange(length)[:, None] - torch.arange(length + 1)).clamp(min=0)
    exact = BUCKETS // 2
    ratio = (back.float() / exact).log() / math.log(FARTHEST / exact)
    coarse = (exact + (ratio * (BUCKETS - exact)).nan_to_num(neginf=0).long()).clamp(max=BUCKETS - 1)
    return torch.where(back < exact, back, coarse)
