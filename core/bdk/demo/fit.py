"""The training loop of the demo world's three networks: resumable, seeded step by step, no pickle.

A step's randomness comes from its own number, so a killed training that resumes is the training that was not killed.
Under torchrun every process draws its own batches and the gradients are averaged; the first process keeps the files.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn

BatchLoss = Callable[[torch.Generator], Tensor]
_SEEDS_APART = 1_000_003


@dataclass
class Fit:
    """One training.

    Attributes:
        name: `clip`, `vae` or `unet`; names the checkpoint files.
        model: what is trained, in place.
        loss: draws a batch with the generator it is given and returns its loss.
        score: held-out scores, plain numbers by name.
        export: writes the weights a user loads, called with the scores and the progress.
        out: folder of checkpoints.
        steps: of the whole training; the learning rate falls to zero over its last `cooldown` share.
        rate: learning rate after the warm-up.
    """

    name: str
    model: nn.Module
    loss: BatchLoss
    score: Callable[[], dict[str, float]]
    export: Callable[[dict[str, float], dict[str, float]], None]
    out: Path
    steps: int
    rate: float
    seed: int = 0
    device: str = "cpu"
    warmup: int = 100
    cooldown: float = 0.4
    decay: float = 0.01
    average: float = 0.0
    save_every: int = 200
    score_every: int = 400
    seconds: float = field(default=0.0, init=False)
    step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.model.to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.rate, weight_decay=self.decay, betas=(0.9, 0.98), fused=True
        )
        self.averaged = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.rank, self.world = _join_others()

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, constant, linear cool-down."""
        left = (self.steps - step) / max(1.0, self.cooldown * self.steps)
        return self.rate * min(1.0, (step + 1) / self.warmup, max(left, 0.0))

    def run(self, resume: bool = True) -> dict[str, float]:
        """Train up to `steps`; returns the last held-out scores."""
        if resume and self._progress_file.exists():
            self._load()
        started, spent = time.monotonic(), self.seconds
        while self.step < self.steps:
            loss = self._one_step()
            self.seconds = spent + time.monotonic() - started
            self._report(loss)
        return self._publish() if self.rank == 0 else {}

    def _report(self, loss: float) -> None:
        """Say, save and publish when it is time to; the first process alone does."""
        if self.rank > 0:
            return
        if self.step % 50 == 0:
            self._say({"loss": loss})
        if self.step % self.save_every == 0 or self.step == self.steps:
            self._save()
        if self.step % self.score_every == 0 and self.step < self.steps:
            self._publish()

    def _one_step(self) -> float:
        generator = torch.Generator().manual_seed((self.seed * _SEEDS_APART + self.step) * self.world + self.rank)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate_at(self.step)
        loss = self.loss(generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.world > 1:
            _average_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    def _follow(self) -> None:
        """Move the averaged weights towards the present ones (no averaging: they are the present ones)."""
        keep = min(self.average, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value.detach(), 1 - keep)

    def _publish(self) -> dict[str, float]:
        """Score and export the averaged weights."""
        present = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.averaged)
        self.model.eval()
        with torch.no_grad():
            scores = self.score()
        self._say(scores)
        self.export(scores, {"step": self.step, "steps": self.steps, "seconds": round(self.seconds)})
        self.model.load_state_dict(present)
        self.model.train()
        return scores

    def _say(self, numbers: dict[str, float]) -> None:
        shown = " ".join(f"{name}={value:.4f}" for name, value in numbers.items())
        print(f"{self.name} step {self.step}/{self.steps} {self.seconds:.0f}s {shown}", flush=True)

    @property
    def _progress_file(self) -> Path:
        return self.out / f"{self.name}.checkpoint.json"

    def _save(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"averaged/{name}": value for name, value in self.averaged.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{name}": torch.as_tensor(value) for name, value in state.items()}
        path = self.out / f"{self.name}.checkpoint-{self.step}.safetensors"
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, path)
        aside = self._progress_file.with_suffix(".tmp")
        aside.write_text(json.dumps({"step": self.step, "seconds": self.seconds, "file": path.name}))
        aside.replace(self._progress_file)
        for old in self.out.glob(f"{self.name}.checkpoint-*.safetensors"):
            if old != path:
                old.unlink()

    def _load(self) -> None:
        progress = json.loads(self._progress_file.read_text())
        tensors = load_file(self.out / progress["file"])
        part: dict[str, dict[str, Tensor]] = {root: {} for root in ("model", "averaged", "optimizer")}
        for name, value in tensors.items():
            root, _, rest = name.partition("/")
            part[root][rest] = value
        self.model.load_state_dict(part["model"])
        self.averaged = {name: value.to(self.device) for name, value in part["averaged"].items()}
        state = self.optimizer.state_dict()
        for name, value in part["optimizer"].items():
            number, _, field_name = name.partition("/")
            state["state"].setdefault(int(number), {})[field_name] = value
        self.optimizer.load_state_dict(state)
        self.step, self.seconds = progress["step"], progress["seconds"]
        print(f"{self.name}: resumed at step {self.step}", flush=True)


def _join_others() -> tuple[int, int]:
    """This process's number and the number of processes; joins the group when torchrun started us."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not distributed.is_initialized():
        distributed.init_process_group("gloo")
    return int(os.environ.get("RANK", "0")), world


def _average_gradients(model: nn.Module) -> None:
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
