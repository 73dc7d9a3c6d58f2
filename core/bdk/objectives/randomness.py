"""Dropout from a generator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def seeded(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Inside, torch's global generators follow from ``generator`` alone; outside, they are as before.

    Dropout knows no generator of its own; this is how a training step depends on nothing else, so that a resumed
    training repeats it from the generator's state.
    """
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
