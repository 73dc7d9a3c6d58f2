"""The prior against dalle2-pytorch 1.15.6, whose layers MindEye's network is made of, with the same weights.

It cannot be installed beside open_clip 3, so what it says is kept in `dalle2_pytorch.json`, written where it is
installed (``pip install --no-deps dalle2-pytorch==1.15.6`` and what it asks for) by

    python tests/plugins/priors/test_dalle2_pytorch.py

and the tests that call it run there only.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bdk.contexts import PriorContext
from bdk.spaces import Space
from bdk_priors.configs import DiffusionConfig
from bdk_priors.diffusion import Diffusion
from torch import Tensor, nn

SAID = Path(__file__).with_name("dalle2_pytorch.json")
SIZES = {
    "small heads": {"tokens": 9, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8},
    "heads rotated in part": {"tokens": 20, "dim": 12, "depth": 2, "heads": 3, "dim_head": 36},
}
LARGER = {"tokens": 40, "dim": 96, "depth": 3, "heads": 3, "dim_head": 64}


def normal(shape: torch.Size | tuple[int, ...], seed: int) -> Tensor:
    """Standard normal numbers that are the same everywhere: numpy's frozen generator."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape))).float()


def prior(tokens: int, dim: int, depth: int, heads: int, dim_head: int) -> Diffusion:
    """Ours, with weights and gains that are no one's initial values."""
    config = DiffusionConfig(depth=depth, heads=heads, dim_head=dim_head)
    made = Diffusion(config, PriorContext(Space("tiny", tokens, dim, "image", "cls")))
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.copy_((0.5 if parameter.ndim == 1 else 0.0) + 0.2 * normal(parameter.shape, seed))
    return made.eval()


def given(tokens: int, dim: int, rows: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy tokens, levels, condition."""
    return normal((rows, tokens, dim), 1001), torch.arange(rows) * 17 + 5, normal((rows, tokens, dim), 1002)


def says(network: nn.Module, sizes: dict[str, int]) -> dict[str, Tensor]:
    """A network's output, and the gradients of its sum of squares at both of its inputs."""
    noisy, level, condition = given(sizes["tokens"], sizes["dim"])
    noisy.requires_grad_(), condition.requires_grad_()
    output = network(noisy, level, condition)
    output.square().sum().backward()
    assert noisy.grad is not None and condition.grad is not None
    return {"output": output.detach(), "noisy": noisy.grad, "condition": condition.grad}


def apart(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest number."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", SIZES)
def test_output_and_gradients_are_those_that_dalle2_pytorch_gave(name):
    kept, found = json.loads(SAID.read_text())[name], says(prior(**SIZES[name]).network, SIZES[name])
    for part, numbers in kept.items():
        assert apart(found[part], torch.tensor(numbers).view_as(found[part])) < 1e-5, part


def layers():
    """dalle2-pytorch's module of layers."""
    return importlib.import_module("dalle2_pytorch.dalle2_pytorch")


class PublishedNetwork(nn.Module):
    """MindEye's prior network put together from dalle2-pytorch's own layers, with the names of its checkpoints."""

    self_cond = False

    def __init__(self, tokens: int, dim: int, depth: int, heads: int, dim_head: int) -> None:
        super().__init__()
        made = layers()
        self.tokens, self.dim = tokens, dim
        self.to_time_embeds = nn.Sequential(nn.Sequential(made.SinusoidalPosEmb(dim), made.MLP(dim, dim)))
        self.learned_query = nn.Parameter(torch.randn(tokens, dim))
        self.null_brain_embeds = nn.Parameter(torch.randn(tokens, dim))
        self.null_image_embed = nn.Parameter(torch.randn(tokens, dim))
        self.causal_transformer = made.CausalTransformer(
            dim=dim, depth=depth, heads=heads, dim_head=dim_head, ff_mult=4
        )
        for attention, _ in self.causal_transformer.layers:
            attention.causal = False

    def forward(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        time = self.to_time_embeds(level.to(noisy.dtype))[:, None]
        sequence = torch.cat([condition, time, noisy + self.learned_query], 1)
        return self.causal_transformer(sequence)[:, -self.tokens :]


def published(ours: Diffusion, **sizes: int) -> PublishedNetwork:
    """Theirs with our weights, loaded strictly by the published names."""
    theirs = PublishedNetwork(**sizes)
    state = {name: ours.state_dict()[mine] for mine, name in ours.published_names().items()}
    state |= ours.published_constants()
    theirs.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")}, strict=True)
    return theirs.eval()


@pytest.fixture
def dalle2():
    return pytest.importorskip("dalle2_pytorch.dalle2_pytorch")


@pytest.mark.parametrize("sizes", [*SIZES.values(), LARGER], ids=[*SIZES, "larger"])
def test_the_network_equals_dalle2_pytorchs_with_the_same_weights(dalle2, sizes):
    ours = prior(**sizes)
    theirs = says(published(ours, **sizes), sizes)
    for part, found in says(ours.network, sizes).items():
        assert apart(found, theirs[part]) < 1e-5, part


def test_gradients_of_all_weights_equal_dalle2_pytorchs(dalle2):
    ours = prior(**SIZES["small heads"])
    theirs = published(ours, **SIZES["small heads"])
    names = ours.published_names()
    for network in (ours.network, theirs):
        says(network, SIZES["small heads"])
    others = dict(theirs.named_parameters())
    for name, parameter in ours.network.named_parameters():
        expected = others[names[f"network.{name}"].removeprefix("net.")].grad
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_the_schedule_equals_dalle2_pytorchs(dalle2):
    theirs = dalle2.NoiseScheduler(beta_schedule="cosine", timesteps=100, loss_type="l2").state_dict()
    constants = prior(**SIZES["small heads"]).published_constants()
    ours = {k.removeprefix("noise_scheduler."): v for k, v in constants.items() if "noise" in k}
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-5, atol=1e-9)


def test_a_whole_published_model_has_the_keys_that_the_import_knows_and_no_others(dalle2):
    """The release saves dalle2-pytorch's DiffusionPrior, with the encoder as one more member."""
    sizes = SIZES["small heads"]
    ours = prior(**sizes)
    whole = dalle2.DiffusionPrior(
        net=published(ours, **sizes),
        image_embed_dim=sizes["dim"],
        condition_on_text_encodings=False,
        timesteps=100,
        cond_drop_prob=0.2,
    )
    assert set(whole.state_dict()) == {*ours.published_names().values(), *ours.published_constants()}


if __name__ == "__main__":
    numbers = {
        name: {part: values.flatten().tolist() for part, values in says(published(prior(**s), **s), s).items()}
        for name, s in SIZES.items()
    }
    rounded = {name: {p: [float(f"{v:.8g}") for v in vs] for p, vs in parts.items()} for name, parts in numbers.items()}
    SAID.write_text(json.dumps(rounded, separators=(",", ":")) + "\n")
