"""Retrieval: recall and speed of every backend, and index builds that are killed, resumed and spread over workers.

    python benchmarks/search.py                          100,000 x 768: table of backends
    python benchmarks/search.py --rows 1000000           1,000,000 x 768, by SQ8 and PQ (needs about 4 GB of disk)
    python benchmarks/search.py --build --rows 1000000   unkilled, killed and resumed, two dask workers: equal bytes?

Embeddings are synthetic: clusters of clusters with a decaying spectrum, unit length, half precision. Queries come from
the same distribution, 256 at a time. Searches take turns in one process on one thread; CPU milliseconds. Recall is
that of the sixteen nearest by an exact scan in single precision. Builds run in processes of their own, so that their
peak memory can be read.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import json
import multiprocessing
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bdk.contexts import RetrieverContext
from bdk.galleries.building import BuildOptions, build_gallery, in_turn
from bdk.galleries.gallery import Gallery
from bdk.galleries.index_plans import size
from bdk.galleries.manifest import Manifest, read_manifest
from bdk.registry import config_class, load, resolve
from interleaved import race, table, verdict

DIM, K, QUERIES, SHARD = 768, 16, 256, 50_000
KEY_MODEL = "clip-vit-l14/pooled"


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


def competitors(
    folder: Path, rows: int, memory: float, kinds: list[str], oracles: bool
) -> dict[str, tuple[Callable, float]]:
    """label -> (search of 256 keys, bytes a row of what is searched)."""
    source = embeddings(folder, rows)
    cache = folder / "cache"
    found: dict[str, tuple[Callable, float]] = {}
    for kind in kinds:
        root = folder / f"{kind}-{rows}"
        start = time.process_time()
        manifest = build(source, root, kind, memory)
        print(f"{kind}: {time.process_time() - start:.0f} CPU s to build or find", flush=True)
        entry = manifest.indexes["image"]
        if kind == "flat":
            exact = retriever("exact", root, cache)
            found["bdk exact"] = (lambda keys, r=exact: r.search(keys, K).ids.numpy(), 2 * DIM)
            continue
        each = sum(file.bytes for file in entry.files) / rows
        for nprobe in sorted({entry.nlist // 128, entry.nlist // 64, entry.nlist // 32, entry.nlist // 16}):
            part = retriever("faiss", root, cache, nprobe=nprobe)
            found[f"bdk {kind} nprobe {nprobe}"] = (lambda keys, r=part: r.search(keys, K).ids.numpy(), each)
            if nprobe == entry.nlist // 32:
                raw = part.backend.index
                found[f"raw faiss {kind} nprobe {nprobe}"] = (lambda keys, i=raw: i.search(keys.numpy(), K)[1], each)
    return found | (raw_libraries(source) if oracles else {})


def raw_libraries(source: Path) -> dict[str, tuple[Callable, float]]:
    """faiss's flat index and usearch's graph over the same rows."""
    import faiss

    rows = np.concatenate([np.load(path) for path in sorted((source / "img_emb").glob("*.npy"))])
    flat = faiss.IndexFlatIP(DIM)
    flat.add(rows.astype(np.float32))
    found = {"raw faiss Flat": (lambda keys: flat.search(keys.numpy(), K)[1], 4.0 * DIM)}
    try:
        from usearch.index import Index
    except ImportError:
        print("usearch is not installed: pip install usearch\n")
        return found
    start = time.process_time()
    graph = Index(ndim=DIM, metric="ip", dtype="f16", connectivity=16, expansion_add=64, expansion_search=128)
    graph.add(np.arange(len(rows)), rows, threads=1)
    print(f"usearch: {time.process_time() - start:.0f} CPU s to build", flush=True)
    search = lambda keys: graph.search(keys.numpy().astype(np.float16), K, threads=1).keys  # noqa: E731
    return found | {"usearch HNSW f16": (search, graph.memory_usage / len(rows))}


def compare(folder: Path, rows: int, memory: float, kinds: list[str], turns: int, oracles: bool) -> bool:
    """Print the table of backends; whether the goals are met."""
    found = competitors(folder, rows, memory, kinds, oracles)
    keys = torch.from_numpy(synthetic(QUERIES, 10_000)).float()
    truth = truth_of(Gallery(folder / f"{kinds[0]}-{rows}", "sizes"), keys)
    times = race({label: (lambda s=search: s(keys)) for label, (search, _) in found.items()}, turns)
    recalls = {label: recall(search(keys), truth) for label, (search, _) in found.items()}
    base = times.get("raw faiss Flat")
    faster = {label: base.median / spent.median if base else float("nan") for label, spent in times.items()}
    lines = []
    for label, spent in times.items():
        cost, each = f"{spent.median:.0f} / {spent.least:.0f}", f"{1e3 * QUERIES / spent.median:,.0f}"
        lines.append((label, f"{recalls[label]:.4f}", cost, each, f"{faster[label]:.1f}", f"{found[label][1]:,.0f}"))
    print(f"\n{rows:,} x {DIM}, {QUERIES} queries at once, recall@{K}, one thread\n")
    table(("search", "recall", "CPU ms, median / least", "queries/s", "x faiss Flat", "bytes a row"), lines)
    if not oracles:
        return True
    fast = [name for name in times if name.startswith("bdk ivf") and recalls[name] >= 0.98 and faster[name] >= 8]
    print(f"at least 8 x flat at recall >= .98: {', '.join(fast) or 'none'}: {verdict(bool(fast))}")
    return alone(folder, rows, found["bdk exact"][0], turns) and bool(fast)


def alone(folder: Path, rows: int, exact: Callable, turns: int) -> bool:
    """One key at a time, against reading the same rows in single precision from memory."""
    stored = Gallery(folder / f"flat-{rows}", "sizes").embeddings()
    held = torch.cat([torch.from_numpy(np.array(block)).float() for _, block in stored.blocks()])
    key, weights = torch.from_numpy(synthetic(1, 20_000)).float(), torch.ones(DIM)
    times = race({"exact": lambda: exact(key), "read": lambda: held @ weights}, 3 * turns)
    spent, bound = times["exact"].median, times["read"].median
    met = verdict(spent <= 1.3 * bound)
    print(f"one key: {spent:.1f} ms; reading the rows once: {bound:.1f} ms; ratio {spent / bound:.2f}, goal 1.3: {met}")
    return spent <= 1.3 * bound


def _built(source: str, out: str, kind: str, memory: float, lists: int, die_at: int, pipe: Any) -> None:
    """In a process of its own: build, and kill oneself at a block if told to."""

    def dying(work: Callable, arguments: list[tuple]) -> Any:
        for number, given in enumerate(arguments):
            if work.__name__ == "build_block" and number == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield work(*given)

    start = time.process_time()
    build(Path(source), Path(out), kind, memory, lists, dying if die_at >= 0 else in_turn)
    pipe.send((time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def apart(source: Path, out: Path, kind: str, memory: float, lists: int, die_at: int = -1) -> tuple[int, float, float]:
    """(exit code, CPU seconds, peak bytes) of a build in a process of its own."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_built, args=(str(source), str(out), kind, memory, lists, die_at, there))
    process.start()
    process.join()
    told = here.recv() if here.poll() else (float("nan"), float("nan"))
    return process.exitcode or 0, *told


