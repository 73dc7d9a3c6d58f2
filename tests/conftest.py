"""What all tests share: one thread, no network, a store of their own."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("BDK_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def registry():
    from bdk import registry

    return registry.load()
