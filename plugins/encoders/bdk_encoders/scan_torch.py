"""The selective scan in plain torch operations, on any device and for any number type."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Lines = Float[Tensor, "W F P"]
"""A sequence cut into chunks of W elements; P lines (row and chunk) run side by side, F numbers each."""


class Chunks(NamedTuple):
    """How sequences are cut: ``number`` chunks a row, each of ``width`` elements, the last padded with zeros."""

    rows: int
    length: int
    width: int
    number: int

    @classmethod
    def of(cls, x: Float[Tensor, "B L C"]) -> Chunks:
        """About as many chunks as elements in each: then the loops over both are short."""
        rows, length = x.shape[:2]
        width = 1 << round(math.log2(max(length, 1)) / 2)
        return cls(rows, length, width, -(-length // width))

    def fold(self, sequence: Float[Tensor, "B L F"]) -> Lines:
        """Cut."""
        padded = F.pad(sequence, (0, 0, 0, self.number * self.width - self.length))
        chunks = padded.view(self.rows, self.number, self.width, -1)
        return chunks.permute(2, 3, 0, 1).reshape(self.width, sequence.shape[2], -1)

    def unfold(self, lines: Lines) -> Float[Tensor, "B L F"]:
        """Join."""
        chunks = lines.unflatten(2, (self.rows, self.number)).permute(2, 3, 0, 1)
        return chunks.reshape(self.rows, self.number * self.width, -1)[:, : self.length]

    def carry(self, ends: Tensor, decay: Tensor, backward: bool = False) -> Float[Tensor, "N C P"]:
        """State that enters each chunk, from the state that each chunk alone ends with and its total decay."""
        ends, decay = (t.unflatten(2, (self.rows, self.number)) for t in (ends, decay))
        entering = torch.zeros_like(ends)
        order = range(self.number - 1, 0, -1) if backward else range(self.number - 1)
        for at in order:
            after = at - 1 if backward else at + 1
            entering[..., after] = ends[..., at] + decay[..., at] * entering[..., at]
        return entering.flatten(2)


class ChunkedScan(torch.autograd.Function):
    """Scan all chunks side by side, each twice: once to learn how it ends, once with the right beginning.

    2 W + L / W steps over large tensors in place of L over small ones. Decays are products of at most L factors below
    one, computed as such: no logarithms, no division, nothing that could overflow.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """See `bdk_encoders.selective_scan.selective_scan`."""
        chunks = Chunks.of(x)
        drive, steps = chunks.fold(step * x)[:, None], chunks.fold(step)[:, None]  # W 1 C P
        into, out = chunks.fold(b)[:, :, None], chunks.fold(c)[:, :, None]  # W N 1 P
        rate = a.T[..., None]  # N C 1
        states = drive.new_empty(chunks.width, *rate.shape[:2], drive.shape[-1])  # W N C P
        decay = torch.empty_like(states)
        end = torch.zeros_like(states[0])
        for j in range(chunks.width):
            torch.mul(steps[j], rate, out=decay[j]).exp_()
            torch.addcmul(torch.mul(drive[j], into[j], out=states[j]), decay[j], end, out=end)
        entering = chunks.carry(end, _total_decay(steps, rate))
        for j in range(chunks.width):
            states[j].addcmul_(decay[j], states[j - 1] if j else entering)
        ctx.save_for_backward(x, step, rate, drive, steps, into, out, decay, states, entering)
        ctx.chunks = chunks
        return chunks.unfold(_over_states(states, out))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """The same scan run from the end: grad h_l = C_l grad y_l + decay_{l+1} grad h_{l+1}."""
        x, step, rate, drive, steps, into, out, decay, states, entering = ctx.saved_tensors
        chunks, last = ctx.chunks, ctx.chunks.width - 1
        grad = chunks.fold(grad)[:, None]
        grad_c = _over_channels(states, grad)
        flow = torch.empty_like(states)  # grad h
        end = torch.zeros_like(entering)
        for j in range(last, -1, -1):
            end.add_(torch.mul(grad[j], out[j], out=flow[j])).mul_(decay[j])
        flow[last].add_(chunks.carry(end, _total_decay(steps, rate), backward=True))
        for j in range(last - 1, -1, -1):
            flow[j].addcmul_(decay[j + 1], flow[j + 1])
        grad_b, grad_drive = _over_channels(flow, drive), chunks.unfold(_over_states(flow, into))
        grad_rate = torch.zeros_like(end)
        for j in range(chunks.width):  # from here on, grad of step x rate
            flow[j].mul_(decay[j]).mul_(states[j - 1] if j else entering)
            grad_rate.addcmul_(flow[j], steps[j])
        grad_step = grad_drive * x + chunks.unfold(_over_states(flow, rate[None]))
        return grad_drive * step, grad_step, grad_rate.sum(2).T, chunks.unfold(grad_b), chunks.unfold(grad_c)


def _total_decay(steps: Float[Tensor, "W 1 C P"], rate: Float[Tensor, "N C 1"]) -> Float[Tensor, "N C P"]:
    return (steps.sum(0) * rate).exp_()


def _over_states(states: Float[Tensor, "W N C P"], weights: Float[Tensor, "W N 1 P"]) -> Float[Tensor, "W C P"]:
    """Weighted sum over N; one fused pass per term is far faster than a product and a sum."""
    total = states[:, 0] * weights[:, 0]
    for n in range(1, states.shape[1]):
        total.addcmul_(states[:, n], weights[:, n])
    return total


def _over_channels(states: Float[Tensor, "W N C P"], weights: Float[Tensor, "W 1 C P"]) -> Float[Tensor, "W N P"]:
    """Weighted sum over C."""
    return _over_states(states.transpose(1, 2), weights.transpose(1, 2))
