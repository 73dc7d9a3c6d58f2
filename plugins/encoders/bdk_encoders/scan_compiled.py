"""The selective scan compiled for the CPU by numba: one pass, states in registers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

MARK = 64
"""States are kept at every 64th element; the backward pass computes the others again, in the nearest cache."""
_FAST = {"nsz", "contract", "arcp", "reassoc"}
_POWERS_OF_TWO = [np.float32(math.log(2) ** k / math.factorial(k)) for k in range(8)]


class CompiledScan(torch.autograd.Function):
    """`bdk_encoders.selective_scan.selective_scan` for float32 on the CPU, one thread."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Scan; keeps the inputs and a 64th of the states."""
        inputs = [t.detach().contiguous() for t in (x, step, a, b, c)]
        y, marks = torch.empty_like(inputs[0]), x.new_empty(len(x), -(-x.shape[1] // MARK), *a.shape)
        _kernels(a.shape[1])[0](*(t.numpy() for t in (*inputs, y, marks)))
        ctx.save_for_backward(*inputs, marks)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """The scan of the gradients, from the end."""
        x, step, a, b, c, _ = ctx.saved_tensors
        grads = [torch.empty_like(x), torch.empty_like(step), a.new_zeros(a.shape, dtype=torch.float64)]
        grads += [torch.zeros_like(b), torch.zeros_like(c)]
        _kernels(a.shape[1])[1](*(t.numpy() for t in (*ctx.saved_tensors, grad.contiguous(), *grads)))
        grads[2] = grads[2].to(a.dtype)
        return tuple(grads)


@njit(inline="always", fastmath=True)
def _exp(x):  # type: ignore[no-untyped-def]
    """exp of a number not above 0, in float32: 2^k 2^r with |r| <= 1/2, eight terms of the series for 2^r."""
    t = max(x * np.float32(1 / math.log(2)), np.float32(-126))
    k = np.floor(t + np.float32(0.5))
    r = t - k
    p = _C7
    p = p * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * r + _C1
    p = p * r + np.float32(1)
    return p * np.int32((k + np.float32(127)) * np.float32(1 << 23)).view(np.float32)


_C1, _C2, _C3, _C4, _C5, _C6, _C7 = _POWERS_OF_TWO[1:]


@functools.cache
def _kernels(states: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """Forward and backward for N states; N is a constant to the compiler, which turns loops over it into vectors."""
    return _forward(states), _backward(states)


def _forward(states: int) -> Callable[..., None]:
    @njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
    def forward(x, step, a, b, c, y, marks):  # type: ignore[no-untyped-def]
        h = np.empty(states, np.float32)
        for row in range(x.shape[0]):
            for channel in range(x.shape[2]):
                rate = a[channel]
                h[:] = 0
                for at in range(x.shape[1]):
                    if at % MARK == 0:
                        marks[row, at // MARK, channel] = h
                    size = step[row, at, channel]
                    drive = size * x[row, at, channel]
                    total = np.float32(0)
                    for n in range(states):
                        h[n] = _exp(size * rate[n]) * h[n] + drive * b[row, at, n]
                        total += h[n] * c[row, at, n]
                    y[row, at, channel] = total

    return forward


def _backward(states: int) -> Callable[..., None]:
    @njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
    def backward(x, step, a, b, c, marks, grad, grad_x, grad_step, grad_a, grad_b, grad_c):  # type: ignore[no-untyped-def]
        h = np.empty((MARK + 1, states), np.float32)
        decay = np.empty((MARK, states), np.float32)
        flow, into_a = np.empty(states, np.float32), np.empty(states, np.float64)
        for row in range(x.shape[0]):
            for channel in range(x.shape[2]):
                rate = a[channel]
                flow[:] = 0
                into_a[:] = 0
                for mark in range(marks.shape[1] - 1, -1, -1):
                    first = mark * MARK
                    count = min(MARK, x.shape[1] - first)
                    h[0] = marks[row, mark, channel]
                    for j in range(count):
                        size = step[row, first + j, channel]
                        drive = size * x[row, first + j, channel]
                        for n in range(states):
                            decay[j, n] = _exp(size * rate[n])
                            h[j + 1, n] = decay[j, n] * h[j, n] + drive * b[row, first + j, n]
                    for j in range(count - 1, -1, -1):
                        at = first + j
                        size, value, up = step[row, at, channel], x[row, at, channel], grad[row, at, channel]
                        to_drive, to_size = np.float32(0), np.float32(0)
                        for n in range(states):
                            now = flow[n] + up * c[row, at, n]
                            grad_c[row, at, n] += up * h[j + 1, n]
                            grad_b[row, at, n] += now * size * value
                            to_drive += now * b[row, at, n]
                            flow[n] = now * decay[j, n]
                            to_size += flow[n] * h[j, n] * rate[n]
                            into_a[n] += flow[n] * h[j, n] * size
                        grad_x[row, at, channel] = to_drive * size
                        grad_step[row, at, channel] = to_drive * value + to_size
                for n in range(states):
                    grad_a[channel, n] += into_a[n]

    return backward
