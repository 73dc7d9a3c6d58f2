"""The selective scan, forward and backward: ours against mambapy's parallel scan and the reference loop.

python benchmarks/scan.py [--turns 7]      needs mambapy (pip install mambapy) for the comparison
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
from bdk_encoders.selective_scan import selective_scan
from interleaved import race, table, verdict
from torch import Tensor

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
Goal = tuple[str, float, bool]
PLAIN, COMPILED = "bdk, plain torch", "bdk, compiled (numba)"


def mambapys(x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The scan of mambapy, put together as its block does."""
    from mambapy.pscan import pscan

    drive = (step.unsqueeze(-1) * b.unsqueeze(2)) * x.unsqueeze(-1)
    return (pscan(torch.exp(step.unsqueeze(-1) * a), drive) @ c.unsqueeze(-1)).squeeze(3)


def loop(x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """One element after the other, as mamba_ssm's reference and transformers' fallback do."""
    decay = torch.exp(step.unsqueeze(-1) * a)
    drive = (step.unsqueeze(-1) * b.unsqueeze(2)) * x.unsqueeze(-1)
    state, outputs = torch.zeros_like(drive[:, 0]), []
    for at in range(x.shape[1]):
        state = decay[:, at] * state + drive[:, at]
        outputs.append((state * c[:, at, None]).sum(-1))
    return torch.stack(outputs, 1)


def ours(kernel: str) -> Scan:
    """Our scan with one kernel."""
    return lambda x, step, a, b, c: selective_scan(x, step, a, b, c, kernel=kernel)


def inputs(rows: int, length: int, dtype: torch.dtype) -> list[Tensor]:
    """The size of a block of BrainRAM's encoder: 2 channels of 16 states."""
    generator = torch.Generator().manual_seed(0)
    x, step = (torch.randn(rows, length, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    b, c = (torch.randn(rows, length, 16, generator=generator, dtype=torch.float64) for _ in range(2))
    rate = -torch.arange(1.0, 17, dtype=torch.float64).repeat(2, 1)
    step = torch.nn.functional.softplus(step - 4)
    return [t.to(dtype).requires_grad_() for t in (x, step, rate, b / 4, c / 4)]


def results(scan: Scan, leaves: list[Tensor]) -> list[Tensor]:
    """Output and all gradients."""
    for leaf in leaves:
        leaf.grad = None
    y = scan(*leaves)
    y.backward(torch.arange(y.numel(), dtype=torch.float64).sin().view_as(y).to(y.dtype))
    return [y.detach(), *(leaf.grad for leaf in leaves)]


def worst(scan: Scan, length: int) -> tuple[float, float]:
    """Largest absolute error against the loop in float64: of the output, and of the gradients of unit size."""
    exact = results(loop, inputs(2, length, torch.float64))
    found = results(scan, inputs(2, length, torch.float32))
    errors = [float((f - e).abs().max() / e.abs().max().clamp(min=1)) for f, e in zip(found, exact, strict=True)]
    return float((found[0] - exact[0]).abs().max()), max(errors[1:])


def speed(scans: Mapping[str, Scan], turns: int) -> list[Goal]:
    """Forward and backward at three batch sizes; the goals are for the encoder's batch of 32."""
    goals: list[Goal] = []
    for rows in (1, 8, 32):
        leaves = inputs(rows, 4096, torch.float32)
        times = race({name: partial(results, scan, leaves) for name, scan in scans.items()}, turns)
        base = times[next(iter(times))]
        print(f"Scan, forward and backward, batch {rows}, length 4096, 2 channels, 16 states; CPU ms, one thread")
        table(
            ("scan", "median", "least", "median / first", "least / first"),
            [
                (
                    name,
                    f"{t.median:.1f}",
                    f"{t.least:.1f}",
                    f"{t.median / base.median:.2f}",
                    f"{t.least / base.least:.2f}",
                )
                for name, t in times.items()
            ],
        )
        if rows == 32 and "mambapy" in scans:
            plain, compiled = (times[name].median / base.median for name in (PLAIN, COMPILED))
            goals = [
                ("plain torch <= 1.1 x mambapy", plain, plain <= 1.1),
                ("compiled <= 1/3 of mambapy", compiled, compiled <= 1 / 3),
            ]
    reference = race({"loop": partial(results, loop, inputs(8, 4096, torch.float32))}, 1)["loop"]
    print(f"Reference loop at batch 8: {reference.median / 1e3:.1f} CPU s\n")
    return goals


def accuracy(scans: Mapping[str, Scan]) -> list[Goal]:
    """Errors against float64."""
    errors = {name: worst(scan, 4096) for name, scan in scans.items()}
    print("Largest error against float64 at length 4096")
    table(("scan", "output", "gradients (relative)"), [(n, f"{y:.1e}", f"{g:.1e}") for n, (y, g) in errors.items()])
    return [(f"{name}: error <= 5e-6", max(errors[name]), max(errors[name]) <= 5e-6) for name in (PLAIN, COMPILED)]


def scaling(scans: Mapping[str, Scan], turns: int) -> list[Goal]:
    """Twice the length, about twice the time."""
    lengths = (512, 1024, 2048, 4096)
    growth: dict[str, list[float]] = {}
    for name, scan in scans.items():
        times = race({str(n): partial(results, scan, inputs(8, n, torch.float32)) for n in lengths}, turns)
        growth[name] = [after.least / before.least for before, after in pairwise(times.values())]
    print("Twice the length, time ratio (forward and backward, batch 8)")
    table(("scan", "1024/512", "2048/1024", "4096/2048"), [(n, *(f"{r:.2f}" for r in g)) for n, g in growth.items()])
    return [(f"{n}: t(2L)/t(L) <= 2.5", max(growth[n]), max(growth[n]) <= 2.5) for n in (PLAIN, COMPILED)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    scans: dict[str, Scan] = {"mambapy": mambapys, PLAIN: ours("torch"), COMPILED: ours("compiled")}
    if importlib.util.find_spec("mambapy") is None:
        print("mambapy is not installed: no comparison with it.\n")
        del scans["mambapy"]
    goals = speed(scans, turns) + accuracy(scans) + scaling(scans, turns)
    table(("goal", "measured", ""), [(goal, f"{value:.2g}", verdict(met)) for goal, value, met in goals])


if __name__ == "__main__":
    main()
