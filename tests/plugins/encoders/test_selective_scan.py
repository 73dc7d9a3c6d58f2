"""The scan and the Mamba block against loops, float64 and two other implementations."""

from __future__ import annotations

import mambapy.mamba as mambapy
import pytest
import torch
from bdk.errors import MissingExtraError
from bdk_encoders.mamba_block import MambaBlock
from bdk_encoders.selective_scan import selective_scan
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.mamba.modeling_mamba import MambaConfig, MambaMixer

NAMES = {
    "A_log", "D", "conv1d.weight", "conv1d.bias", "dt_proj.weight", "dt_proj.bias",
    "in_proj.weight", "out_proj.weight", "x_proj.weight",
}  # fmt: skip
KERNELS = ["torch", "compiled"]


def needs(kernel: str) -> None:
    if kernel == "compiled":
        pytest.importorskip("numba")


def inputs(rows: int, length: int, channels: int, states: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, step = (torch.randn(rows, length, channels, generator=generator, dtype=torch.float64) for _ in range(2))
    b, c = (torch.randn(rows, length, states, generator=generator, dtype=torch.float64) for _ in range(2))
    rate = -torch.arange(1.0, states + 1, dtype=torch.float64).repeat(channels, 1)
    return [x, torch.nn.functional.softplus(step - 3), rate, b / states, c]


def one_by_one(x: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    h, outputs = x.new_zeros(len(x), *a.shape), []
    for at in range(x.shape[1]):
        decay = torch.exp(step[:, at, :, None] * a)
        h = decay * h + (step[:, at] * x[:, at])[..., None] * b[:, at, None]
        outputs.append((h * c[:, at, None]).sum(-1))
    return torch.stack(outputs, 1)


def results(scan, given_inputs: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    leaves = [t.to(dtype).requires_grad_() for t in given_inputs]
    y = scan(*leaves)
    y.backward(torch.arange(y.numel(), dtype=torch.float64).sin().view_as(y).to(dtype))
    return [y.detach().double(), *(leaf.grad.double() for leaf in leaves)]


def worst(found: list[Tensor], expected: list[Tensor]) -> float:
    """Largest error over all results, each relative to its largest value if that is above 1."""
    return max(float((f - e).abs().max() / e.abs().max().clamp(min=1)) for f, e in zip(found, expected, strict=True))


@pytest.mark.parametrize("kernel", KERNELS)
@given(rows=st.integers(1, 3), length=st.integers(1, 150), channels=st.integers(1, 4), states=st.sampled_from([1, 16]))
@settings(max_examples=15, deadline=None)
def test_every_kernel_gives_the_recurrence_and_its_gradients(kernel, rows, length, channels, states):
    needs(kernel)
    given_inputs = inputs(rows, length, channels, states)
    found = results(lambda *a: selective_scan(*a, kernel=kernel), given_inputs, torch.float32)
    assert worst(found, results(one_by_one, given_inputs, torch.float64)) < 2e-6


@pytest.mark.parametrize("at_once", [1, 2 * 50 * 3 * 4, 10**9])
def test_the_plain_kernel_gives_the_same_however_many_rows_it_takes_at_once(monkeypatch, at_once):
    monkeypatch.setattr("bdk_encoders.selective_scan.AT_ONCE", at_once)
    given_inputs = inputs(5, 50, 3, 4)
    found = results(lambda *a: selective_scan(*a, kernel="torch"), given_inputs, torch.float64)
    assert worst(found, results(one_by_one, given_inputs, torch.float64)) < 1e-13


def test_the_plain_kernel_is_exact_in_float64():
    given_inputs = inputs(2, 100, 3, 4)
    found = results(lambda *a: selective_scan(*a, kernel="torch"), given_inputs, torch.float64)
    assert worst(found, results(one_by_one, given_inputs, torch.float64)) < 1e-13


def test_its_gradient_passes_torchs_own_check():
    leaves = [t.requires_grad_() for t in inputs(2, 7, 2, 3)]
    assert torch.autograd.gradcheck(lambda *a: selective_scan(*a, kernel="torch"), leaves)


@pytest.mark.parametrize("kernel", KERNELS)
def test_steps_so_large_that_everything_decays_give_no_nan(kernel):
    needs(kernel)
    x, step, rate, b, c = inputs(1, 300, 2, 16)
    found = results(lambda *a: selective_scan(*a, kernel=kernel), [x, step * 1e4, rate, b, c], torch.float32)
    assert all(t.isfinite().all() for t in found)


def block(kernel: str, width: int = 1) -> MambaBlock:
    torch.manual_seed(0)
    return MambaBlock(width, kernel=kernel)


def block_results(module, x: Tensor) -> list[Tensor]:
    leaf = x.clone().requires_grad_()
    y = module(leaf)
    module.zero_grad()
    y.backward(torch.arange(y.numel(), dtype=torch.float64).sin().view_as(y).to(y.dtype))
    grads = [parameter.grad.double() for _, parameter in sorted(module.named_parameters())]
    return [y.detach().double(), leaf.grad.double(), *grads]


@pytest.mark.parametrize("kernel", KERNELS)
def test_at_length_4096_the_block_is_within_5e_6_of_float64(kernel):
    needs(kernel)
    x = torch.randn(2, 4096, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = block_results(block("torch").double(), x)
    assert worst(block_results(block(kernel), x.float()), exact) <= 5e-6


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("width", "length"), [(1, 512), (24, 65)])
def test_the_block_equals_mambapys_with_the_same_weights(kernel, width, length):
    needs(kernel)
    ours, theirs = block(kernel, width), mambapy.MambaBlock(mambapy.MambaConfig(d_model=width, n_layers=1))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(3, length, width, generator=torch.Generator().manual_seed(0))
    assert worst(block_results(ours, x), block_results(theirs, x)) < 1e-6


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("width", "length"), [(1, 128), (24, 65)])
def test_the_block_equals_transformers_mamba_mixer_with_the_same_weights(kernel, width, length):
    needs(kernel)
    ours = block(kernel, width)
    config = MambaConfig(
        hidden_size=width, state_size=16, conv_kernel=4, expand=2, time_step_rank=ours.dt_rank, num_hidden_layers=1
    )
    theirs = MambaMixer(config, layer_idx=0)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(3, length, width, generator=torch.Generator().manual_seed(0))
    assert worst(block_results(ours, x), block_results(theirs, x)) < 1e-6


def test_the_block_has_the_nine_names_of_mamba_ssm():
    assert set(block("torch").state_dict()) == NAMES


def test_the_block_looks_back_only():
    module, x = block("torch", 4), torch.randn(1, 40, 4, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 25:] += 1
    torch.testing.assert_close(module(x)[:, :25], module(changed)[:, :25])
    assert not torch.allclose(module(x)[:, 25], module(changed)[:, 25])


def test_step_sizes_start_between_a_thousandth_and_a_tenth():
    steps = torch.nn.functional.softplus(block("torch", 256).dt_proj.bias)
    assert steps.min() >= 0.99e-3 and steps.max() <= 0.101


def test_a_kernel_that_cannot_work_here_is_refused_with_what_it_needs():
    x, step, rate, b, c = (t.float() for t in inputs(1, 4, 1, 2))
    with pytest.raises(MissingExtraError, match=r"'cuda'.*device") as caught:
        selective_scan(x, step, rate, b, c, kernel="cuda")
    assert "auto" in caught.value.mend
    with pytest.raises(MissingExtraError, match="float32"):
        selective_scan(*inputs(1, 4, 1, 2), kernel="compiled")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_mamba_ssms_kernels_give_the_same_numbers():
    pytest.importorskip("mamba_ssm")
    given_inputs = [t.cuda() for t in inputs(2, 300, 4, 16)]
    found = results(lambda *a: selective_scan(*a, kernel="cuda"), given_inputs, torch.float32)
    assert worst(found, results(one_by_one, given_inputs, torch.float64)) < 1e-5
