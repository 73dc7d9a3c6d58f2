"""Small galleries, and embeddings in the layout that clip-retrieval writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bdk.galleries.writing import GalleryWriter


def unit_rows(n: int, dim: int, seed: int = 0, centres: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((centres, dim))[rng.integers(0, centres, n)] + 0.6 * rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rows():
    return unit_rows


@pytest.fixture
def gallery_folder(tmp_path):
    """A gallery of 3 shards of 100 rows, 16 numbers, images and captions."""

    def write(name: str = "small", shards: int = 3, per_shard: int = 100, dim: int = 16, **facts) -> Path:
        root = tmp_path / name
        writer = GalleryWriter(root)
        for shard in range(shards):
            image, text = unit_rows(per_shard, dim, shard), unit_rows(per_shard, dim, 100 + shard)
            ids = range(shard * per_shard, (shard + 1) * per_shard)
            metadata = {"caption": [f"caption {id}" for id in ids], "path": [f"{id}.png" for id in ids]}
            writer.add({"image": image, "text": text}, metadata)
        writer.close(**{"name": name, "key_model": "toy/pooled", "dim": dim, **facts})
        return root

    return write


@pytest.fixture
def embeddings_folder(tmp_path):
    """Embeddings as clip-retrieval's inference writes them."""

    def write(shards: int = 4, per_shard: int = 500, dim: int = 16, dtype=np.float16, name: str = "emb") -> Path:
        root = tmp_path / name
        for part in ("img_emb", "text_emb", "metadata"):
            (root / part).mkdir(parents=True)
        for shard in range(shards):
            np.save(root / f"img_emb/img_emb_{shard:02d}.npy", unit_rows(per_shard, dim, shard).astype(dtype))
            np.save(root / f"text_emb/text_emb_{shard:02d}.npy", unit_rows(per_shard, dim, 50 + shard).astype(dtype))
            table = {
                "TEXT": [f"text {shard}-{row}" for row in range(per_shard)],
                "URL": ["http://nowhere.test/x.png"] * per_shard,
            }
            pq.write_table(pa.table(table), root / f"metadata/metadata_{shard:02d}.parquet")
        return root

    return write


def _load(name: str):
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


misbehaving = _load("misbehaving")


@pytest.fixture
def server():
    server = misbehaving.MisbehavingServer()
    yield server
    server.close()


@pytest.fixture
def png():
    return misbehaving.png


@pytest.fixture
def pixel_bomb():
    return misbehaving.pixel_bomb


@pytest.fixture
def broken_jpeg():
    return misbehaving.broken_jpeg
