"""The database beside the exact scan, found through the entry point alone."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest
import torch
from bdk.contexts import RetrieverContext
from bdk.galleries.writing import GalleryWriter
from bdk.registry import build, config_class, load
from bdk.testing import conformance


def unit(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((30, 16))[rng.integers(0, 30, n)] + 0.5 * rng.standard_normal((n, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def gallery(tmp_path):
    writer = GalleryWriter(tmp_path / "gallery")
    for shard in range(3):
        writer.add({"image": unit(400, shard)}, {"caption": [f"{shard}-{row}" for row in range(400)]})
    writer.close(name="toy", key_model="toy/pooled", dim=16)
    return tmp_path / "gallery"


@pytest.fixture
def retriever(gallery, tmp_path):
    context = RetrieverContext({}, 16, "toy/pooled", tmp_path / "cache")

    def make(name: str, **options):
        info = load().component("retriever", name)
        return build(info, config_class(info).model_validate({"root": str(gallery), **options}), context)

    return make


def test_the_package_comes_in_by_its_entry_point_alone():
    points = importlib.metadata.entry_points(group="bdk", name="vector-db")
    assert [point.value for point in points] == ["bdk_vector_db"]
    assert load().component("retriever", "lancedb").distribution.startswith("bdk-vector-db")


def test_it_conforms():
    conformance.assert_conforms("retriever", "lancedb")


def test_without_an_index_it_finds_what_the_exact_scan_finds(retriever):
    keys = torch.from_numpy(unit(20, 9))
    found, exact = retriever("lancedb").search(keys, 8), retriever("exact").search(keys, 8)
    assert torch.equal(found.ids, exact.ids) and torch.equal(found.scores, exact.scores)


def test_excluded_ids_make_room_for_the_next(retriever):
    keys = torch.from_numpy(unit(5, 9))
    first = retriever("exact").search(keys, 40).ids
    assert torch.equal(retriever("lancedb").search(keys, 4, first[:, :36]).ids, first[:, 36:])


def test_its_index_finds_nearly_all_and_scores_them_exactly(retriever):
    keys = torch.from_numpy(unit(20, 9))
    exact = retriever("exact").search(keys, 8)
    found = retriever("lancedb", partitions=4, nprobes=4).search(keys, 8)
    assert float((found.ids[:, :, None] == exact.ids[:, None]).any(2).float().mean()) > 0.95
    assert torch.equal(found.scores[:, 0], exact.scores[:, 0])


def test_the_database_is_filled_once(retriever, tmp_path):
    retriever("lancedb")
    (folder,) = (tmp_path / "cache/lancedb").iterdir()
    before = folder.stat().st_mtime_ns
    retriever("lancedb")
    assert folder.stat().st_mtime_ns == before
