"""The prior network at full size, and sampling, against dalle2-pytorch and against the bound of its matrix products.

python benchmarks/prior.py [--turns 5]      needs dalle2-pytorch for the comparison
"""

from __future__ import annotations

import argparse
import importlib.util
import math
from collections.abc import Callable
from functools import partial

import torch
from bdk.contexts import PriorContext
from bdk.spaces import Space
from bdk_priors.configs import DiffusionConfig
from bdk_priors.diffusion import Diffusion
from bdk_priors.samplers import sample
from bdk_priors.schedule import NoiseSchedule
from interleaved import race, table, verdict
from torch import Tensor, nn

IMAGE = Space("image", 257, 768, "image", "cls")
DEPTH, HEADS, DIM_HEAD = 6, 12, 64
Goal = tuple[str, float, bool]


class Published(nn.Module):
    """MindEye's network from dalle2-pytorch's layers."""

    def __init__(self) -> None:
        super().__init__()
        from dalle2_pytorch import dalle2_pytorch as layers

        self.to_time_embeds = nn.Sequential(
            nn.Sequential(layers.SinusoidalPosEmb(IMAGE.dim), layers.MLP(IMAGE.dim, IMAGE.dim))
        )
        self.learned_query = nn.Parameter(torch.empty(IMAGE.tokens, IMAGE.dim))
        self.null_brain_embeds = nn.Parameter(torch.empty(IMAGE.tokens, IMAGE.dim))
        self.null_image_embed = nn.Parameter(torch.empty(IMAGE.tokens, IMAGE.dim))
        self.causal_transformer = layers.CausalTransformer(dim=IMAGE.dim, depth=DEPTH, heads=HEADS, dim_head=DIM_HEAD)
        for attention, _ in self.causal_transformer.layers:
            attention.causal = False

    def forward(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Clean tokens."""
        time = self.to_time_embeds(level.to(noisy.dtype))[:, None]
        sequence = torch.cat([condition, time, noisy + self.learned_query], 1)
        return self.causal_transformer(sequence)[:, -IMAGE.tokens :]


def pair() -> tuple[nn.Module, nn.Module]:
    """Our network and theirs with the same weights."""
    torch.manual_seed(0)
    ours = Diffusion(DiffusionConfig(), PriorContext(IMAGE)).eval()
    theirs = Published().eval()
    state = {
        name: ours.state_dict()[mine] for mine, name in ours.published_names().items()
    } | ours.published_constants()
    theirs.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}, strict=True)
    return ours.network, theirs


def products() -> Callable[[], None]:
    """The matrix products of one forward pass and nothing else; ours, the last layer for the kept tokens only."""
    dim, inner, width = IMAGE.dim, HEADS * DIM_HEAD, 4 * IMAGE.dim
    length, keep = 2 * IMAGE.tokens + 1, IMAGE.tokens
    shapes: list[tuple[int, int, int, int]] = []  # batch, rows, inner, columns
    for layer in range(DEPTH):
        rows = keep if layer == DEPTH - 1 else length
        shapes += [(1, rows, dim, inner), (1, length, dim, 2 * DIM_HEAD), (1, rows, inner, dim)]
        shapes += [(HEADS, rows, DIM_HEAD, length + 1), (HEADS, rows, length + 1, DIM_HEAD)]
        shapes += [(1, rows, dim, 2 * width), (1, rows, width, dim)]
    shapes += [(1, keep, dim, dim)]
    pairs = [(torch.randn(n, i, j), torch.randn(n, j, k)) for n, i, j, k in shapes]
    flops = sum(2 * n * i * j * k for n, i, j, k in shapes)
    print(f"Matrix products of one forward pass: {flops / 1e9:.1f} GFLOP")

    def run() -> None:
        for left, right in pairs:
            torch.bmm(left, right)

    return run


def network(turns: int) -> list[Goal]:
    """Time and equality of the network."""
    ours, theirs = pair()
    given = torch.randn(1, IMAGE.tokens, IMAGE.dim), torch.tensor([37]), torch.randn(1, IMAGE.tokens, IMAGE.dim)
    competitors = {
        "dalle2-pytorch": lambda: theirs(*given),
        "bdk": lambda: ours(*given),
        "matrix products alone": products(),
    }
    with torch.no_grad():
        times = race(competitors, turns)
        difference = float((ours(*given) - theirs(*given)).abs().max() / theirs(*given).abs().max())
    print("Prior network, 515 tokens x 768, depth 6, batch 1, forward; CPU ms, one thread")
    base = times["dalle2-pytorch"].median
    table(
        ("network", "median", "least", "median / dalle2-pytorch's"),
        [(name, f"{t.median:.0f}", f"{t.least:.0f}", f"{t.median / base:.2f}") for name, t in times.items()],
    )
    mine, bound = times["bdk"].median, times["matrix products alone"].median
    return [
        ("network never slower than dalle2-pytorch", mine / base, mine <= base),
        ("network within 1.3 x of the bound", mine / bound, mine <= 1.3 * bound),
        ("relative difference <= 1e-5", difference, difference <= 1e-5),
    ]


def exact(
    means: Tensor, spread: float, schedule: NoiseSchedule, calls: list[float]
) -> Callable[[Tensor, float], Tensor]:
    """The mean of a mixture's clean points given a noisy one; notes every call."""

    def predict(noisy: Tensor, level: float) -> Tensor:
        calls.append(level)
        kept, centres = schedule.kept[round(level)].double(), means.double()
        variance = kept * spread**2 + 1 - kept
        away = noisy.double() - kept.sqrt() * centres
        share = (-away.square().sum(-1) / (2 * variance)).softmax(-1)
        clean = share[..., None] * (centres + kept.sqrt() * spread**2 / variance * away)
        return clean.sum(1, keepdim=True).float()

    return predict


def variance_ratio(name: str, dim: int, spread: float, rows: int = 4000, modes: int = 8) -> tuple[float, int]:
    """Variance of samples around the nearest mode over the true one, and network calls."""
    schedule, calls = NoiseSchedule(100), list[float]()
    means = torch.randn(modes, dim, generator=torch.Generator().manual_seed(0)) * math.sqrt(1 - spread**2)
    generator = torch.Generator().manual_seed(1)
    draw = partial(torch.randn, rows, 1, dim, generator=generator)
    points = sample(name, exact(means, spread, schedule, calls), draw, schedule)[:, 0]
    nearest = torch.cdist(points, means).argmin(1)
    return (points - means[nearest]).square().mean().item() / spread**2, len(calls)


def sampling() -> list[Goal]:
    """Samplers on mixtures of Gaussians, whose clean points can be predicted exactly."""
    cases = [(dim, spread) for dim in (2, 16, 128) for spread in (0.1, 0.3)]
    names = ("ddpm-100", "dpm-10", "dpm-15", "dpm-20", "dpm-25")
    found = {name: [variance_ratio(name, *case) for case in cases] for name in names}
    off = {name: max(abs(1 - ratio) for ratio, _ in results) for name, results in found.items()}
    calls = {name: results[0][1] for name, results in found.items()}
    print("Variance around the modes of a mixture of 8 Gaussians, over the true one (1 is right)")
    head = ("sampler", "network calls", *(f"{dim} dim, spread {spread}" for dim, spread in cases), "worst |1 - ratio|")
    table(head, [(n, calls[n], *(f"{ratio:.2f}" for ratio, _ in found[n]), f"{off[n]:.2f}") for n in names])
    fewer = calls["ddpm-100"] / calls["dpm-20"]
    return [
        ("dpm-20: 5 x fewer network calls", fewer, fewer >= 5),
        (
            "dpm-20: variance no worse than ddpm-100's",
            off["dpm-20"] / off["ddpm-100"],
            off["dpm-20"] <= off["ddpm-100"],
        ),
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    goals: list[Goal] = []
    if importlib.util.find_spec("dalle2_pytorch") is None:
        print("dalle2-pytorch is not installed: no comparison with it.\n")
    else:
        goals = network(turns)
    table(("goal", "measured", ""), [(g, f"{value:.2g}", verdict(met)) for g, value, met in goals + sampling()])


if __name__ == "__main__":
    main()