def compare_builds(folder: Path, rows: int, memory: float, kind: str, lists: int, workers: int) -> bool:
    """Build three times and compare every byte."""
    from bdk.galleries.cluster import dask_map

    source = embeddings(folder, rows)
    outs = {name: folder / f"build-{name}-{rows}" for name in ("unkilled", "killed", "dask")}
    for out in outs.values():
        shutil.rmtree(out, ignore_errors=True)
    lines = []
    for label, name, die_at in (
        ("unkilled", "unkilled", -1),
        ("killed at block 7", "killed", 7),
        ("resumed", "killed", -1),
    ):
        code, seconds, peak = apart(source, outs[name], kind, memory, lists, die_at)
        lines.append((label, code, f"{seconds:.0f}", size(peak) if peak == peak else ""))
        print(*lines[-1], flush=True)
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=40
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        build(source, outs["dask"], kind, memory, lists, dask_map(client))
    lines.append((f"{workers} dask workers", 0, "", ""))
    sums = {name: [file.sha256 for file in read_manifest(out).indexes["image"].files] for name, out in outs.items()}
    equal = len({json.dumps(value) for value in sums.values()}) == 1
    print(f"\n{kind} of {rows:,} x {DIM}, memory budget {size(memory)}\n")
    table(("build", "exit code", "CPU s", "peak memory"), lines)
    print(f"index bytes of all three builds equal: {verdict(equal)}")
    return equal


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kinds", default="", help="comma separated; default by size")
    parser.add_argument("--memory", type=float, default=4e9)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--build", action="store_true", help="compare builds instead of searches")
    parser.add_argument("--lists", type=int, default=0, help="inverted lists of --build")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-search"), help="scratch folder")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.build:
        kind = given.kinds or "ivf-sq8"
        met = compare_builds(given.folder, given.rows, given.memory, kind, given.lists, given.workers)
    else:
        small = given.rows <= 200_000
        usual = "flat,ivf-flat,ivf-sq8,opq-ivf-pq" if small else "ivf-sq8,opq-ivf-pq"
        kinds = (given.kinds or usual).split(",")
        met = compare(given.folder, given.rows, given.memory, kinds, given.turns, oracles=small)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
