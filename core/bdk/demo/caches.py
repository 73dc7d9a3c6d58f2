"""What the frozen CLIP and VAE say about the training pictures, kept as memory-mapped files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bdk.arrays import new_array
from bdk.demo.clip import TinyClip
from bdk.demo.dataset import training_pictures
from bdk.demo.files import SHIPPED
from bdk.demo.vae import DemoVae

_CHUNK = 1000


def _fingerprint(name: str, weights_dir: Path | None) -> str:
    return hashlib.sha256((Path(weights_dir or SHIPPED) / f"{name}.safetensors").read_bytes()).hexdigest()[:10]


def _fill(path: Path, pictures: np.ndarray, encode: Callable[[np.ndarray], Tensor]) -> np.ndarray:
    """Encode pictures chunk by chunk into a float16 file, the first time."""
    if not path.exists():
        first = encode(pictures[:2])
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        rows = new_array(aside, np.float16, (len(pictures), *first.shape[1:]))
        for start in range(0, len(pictures), _CHUNK):
            rows[start : start + _CHUNK] = encode(pictures[start : start + _CHUNK]).half().numpy()
        rows.flush()
        aside.replace(path)
    return np.load(path, mmap_mode="r")


def training_tokens(folder: Path, n: int, weights_dir: Path | None, device: str = "cpu") -> np.ndarray:
    """Image tokens of the first `n` training scenes, [n, 65, 128] float16; the file's name holds the CLIP's hash."""
    path = folder / f"tokens-{n}-{_fingerprint('clip', weights_dir)}.npy"
    return _fill(path, training_pictures(folder, n), TinyClip.load(weights_dir, device).image_tokens)


def training_latents(folder: Path, n: int, weights_dir: Path | None, device: str = "cpu") -> np.ndarray:
    """Latents of the first `n` training scenes, [n, 8, 8, 8] float16; the file's name holds the VAE's hash."""
    path = folder / f"latents-{n}-{_fingerprint('vae', weights_dir)}.npy"
    return _fill(path, training_pictures(folder, n), DemoVae.load(weights_dir, device).encode)


def rows_of(cache: np.ndarray, rows: Tensor, device: str) -> Tensor:
    """Some rows of a cache as float32."""
    return torch.from_numpy(np.asarray(cache[rows.numpy()], dtype=np.float32)).to(device)
