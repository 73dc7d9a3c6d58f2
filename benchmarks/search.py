"""Retrieval: recall and speed of every backend, beside raw faiss, usearch and the speed of memory.

    python benchmarks/search.py                          100,000 x 768
    python benchmarks/search.py --rows 1000000           1,000,000 x 768, by SQ8 and PQ (needs about 4 GB of disk)
    python benchmarks/search.py --prepare                only build what the table needs; the next call finds it

Embeddings are synthetic: clusters of clusters with a decaying spectrum, unit length, half precision. Queries come from
the same distribution, 256 at a time. Searches take turns in one process on one thread; CPU milliseconds. Recall is
that of the sixteen nearest by an exact scan in single precision. The read limit is how many queries a second one
thread could answer one by one if reading the rows, codes and list centres that a query visits were all there is to do.
A batch may pass it, since it reads what its queries share once.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from bdk.contexts import RetrieverContext
from bdk.galleries.building import BuildOptions, build_gallery, in_turn
from bdk.galleries.gallery import Gallery
from bdk.galleries.manifest import IndexEntry, Manifest
from bdk.registry import config_class, load, resolve
from interleaved import Time, race, table, verdict

DIM, K, QUERIES, SHARD = 768, 16, 256, 50_000
KEY_MODEL = "clip-vit-l14/pooled"
SMALL = 200_000
"""Rows up to which a graph over them is built in minutes and the single-key scan is timed."""


class Competitor(NamedTuple):
    """A search of 256 keys, bytes a row of what it searches, and bytes that one query has to read (0: unknown)."""

    search: Callable[[torch.Tensor], np.ndarray]
    row_bytes: float
    query_bytes: float


def synthetic(n: int, seed: int) -> np.ndarray:
    """n unit rows: 64 clusters of 64 clusters, each with variances that fall as a power of the direction."""
    shape = np.random.default_rng(0)
    spectrum = (np.arange(1, DIM + 1) ** -0.6).astype(np.float32)
    coarse = shape.standard_normal((64, DIM), dtype=np.float32) * spectrum
    fine = 0.7 * shape.standard_normal((4096, DIM), dtype=np.float32) * spectrum
    draw = np.random.default_rng(seed)
    cluster = draw.integers(0, 4096, n)
    rows = coarse[cluster // 64] + fine[cluster] + 0.6 * draw.standard_normal((n, DIM), dtype=np.float32) * spectrum
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def embeddings(folder: Path, rows: int) -> Path:
    """Shards of embeddings as clip-retrieval lays them out; made once."""
    source = folder / f"embeddings-{rows}"
    (source / "img_emb").mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, rows, SHARD)):
        path = source / f"img_emb/img_emb_{number:04d}.npy"
        if not path.is_file():
            np.save(path, synthetic(min(SHARD, rows - start), 1 + number).astype(np.float16))
    return source


def build(
    source: Path, out: Path, kind: str | None, memory: float, lists: int = 0, map: Callable = in_turn
) -> Manifest:
    """A gallery over the embeddings, with an index of one kind."""
    options = BuildOptions("bench", KEY_MODEL, memory=memory, kind=kind, nlist=lists)  # type: ignore[arg-type]
    return build_gallery(source, out, options, map)


def retriever(name: str, root: Path, cache: Path, **options: Any) -> Any:
    """A retriever as a run gets it."""
    info = load().component("retriever", name)
    config = config_class(info).model_validate({"root": str(root), "check": "sizes", **options})
    return resolve(info.target)(config, RetrieverContext({}, DIM, KEY_MODEL, cache))


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbours that were found."""
    return float((truth[:, :, None] == found[:, None]).any(axis=2).mean())


def truth_of(gallery: Gallery, keys: torch.Tensor) -> np.ndarray:
    """The plainest exact search, block by block."""
    best = torch.full((len(keys), K), -torch.inf)
    ids = torch.zeros((len(keys), K), dtype=torch.int64)
    for start, rows in gallery.embeddings().blocks(32_768):
        scores = keys @ torch.nn.functional.normalize(torch.from_numpy(np.array(rows)).float(), dim=1).T
        fresh = torch.arange(start, start + scores.shape[1]).expand(len(keys), -1)
        best, place = torch.cat([best, scores], dim=1).topk(K, dim=1)
        ids = torch.cat([ids, fresh], dim=1).gather(1, place)
    return ids.numpy()


