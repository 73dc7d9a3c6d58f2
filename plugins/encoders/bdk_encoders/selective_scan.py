"""The selective scan, the heart of a Mamba block: h_l = exp(step_l A) h_{l-1} + step_l x_l B_l, y_l = C_l . h_l."""

from __future__ import annotations

import functools
import importlib

import torch
from bdk.errors import MissingExtraError
from jaxtyping import Float
from torch import Tensor

from bdk_encoders.scan_torch import ChunkedScan

AT_ONCE = 1 << 20
"""States that the plain scan holds at once on a CPU: 4 MB in each of its tensors."""


def selective_scan(
    x: Float[Tensor, "B L C"],
    step: Float[Tensor, "B L C"],
    a: Float[Tensor, "C N"],
    b: Float[Tensor, "B L N"],
    c: Float[Tensor, "B L N"],
    *,
    kernel: str = "auto",
) -> Float[Tensor, "B L C"]:
    """Run the recurrence along L, without the skip term D x.

    Source: Gu and Dao 2023 (Mamba), algorithm 2, with their simplified step_l B_l for the discretised input.

    Args:
        x: inputs, C channels.
        step: step sizes, positive.
        a: rates of decay, negative.
        b: how each element enters the N states of every channel.
        c: how the states are read.
        kernel: ``cuda``, ``compiled``, ``torch``, or ``auto`` for the first of these that can.

    Raises:
        MissingExtraError: if the kernel asked for is not installed, or cannot work on this device or number type.
    """
    x, step, b, c = (t.to(a.dtype) for t in (x, step, b, c))  # never in half precision
    if kernel == "auto":
        kernel = next(name for name in ("cuda", "compiled", "torch") if not _missing(name, x))
    elif missing := _missing(kernel, x):
        raise MissingExtraError(
            f"The scan cannot run as {kernel!r}: it needs {missing}.",
            where="encoder 'mamba': kernel",
            mend='Set kernel = "auto".',
        )
    if kernel == "cuda":
        return _cuda(x, step, a, b, c)
    if kernel == "compiled":
        from bdk_encoders.scan_compiled import CompiledScan

        return CompiledScan.apply(x, step, a, b, c)
    return _plain(x, step, a, b, c)


def _plain(x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Float[Tensor, "B L C"]:
    """`ChunkedScan`, on a CPU of so few rows at once that their states stay in the cache between its passes."""
    rows = max(1, AT_ONCE // (x.shape[1] * a.numel())) if x.device.type == "cpu" else len(x)
    if rows >= len(x):
        return ChunkedScan.apply(x, step, a, b, c)
    parts = zip(*(t.split(rows) for t in (x, step, b, c)), strict=True)
    return torch.cat([ChunkedScan.apply(x, step, a, b, c) for x, step, b, c in parts])


def _missing(kernel: str, x: Tensor) -> str:
    """What a kernel lacks to work on these numbers; empty if nothing."""
    if kernel == "torch":
        return ""
    device, package, module = {
        "cuda": ("cuda", "mamba_ssm", "mamba_ssm.ops.selective_scan_interface"),
        "compiled": ("cpu", "numba", "numba"),
    }[kernel]
    if x.device.type != device:
        return f"a tensor on the device {device!r}, and this one is on {x.device.type!r}"
    if kernel == "compiled" and str(x.dtype) != "torch.float32":
        return f"float32 numbers, and these are {x.dtype}"
    return "" if _imports(module) else f"the package {package!r}, in a working state"


@functools.cache
def _imports(module: str) -> bool:
    """Whether it can be imported; mamba_ssm without its compiled kernels is installed, and cannot."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _cuda(x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Float[Tensor, "B L C"]:
    """mamba_ssm's fused kernel; it wants the sequence axis last."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    return selective_scan_fn(x.mT.contiguous(), step.mT.contiguous(), a, b.mT.contiguous(), c.mT.contiguous()).mT
