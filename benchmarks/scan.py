"""The selective scan, forward and backward: ours against mambapy's parallel scan and the reference loop.

python benchmarks/scan.py [--turns 7]      needs mambapy (pip install mambapy) for the comparison
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from bdk_encoders.selective_scan import selective_scan
from interleaved import race, table, verdict
from torch import Tensor

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


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


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    scans: dict[str, Scan] = {
        "mambapy": mambapys,
        "bdk, plain torch": ours("torch"),
        "bdk, compiled (numba)": ours("compiled"),
    }
    for rows in (32, 8, 1):
        print(f"Scan, forward and backward, batch {rows}, length 4096, 2 channels, 16 states; CPU ms, one thread")
        leaves = inputs(rows, 4096, torch.float32)
        times = race({name: lambda scan=scan: results(scan, leaves) for name, scan in scans.items()}, turns)
        base = times["mambapy"]
        body = [
            (name, f"{t.median:.1f}", f"{t.least:.1f}", f"{t.median / base.median:.2f}", f"{t.least / base.least:.2f}")
            for name, t in times.items()
        ]
        table(("scan", "median", "least", "median / mambapy's", "least / mambapy's"), body)
        if rows == 32:
            plain, compiled = times["bdk, plain torch"], times["bdk, compiled (numba)"]
            goals = [
                ("plain torch <= 1.1 x mambapy", plain.median / base.median, plain.median <= 1.1 * base.median),
                ("compiled >= 3 x faster", base.median / compiled.median, base.median >= 3 * compiled.median),
            ]
    leaves = inputs(8, 4096, torch.float32)
    reference = race({"reference loop": lambda: results(loop, leaves)}, 1)["reference loop"]
    print(f"Reference loop at batch 8: {reference.median / 1e3:.1f} CPU s\n")

    print("Largest error against float64 at length 4096")
    errors = {name: worst(scan, 4096) for name, scan in scans.items()}
    table(
        ("scan", "output", "gradients (relative)"), [(name, f"{y:.1e}", f"{g:.1e}") for name, (y, g) in errors.items()]
    )

    print("Twice the length, time ratio (forward and backward, batch 8)")
    lengths = [512, 1024, 2048, 4096]
    leaves_of = {length: inputs(8, length, torch.float32) for length in lengths}
    growth: dict[str, list[float]] = {}
    for name, scan in scans.items():
        times = race({str(n): lambda scan=scan, n=n: results(scan, leaves_of[n]) for n in lengths}, turns)
        least = [times[str(n)].least for n in lengths]
        growth[name] = [after / before for before, after in zip(least, least[1:], strict=False)]
    table(("scan", "1024/512", "2048/1024", "4096/2048"), [(n, *(f"{r:.2f}" for r in g)) for n, g in growth.items()])

    for name in ("bdk, plain torch", "bdk, compiled (numba)"):
        goals.append((f"{name}: error <= 5e-6", max(errors[name]), max(errors[name]) <= 5e-6))
        goals.append((f"{name}: t(2L)/t(L) <= 2.5", max(growth[name]), max(growth[name]) <= 2.5))
    table(("goal", "measured", ""), [(goal, f"{value:.2g}", verdict(met)) for goal, value, met in goals])


if __name__ == "__main__":
    main()