def competitors(folder: Path, rows: int, memory: float, kinds: list[str]) -> dict[str, Competitor]:
    """Every search by its label; what is not there yet is built."""
    source = embeddings(folder, rows)
    found: dict[str, Competitor] = {}
    for asked in kinds:
        kind, _, lists = asked.partition(":")
        root = folder / f"{kind}-{rows}"
        start = time.process_time()
        manifest = build(source, root, kind, memory, int(lists or 0))
        print(f"{kind}: {time.process_time() - start:.0f} CPU s to build or find", flush=True)
        if kind == "flat":
            found["bdk exact"] = Competitor(scan(root, folder / "cache"), 2 * DIM, 2 * DIM * rows)
        else:
            found |= indexed(root, kind, manifest.indexes["image"], rows)
    return found | raw_flat(source, rows) | (raw_graph(folder, source, rows) if rows <= SMALL else {})


def scan(root: Path, cache: Path) -> Callable[[torch.Tensor], np.ndarray]:
    """The exact scan."""
    exact = retriever("exact", root, cache)
    return lambda keys: exact.search(keys, K).ids.numpy()


def indexed(root: Path, kind: str, entry: IndexEntry, rows: int) -> dict[str, Competitor]:
    """One index at several numbers of visited lists, and faiss alone at the one that is the default."""
    import faiss

    each, found = sum(file.bytes for file in entry.files) / rows, {}
    part = retriever("faiss", root, root.parent / "cache")
    lists = faiss.extract_index_ivf(part.backend.index)

    def visiting(nprobe: int, raw: bool) -> Callable[[torch.Tensor], np.ndarray]:
        def run(keys: torch.Tensor) -> np.ndarray:
            lists.nprobe = nprobe
            return part.backend.index.search(keys.numpy(), K)[1] if raw else part.search(keys, K).ids.numpy()

        return run

    for nprobe in sorted({entry.nlist // share for share in (128, 96, 64, 32, 16)}):
        read = each * rows * nprobe / entry.nlist + 4 * DIM * entry.nlist
        label = f"{kind}, {nprobe} of {entry.nlist:,} lists"
        found[f"bdk {label}"] = Competitor(visiting(nprobe, raw=False), each, read)
        if nprobe == entry.nprobe:
            found[f"raw faiss {label}"] = Competitor(visiting(nprobe, raw=True), each, read)
    return found


def raw_flat(source: Path, rows: int) -> dict[str, Competitor]:
    """faiss's exhaustive search over the same rows in single precision."""
    import faiss

    held = np.empty((rows, DIM), dtype=np.float32)
    for number, path in enumerate(sorted((source / "img_emb").glob("*.npy"))):
        part = np.load(path, mmap_mode="r")
        held[number * SHARD : number * SHARD + len(part)] = part
    search = lambda keys: faiss.knn(keys.numpy(), held, K, metric=faiss.METRIC_INNER_PRODUCT)[1]  # noqa: E731
    return {"raw faiss Flat": Competitor(search, 4 * DIM, 4 * DIM * rows)}


def raw_graph(folder: Path, source: Path, rows: int) -> dict[str, Competitor]:
    """usearch's graph over the same rows in half precision, kept beside the galleries."""
    try:
        from usearch.index import Index
    except ImportError:
        print("usearch is not installed: pip install usearch\n")
        return {}
    path = folder / f"usearch-{rows}"
    if not path.is_file():
        start = time.process_time()
        held = np.concatenate([np.load(part) for part in sorted((source / "img_emb").glob("*.npy"))])
        made = Index(ndim=DIM, metric="ip", dtype="f16", connectivity=16, expansion_add=64, expansion_search=128)
        made.add(np.arange(rows), held, threads=1)
        made.save(str(path))
        print(f"usearch: {time.process_time() - start:.0f} CPU s to build", flush=True)
    graph = Index.restore(str(path))
    graph.expansion_search = 128
    search = lambda keys: graph.search(keys.numpy().astype(np.float16), K, threads=1).keys  # noqa: E731
    return {"usearch HNSW f16": Competitor(search, graph.memory_usage / rows, 0)}


def compare(folder: Path, rows: int, found: dict[str, Competitor], turns: int) -> bool:
    """Print the table of backends; whether the goals are met."""
    keys = torch.from_numpy(synthetic(QUERIES, 10_000)).float()
    truth = truth_of(Gallery(folder / f"flat-{rows}", "sizes"), keys)
    answers: dict[str, np.ndarray] = {}

    def ask(label: str) -> None:
        answers[label] = found[label].search(keys)

    times = race({label: (lambda name=label: ask(name)) for label in found}, turns)
    recalls = {label: recall(answer, truth) for label, answer in answers.items()}
    flat, speed = times["raw faiss Flat"].median, read_speed()
    lines = [_line(label, found[label], recalls[label], times[label], flat, speed) for label in found]
    print(
        f"\n{rows:,} x {DIM}, {QUERIES} queries at once, recall@{K}, one thread; memory is read at {speed:.1f} GB/s\n"
    )
    head = (
        "search",
        "recall",
        "CPU ms, median / least",
        "queries/s",
        "x faiss Flat",
        "bytes a row",
        "read limit, queries/s",
    )
    table(head, lines)
    fast = [name for name in found if name.startswith("bdk ivf") and recalls[name] >= 0.98]
    fast = [name for name in fast if flat / times[name].median >= 8]
    print(f"at least 8 x flat at recall >= .98: {'; '.join(fast) or 'none'}: {verdict(bool(fast))}")
    whole = recalls["bdk exact"] == 1.0
    print(f"bdk exact finds what the plainest scan finds: {verdict(whole)}")
    return bool(fast) and whole and (rows > SMALL or alone(folder, rows, found["bdk exact"].search, turns))


def _line(label: str, one: Competitor, recalled: float, spent: Time, flat: float, speed: float) -> tuple[str, ...]:
    limit = f"{1e9 * speed / one.query_bytes:,.0f}" if one.query_bytes else ""
    cost, each = f"{spent.median:,.0f} / {spent.least:,.0f}", f"{1e3 * QUERIES / spent.median:,.0f}"
    return label, f"{recalled:.4f}", cost, each, f"{flat / spent.median:.1f}", f"{one.row_bytes:,.0f}", limit


def read_speed() -> float:
    """Gigabytes a second at which one thread reads memory: a matrix of 300 MB times a vector."""
    held, weights = torch.ones(100_000, DIM), torch.ones(DIM)
    return held.numel() * 4 / 1e6 / race({"read": lambda: held @ weights}, 9)["read"].median


def alone(folder: Path, rows: int, exact: Callable[[torch.Tensor], np.ndarray], turns: int) -> bool:
    """One key at a time, against reading the same rows in single precision from memory."""
    stored = Gallery(folder / f"flat-{rows}", "sizes").embeddings()
    held = torch.cat([torch.from_numpy(np.array(block)).float() for _, block in stored.blocks()])
    key, weights = torch.from_numpy(synthetic(1, 20_000)).float(), torch.ones(DIM)
    times = race({"exact": lambda: exact(key), "read": lambda: held @ weights}, 3 * turns)
    spent, bound = times["exact"].median, times["read"].median
    met = verdict(spent <= 1.3 * bound)
    print(f"one key: {spent:.1f} ms; reading the rows once: {bound:.1f} ms; ratio {spent / bound:.2f}, goal 1.3: {met}")
    return spent <= 1.3 * bound


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kinds", default="", help="comma separated, as kind or kind:lists; default by size")
    parser.add_argument("--memory", type=float, default=4e9)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--prepare", action="store_true", help="only build what the table needs")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-search"), help="scratch folder")
    given = parser.parse_args()
    torch.set_num_threads(1)
    usual = "ivf-flat,ivf-sq8,opq-ivf-pq" if given.rows <= SMALL else "ivf-sq8,opq-ivf-pq:1024"
    kinds = ["flat", *(given.kinds or usual).split(",")]
    found = competitors(given.folder, given.rows, given.memory, kinds)
    raise SystemExit(0 if given.prepare or compare(given.folder, given.rows, found, given.turns) else 1)


if __name__ == "__main__":
    main()
