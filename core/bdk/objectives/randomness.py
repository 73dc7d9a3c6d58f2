"""What follows from a generator: dropout, and noise that every batch shares."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from bdk.canonical import derive_seed


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


def restarted(generator: torch.Generator, stream: int = 0) -> torch.Generator:
    """A generator at the beginning of a stream that follows from ``generator``'s seed, not from what it has drawn.

    A run goes through its stimuli in batches with one generator; noise drawn from here is the same in each of them.

    Args:
        generator: whose seed and device are taken; it is left as it was.
        stream: another number, another sequence.
    """
    return torch.Generator(generator.device).manual_seed(derive_seed(generator.initial_seed(), "restarted", stream))
