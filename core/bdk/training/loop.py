"""The loop that trains encoders, priors and fusion modules alike.

Chance is a function of (seed, step): batch order, dropout and noise are drawn anew from them in every step. A
training that resumes from a checkpoint therefore goes on exactly as if it had never stopped.

Several processes (torchrun) train one model together: each takes its rows of every batch, gradients are summed, and
all of them take the same step, which is the one that a single process would take, up to rounding. Batch, learning rate
and number of steps are the spec's whatever their number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn

from bdk.canonical import derive_seed
from bdk.contracts import HUGE
from bdk.errors import ComponentError
from bdk.processes import AgreedError, crew
from bdk.training.configs import TrainConfig

Loss = Callable[[Tensor, float, torch.Generator], Mapping[str, Tensor]]
"""(rows of the whole batch, share of the training done 0..1, generator) -> named scalars, the same on every process;
``loss`` is minimised. Which rows a process computes is for the function to say (`bdk.objectives.share`)."""
Row = dict[str, float]
CHECKPOINT = "checkpoint"
CALM = "Lower the learning rate, or look at the data: `bdk data check`."
BOUND = 1e12
"""Weights beyond this stop a training on several processes, before one of them overflows alone."""


def total_steps(config: TrainConfig, n: int) -> int:
    """Optimiser steps for n training rows; an epoch is the whole batches that fit, at least one."""
    return config.steps or max(1, round(config.epochs * max(1, n // config.batch_size)))


def train(
    modules: Mapping[str, nn.Module],
    loss: Loss,
    n: int,
    config: TrainConfig,
    *,
    seed: int,
    work: Path,
    on_row: Callable[[Row], None] = lambda row: None,
    rates: Mapping[str, float] | None = None,
) -> list[Row]:
    """Train some modules together.

    Args:
        modules: by name; all of their parameters that require gradients are trained.
        loss: computes the loss of a batch given its rows.
        n: training rows.
        config: length, batch, learning rate.
        seed: decides batches, dropout and noise.
        work: folder for checkpoints; an interrupted training found there is taken up.
        on_row: told of every step's losses.
        rates: learning rates (peaks, for one-cycle) of the modules that have their own, by name.

    Returns:
        One row of losses a step, ``step`` and ``lr`` included.

    Raises:
        StepFailedError: the loss is not finite, or there are more processes than rows in a batch.
    """
    _require_enough(min(config.batch_size, n))
    crew().join()
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=_precision(config))
    module = nn.ModuleDict(dict(modules)).to(accelerator.device)
    optimiser = torch.optim.AdamW(_groups(module, config, rates or {}), lr=config.lr, fused=True)
    steps = total_steps(config, n)
    rows = _resume(module, optimiser, work)
    module.train()
    for step in range(len(rows), steps):
        rate = _rate(config, step, steps, max(1, n // config.batch_size))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        generator = _seeded(seed, step)
        batch = _batch(n, config.batch_size, seed, step)
        with accelerator.autocast(), _told_as_divergence(module, step):
            parts = loss(batch, step / steps, generator)
        if not torch.isfinite(parts["loss"]):
            raise AgreedError(f"The loss is {parts['loss'].item()} at step {step}.", mend=CALM)
        optimiser.zero_grad(set_to_none=True)
        accelerator.backward(parts["loss"])
        _sum_gradients(module)
        _step(module, optimiser, config.clip, accelerator.scaler)
        if crew().count > 1:
            _require_bounded(module, step)
        rows.append({"step": step, "lr": rate, **{key: value.item() for key, value in parts.items()}})
        on_row(rows[-1])
        if crew().leads and (step + 1) % config.checkpoint_every == 0 and step + 1 < steps:
            _checkpoint(module, optimiser, rows, work)
    module.eval()
    return rows


def _require_enough(batch: int) -> None:
    if crew().count > batch:
        raise AgreedError(
            f"{crew().count} processes cannot share batches of {batch} stimuli.",
            where="batch_size",
            mend="Start fewer processes (torchrun --nproc-per-node), or set a larger batch.",
        )


def _sum_gradients(module: nn.Module) -> None:
    """Add up the processes' gradients; each is that of the whole batch's loss through the process's own rows."""
    if crew().count == 1:
        return
    found = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    for waiting in [distributed.all_reduce(gradient, async_op=True) for gradient in found]:
        waiting.wait()


def _require_bounded(module: nn.Module, step: int, bound: float = BOUND) -> None:
    """Several processes stop together while they still agree: the next batch might overflow on one of them alone."""
    largest = torch.stack(torch._foreach_norm([p.detach() for p in module.parameters()], torch.inf)).max()
    if not largest < bound:
        raise AgreedError(
            f"The weights are not finite, or beyond all bounds, at step {step}: the training diverged.", mend=CALM
        )


