"""Where the arithmetic runs."""

from __future__ import annotations

import os

import torch


def device() -> torch.device:
    """``BDK_DEVICE`` if it is set, else the accelerator if there is one, else the CPU."""
    return torch.device(os.environ.get("BDK_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))
