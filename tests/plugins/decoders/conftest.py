"""Makes the tiny models beside the tests importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def generator():
    """A fresh generator of one seed for each call."""
    return lambda seed=0: torch.Generator().manual_seed(seed)


@pytest.fixture(scope="session")
def dual(tmp_path_factory):
    """The stored tiny Versatile Diffusion, converted to dual form."""
    import tiny_models
    from bdk_decoders.convert_vd import convert

    source = tiny_models.published_vd(tmp_path_factory.mktemp("published"))
    return convert(source, tmp_path_factory.mktemp("converted") / "dual")
