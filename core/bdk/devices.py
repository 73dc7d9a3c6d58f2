"""Where the arithmetic runs."""

from __future__ import annotations

import os

import torch

from bdk.processes import crew


def device() -> torch.device:
    """``BDK_DEVICE`` if it is set, else this process's accelerator if there is one, else the CPU."""
    if name := os.environ.get("BDK_DEVICE"):
        return torch.device(name)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda" if crew().count == 1 else f"cuda:{crew().local % torch.cuda.device_count()}")
