"""Which index for how many embeddings: bytes, memory and work of each kind, by arithmetic alone. Needs no faiss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bdk.errors import PlanError
from bdk.galleries.manifest import Kind

KINDS: tuple[Kind, ...] = ("flat", "ivf-flat", "ivf-sq8", "opq-ivf-pq")
SCAN_BELOW = 50_000
"""Rows up to which a scan answers in milliseconds and an index is not worth its training."""
POINTS_PER_LIST = 64
"""Training rows per inverted list; k-means wants 39 to 256."""
ROUNDS = 10
"""k-means rounds."""
SHARE = 0.8
"""Share of the memory budget that a searched index may take."""
_ID = 8
OPQ_ROUNDS, OPQ_ROWS, OPQ_START = 20, 16_384, 10
"""Learning an OPQ rotation: rounds, rows, k-means rounds of the first one. With faiss's own 50, 65,536 and 40 it takes
longer than everything else together."""
_SAMPLE_SHARE: dict[Kind, float] = {"ivf-flat": 0.5, "ivf-sq8": 0.5, "opq-ivf-pq": 0.42}
"""Share of the memory budget that the training sample may take; a rotated index holds it twice."""


@dataclass(frozen=True)
class IndexPlan:
    """What one kind of index would take.

    Args:
        kind: which.
        factory: faiss's description of it; empty for `flat`.
        n: rows.
        dim: numbers of a row.
        nlist: inverted lists.
        nprobe: lists visited per query.
        bytes_per_vector: of the index, ids included; for `flat` of the stored half-precision rows that are scanned.
        train_rows: rows that training reads.
        train_flop: work of training (k-means of the lists; for OPQ also its rotation).
        add_flop: work of assigning every row to its list, and for OPQ of rotating and quantising it.
    """

    kind: Kind
    factory: str
    n: int
    dim: int
    nlist: int
    nprobe: int
    bytes_per_vector: int
    train_rows: int
    train_flop: float
    add_flop: float

    @property
    def bytes(self) -> int:
        """Size of the index, bytes: on disk, and in memory unless its lists stay on disk."""
        return self.n * self.bytes_per_vector + self.fixed_bytes

    @property
    def fixed_bytes(self) -> int:
        """List centres, their graph if any, and an OPQ rotation: in memory even if the lists stay on disk."""
        graph = self.nlist * 32 * 2 * 4 if "HNSW" in self.factory else 0
        rotation = 4 * self.dim * self.dim if self.kind == "opq-ivf-pq" else 0
        return self.nlist * self.dim * 4 + graph + rotation

    @property
    def train_bytes(self) -> int:
        """Memory that training takes: the sample in single precision, twice for a rotated index, and the centres."""
        return self.train_rows * self.dim * 4 * (2 if self.kind == "opq-ivf-pq" else 1) + self.fixed_bytes

    @property
    def stored_bytes(self) -> int:
        """Half-precision embeddings that are kept beside the index for exact ranking."""
        return 2 * self.n * self.dim

    @property
    def query_bytes(self) -> float:
        """Bytes of lists that one query reads: the share of the lists that it visits."""
        return self.stored_bytes if self.kind == "flat" else self.n * self.bytes_per_vector * self.nprobe / self.nlist

    def hours(self, gflops: float) -> float:
        """Build time at ``gflops`` billion operations a second, k-means and assignment only."""
        return (self.train_flop + self.add_flop) / (gflops * 1e9) / 3600


def plan_index(kind: Kind, n: int, dim: int, nlist: int = 0, memory: float = math.inf) -> IndexPlan:
    """What an index of one kind over n rows of dim numbers would take.

    Args:
        kind: one of `KINDS`.
        n: rows.
        dim: numbers of a row.
        nlist: inverted lists; 0 takes `lists_for`.
        memory: bytes that building may take; training stays within seven eighths of it.

    Raises:
        PlanError: n or dim is not positive.
    """
    if n < 1 or dim < 1:
        raise PlanError(f"An index needs at least one row of one number, not {n} x {dim}.")
    if kind == "flat":
        return IndexPlan(kind, "", n, dim, 0, 0, 2 * dim, 0, 0.0, 0.0)
    most = max(1024, int(min(n, _SAMPLE_SHARE[kind] * memory / (4 * dim))))
    nlist = nlist or lists_for(n, most)
    graph = nlist >= 65_536
    lists = f"IVF{nlist}_HNSW32" if graph else f"IVF{nlist}"
    parts = pq_parts(dim)
    # np: no polysemous codes, whose training takes nine tenths of the time and which no search here uses
    factory = {
        "ivf-flat": f"{lists},Flat",
        "ivf-sq8": f"{lists},SQ8",
        "opq-ivf-pq": f"OPQ{parts},{lists},PQ{parts}np",
    }[kind]
    code = {"ivf-flat": 4 * dim, "ivf-sq8": dim, "opq-ivf-pq": parts}[kind]
    train_rows = min(n, most, nlist * POINTS_PER_LIST)
    train = 2.0 * train_rows * nlist * dim * ROUNDS
    train += _opq_flop(min(train_rows, OPQ_ROWS), dim) if kind == "opq-ivf-pq" else 0.0
    # a graph makes a few hundred comparisons a row, each as slow as about 28 of a matrix product: memory is waited for
    visited = 16 * 32 * math.log2(nlist) if graph else nlist
    add = 2.0 * n * visited * dim
    add += 2.0 * n * dim * (dim + 256) if kind == "opq-ivf-pq" else 0.0
    return IndexPlan(kind, factory, n, dim, nlist, probes_for(nlist), code + _ID, train_rows, train, add)


def lists_for(n: int, sample: float = math.inf) -> int:
    """Inverted lists for n rows: the power of two nearest to 4 sqrt(n), 16 to 262,144, at least 32 sample rows each."""
    wanted = round(math.log2(4 * math.sqrt(n)))
    trainable = math.floor(math.log2(max(sample, 512) / 32)) if sample < math.inf else wanted
    return int(2 ** min(18, max(4, min(wanted, trainable))))


def probes_for(nlist: int) -> int:
    """Lists visited per query unless told otherwise: a thirty-second part of them, 8 to 128."""
    return min(nlist, min(128, max(8, nlist // 32)))


def pq_parts(dim: int) -> int:
    """Bytes of a PQ code: an eighth of the dimension, or the next smaller number that divides it."""
    return next(parts for parts in range(max(1, dim // 8), 0, -1) if dim % parts == 0)


def _opq_flop(rows: int, dim: int) -> float:
    """Rotation and re-quantisation of the sample in each round of OPQ."""
    return OPQ_ROUNDS * rows * dim * (2.0 * dim + 2.0 * 256 * 4)


@dataclass(frozen=True)
class Choice:
    """A chosen index, whether its lists stay on disk, and why."""

    plan: IndexPlan
    on_disk: bool
    why: str


def choose_index(
    n: int, dim: int, memory: float, kind: Kind | None = None, on_disk: bool | None = None, nlist: int = 0
) -> Choice:
    """The most faithful index that fits a memory budget, or the one asked for.

    Args:
        n: rows.
        dim: numbers of a row.
        memory: bytes that a search may take.
        kind: what the user asked for; none chooses.
        on_disk: whether lists stay on disk; none decides by the budget.
        nlist: inverted lists; 0 chooses by size.
    """
    budget = SHARE * memory
    if kind is not None:
        plan = plan_index(kind, n, dim, nlist, memory)
        disk = plan.bytes > budget if on_disk is None else on_disk
        return Choice(
            plan, disk and kind != "flat", f"{kind} was asked for; it takes {size(plan.bytes)} of {size(memory)}"
        )
    flat = plan_index("flat", n, dim)
    if n <= SCAN_BELOW:
        return Choice(flat, False, f"{n:,} rows are scanned in milliseconds; an index would only cost accuracy")
    passed: list[str] = []
    for candidate in (plan_index(k, n, dim, nlist, memory) for k in KINDS[1:]):
        if candidate.bytes <= budget:
            over = f"{', '.join(passed)} would not fit; " if passed else ""
            within = f"within {SHARE:.0%} of the budget of {size(memory)}"
            why = f"{over}{candidate.kind} takes {size(candidate.bytes)}, {within}"
            return Choice(candidate, bool(on_disk), why)
        passed.append(f"{candidate.kind} ({size(candidate.bytes)})")
    last = plan_index("opq-ivf-pq", n, dim, nlist, memory)
    return Choice(
        last, True, f"{', '.join(passed)} exceed {SHARE:.0%} of {size(memory)}; the smallest is kept, its lists on disk"
    )


def size(count: float) -> str:
    """Bytes in words."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"