@contextmanager
def _told_as_divergence(module: nn.Module, step: int) -> Iterator[None]:
    """A part that returns NaN because its weights have run away is not at fault; the training is."""
    try:
        yield
    except ComponentError:
        _require_bounded(module, step, HUGE)
        raise


def _step(module: nn.Module, optimiser: torch.optim.Optimizer, clip: float, scaler: Any) -> None:
    """One step; with fp16 the gradients are brought back to their scale first, and one that overflowed is left out."""
    if scaler is not None:
        scaler.unscale_(optimiser)
    if clip:
        nn.utils.clip_grad_norm_(module.parameters(), clip)
    if scaler is None:
        optimiser.step()
    else:
        scaler.step(optimiser)
        scaler.update()


def _precision(config: TrainConfig) -> str:
    """bf16 and fp16 are for accelerators: on a CPU they are a hundred times slower."""
    if not torch.cuda.is_available():
        return "no"
    if config.precision == "auto":
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return {"fp32": "no"}.get(config.precision, config.precision)


def _groups(module: nn.ModuleDict, config: TrainConfig, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Matrices are decayed; biases, gains and other vectors are not. A module may have a learning rate of its own."""
    groups = []
    for name, part in module.items():
        parameters = [p for p in part.parameters() if p.requires_grad]
        for members, decay in (
            ([p for p in parameters if p.ndim >= 2], config.weight_decay),
            ([p for p in parameters if p.ndim < 2], 0.0),
        ):
            groups.append({"params": members, "weight_decay": decay, "scale": rates.get(name, config.lr) / config.lr})
    return [group for group in groups if group["params"]]


def _rate(config: TrainConfig, step: int, steps: int, per_epoch: int) -> float:
    """Learning rate of a step: constant, or one cycle with two epochs of warming up.

    Source: MindEye's OneCycleLR (cosine; start max/25, end start/1000, pct_start 2/epochs).
    """
    if config.schedule == "constant":
        return config.lr
    low, last = config.lr / 25, config.lr / 25_000
    warm = min(max(1, 2 * per_epoch), max(1, steps // 3))
    if step < warm:
        return _cosine(low, config.lr, step / warm)
    return _cosine(config.lr, last, (step - warm) / max(1, steps - 1 - warm))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, share)))


def _seeded(seed: int, step: int) -> torch.Generator:
    """Seed dropout and return the generator of a step."""
    torch.manual_seed(derive_seed(seed, step, "dropout"))
    return torch.Generator().manual_seed(derive_seed(seed, step, "noise"))


def _batch(n: int, size: int, seed: int, step: int) -> Tensor:
    """Rows of a step: each epoch is a permutation, its last incomplete batch is dropped."""
    size = min(size, n)
    epoch, place = divmod(step, n // size)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(derive_seed(seed, epoch, "order")))
    return order[place * size : (place + 1) * size]


def _checkpoint(module: nn.Module, optimiser: torch.optim.Optimizer, rows: list[Row], work: Path) -> None:
    """Write the state aside, then put it in the place of the last one in a single rename."""
    aside = work / f"{CHECKPOINT}.{len(rows)}"
    aside.mkdir(exist_ok=True)
    tensors = {f"module.{key}": value for key, value in module.state_dict().items()}
    tensors |= {f"optimiser.{key}": value for key, value in _flat_state(optimiser)}
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, aside / "state.safetensors")
    (aside / "rows.json").write_text(json.dumps(rows))
    pointer = work / f"{CHECKPOINT}.next"
    pointer.write_text(aside.name)
    pointer.replace(work / CHECKPOINT)
    for old in work.glob(f"{CHECKPOINT}.[0-9]*"):
        if old.name != aside.name:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()


def _flat_state(optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            yield f"{index}.{key}", torch.as_tensor(value)


def _resume(module: nn.Module, optimiser: torch.optim.Optimizer, work: Path) -> list[Row]:
    """Take up the last checkpoint, if there is one; on several processes the one that the leader names."""
    pointer = work / CHECKPOINT
    name = crew().say(pointer.read_text() if crew().leads and pointer.is_file() else "")
    if not name:
        return []
    rows = _take_up(module, optimiser, work / name)
    crew().say()  # all have read it: the leader may replace it
    return rows


def _take_up(module: nn.Module, optimiser: torch.optim.Optimizer, folder: Path) -> list[Row]:
    tensors = load_file(folder / "state.safetensors")
    module.load_state_dict({k.removeprefix("module."): v for k, v in tensors.items() if k.startswith("module.")})
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return json.loads((folder / "rows.json").read_text())
