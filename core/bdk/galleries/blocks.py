"""The pieces of an index build: a trained empty index, blocks of rows added to copies of it, and their merge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bdk.galleries.faiss_files import require_faiss, silent
from bdk.galleries.gallery import Rows
from bdk.galleries.index_plans import OPQ_ROUNDS, OPQ_ROWS, OPQ_START, ROUNDS, IndexPlan

_ADDED_AT_ONCE = 16_384
_RUN = 64
"""Neighbouring rows that are sampled together from galleries too large to read row by row."""
_ROW_BY_ROW = 5_000_000


@dataclass(frozen=True)
class Piece:
    """A run of rows and the block file that it becomes.

    Args:
        shard: the ``.npy`` file.
        start: first row in that file.
        rows: how many.
        first_id: gallery id of the first row.
        block: file to write.
    """

    shard: str
    start: int
    rows: int
    first_id: int
    block: str


def train(plan: IndexPlan, stored: Rows, path: Path, seed: int) -> None:
    """Train an empty index on a seeded sample of the rows and write it.

    Args:
        plan: what to train.
        stored: the gallery's embeddings.
        path: file to write.
        seed: of the sample and of k-means.
    """
    faiss = require_faiss()
    index = faiss.index_factory(plan.dim, plan.factory, faiss.METRIC_INNER_PRODUCT)
    ivf = faiss.extract_index_ivf(index)
    ivf.cp.seed, ivf.cp.niter = seed + 1, ROUNDS
    ivf.cp.min_points_per_centroid, ivf.cp.max_points_per_centroid = 1, 256
    if isinstance(index, faiss.IndexPreTransform):
        rotation = faiss.downcast_VectorTransform(index.chain.at(0))
        rotation.niter, rotation.niter_pq_0, rotation.max_train_points = OPQ_ROUNDS, OPQ_START, OPQ_ROWS
    index.train(_sample(plan, stored, seed))
    _write(faiss, index, path)


def _sample(plan: IndexPlan, stored: Rows, seed: int) -> np.ndarray:
    """The training rows in single precision, converted part by part: memory holds them once."""
    ids = sample_ids(plan.train_rows, plan.n, seed)
    rows = np.empty((len(ids), plan.dim), dtype=np.float32)
    for start in range(0, len(ids), _ADDED_AT_ONCE):
        rows[start : start + _ADDED_AT_ONCE] = stored.take(ids[start : start + _ADDED_AT_ONCE])
    return rows


def sample_ids(count: int, n: int, seed: int) -> np.ndarray:
    """``count`` of n ids, ascending: single rows of small galleries, short runs of large ones."""
    rng = np.random.default_rng(seed)
    if n <= _ROW_BY_ROW:
        return np.sort(rng.choice(n, size=count, replace=False))
    starts = np.sort(rng.choice(n // _RUN, size=-(-count // _RUN), replace=False)) * _RUN
    return (starts[:, None] + np.arange(_RUN)).reshape(-1)[:count]


def build_block(piece: Piece, trained: str) -> str:
    """Add a run of rows to a copy of the trained index and write its lists; returns the block's path.

    Only the lists are written: the centres of a large index take a gigabyte, and there are thousands of blocks.
    """
    faiss = require_faiss()
    index = faiss.read_index(trained)
    rows = np.load(piece.shard, mmap_mode="r", allow_pickle=False)
    for start in range(piece.start, piece.start + piece.rows, _ADDED_AT_ONCE):
        part = np.asarray(rows[start : min(start + _ADDED_AT_ONCE, piece.start + piece.rows)], dtype=np.float32)
        ids = np.arange(len(part), dtype=np.int64) + piece.first_id + start - piece.start
        index.add_with_ids(part, ids)
    ivf = faiss.extract_index_ivf(index)
    centres, ivf.quantizer = ivf.quantizer, faiss.IndexFlat(ivf.d, ivf.metric_type)
    _write(faiss, ivf, Path(piece.block))
    ivf.quantizer = centres
    return piece.block


def merge_blocks(trained: Path, blocks: list[Path], out: Path, on_disk: bool) -> list[Path]:
    """Merge blocks into one index, in memory or with its lists in a file of their own; the order fixes every byte.

    Args:
        trained: the empty index.
        blocks: in row order.
        out: folder to write to.
        on_disk: whether the lists stay on disk.

    Returns:
        The index file, then its lists file if there is one.
    """
    faiss = require_faiss()
    out.mkdir(parents=True, exist_ok=True)
    return _merge_on_disk(faiss, trained, blocks, out) if on_disk else _merge_in_memory(faiss, trained, blocks, out)


def _merge_in_memory(faiss: Any, trained: Path, blocks: list[Path], out: Path) -> list[Path]:
    """Room for every list is made once, so that memory holds the result and one block, never twice the result."""
    index = faiss.read_index(str(trained))
    ivf = faiss.extract_index_ivf(index)
    for number, rows in enumerate(_list_sizes(faiss, blocks, ivf.nlist)):
        ivf.invlists.resize(number, int(rows))
        ivf.invlists.resize(number, 0)
    for path in blocks:
        block = faiss.read_index(str(path))
        ivf.invlists.merge_from(faiss.extract_index_ivf(block).invlists, 0)
        ivf.ntotal += block.ntotal
    index.ntotal = ivf.ntotal
    _write(faiss, index, out / "index.faiss")
    return [out / "index.faiss"]


def _list_sizes(faiss: Any, blocks: list[Path], nlist: int) -> np.ndarray:
    """Rows of each list over all blocks."""
    total = np.zeros(nlist, dtype=np.int64)
    for path in blocks:
        block = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        lists = faiss.extract_index_ivf(block).invlists
        total += [lists.list_size(number) for number in range(nlist)]
    return total


def _merge_on_disk(faiss: Any, trained: Path, blocks: list[Path], out: Path) -> list[Path]:
    """Memory holds neither the blocks nor the result: both are memory-mapped."""
    lists = out / "merged.ivfdata"
    lists.unlink(missing_ok=True)
    index = faiss.read_index(str(trained))
    ivf = faiss.extract_index_ivf(index)
    opened = [faiss.read_index(str(block), faiss.IO_FLAG_MMAP) for block in blocks]
    pointers = faiss.InvertedListsPtrVector()
    for block in opened:
        pointers.push_back(faiss.extract_index_ivf(block).invlists)
    with silent():
        merged = faiss.OnDiskInvertedLists(ivf.nlist, ivf.code_size, str(lists))
        total = merged.merge_from_multiple(pointers.data(), pointers.size(), False)
    index.ntotal = ivf.ntotal = total
    ivf.replace_invlists(merged, True)
    merged.this.disown()
    merged.filename = lists.name  # found beside the index wherever the folder is moved to
    _write(faiss, index, out / "populated.index")
    return [out / "populated.index", lists]


def _write(faiss: Any, index: Any, path: Path) -> None:
    aside = path.with_name(path.name + ".new")
    faiss.write_index(index, str(aside))
    aside.replace(path)
