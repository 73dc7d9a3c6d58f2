"""Building an index over any number of embeddings within a memory budget; resumable; on one machine or on dask.

```
shards ─► checked and hashed ─► a sample trains the index ─► pieces of rows, each an index block ─► merged ─► manifest
```
Every arrow leaves a finished file under ``OUT/building/``, written aside and renamed, so a build that was killed
goes on where it was and ends with the same bytes. Pieces do not depend on each other; dask maps over them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bdk.canonical import digest
from bdk.errors import DataError, SpecError
from bdk.galleries.blocks import Piece, build_block, merge_blocks, train
from bdk.galleries.checking import write_seal
from bdk.galleries.gallery import Rows
from bdk.galleries.index_plans import Choice, IndexPlan, choose_index
from bdk.galleries.layouts import Layout, read_layout
from bdk.galleries.manifest import (
    MANIFEST,
    FileEntry,
    IndexEntry,
    Kind,
    Manifest,
    Modality,
    read_manifest,
    write_manifest,
)
from bdk.galleries.shards import Map, Tell, claim, prepare_shards
from bdk.galleries.writing import describe_file

WORK = "building"


@dataclass(frozen=True)
class BuildOptions:
    """What a person decides about a build.

    Args:
        name: of the gallery.
        key_model: pooled space of the embeddings.
        memory: bytes that building and searching may take.
        kind: of index; none chooses by size and memory.
        on_disk: whether inverted lists stay on disk; none decides by memory.
        copy: whether embeddings are copied into the gallery (as float16) instead of being used in place.
        index: which embeddings are indexed: ``image``, ``text`` or both.
        seed: of the training sample and of k-means.
        nlist: inverted lists; 0 chooses by size.
        index_only: whether the gallery does without the embeddings once they are indexed; scores are then the
            index's own.
        facts: further fields of the manifest (licence, source, languages, clip_model, ...).
    """

    name: str
    key_model: str
    memory: float = 4e9
    kind: Kind | None = None
    on_disk: bool | None = None
    copy: bool = False
    index: tuple[Modality, ...] = ("image",)
    seed: int = 0
    nlist: int = 0
    index_only: bool = False
    facts: Mapping[str, Any] | None = None


def in_turn(work: Callable[..., Any], arguments: list[tuple]) -> Iterable[Any]:
    """The serial executor: results as they come."""
    return (work(*given) for given in arguments)


def build_gallery(
    source: Path, out: Path, options: BuildOptions, map: Map = in_turn, tell: Tell = lambda *a: None
) -> Manifest:
    """Build a gallery with its index from a folder of embeddings.

    Args:
        source: folder in a layout that `bdk.galleries.layouts` reads.
        out: gallery folder; may hold an unfinished build of the same source and options.
        options: what to build.
        map: runs independent pieces of work and yields their results in any order.
        tell: told (what, done, total).

    Raises:
        DataError: the embeddings are not a table of unit vectors, or the folder holds another build.
    """
    layout = read_layout(source)
    _check_options(options)
    choice = choose_index(layout.n, layout.dim, options.memory, options.kind, options.on_disk, options.nlist)
    identity = _identity(layout, options, choice.plan)
    if (out / MANIFEST).is_file() and not (out / WORK).is_dir():
        return _finished(out, identity)
    work = _open_work(out, identity)
    shards = prepare_shards(layout, out, work, options.copy, map, tell)
    indexes = {m: _index(shards[m], out, work / m, choice, options, map, tell) for m in options.index if m in shards}
    manifest = _manifest(layout, shards, indexes, options, {"build": identity, "kind": choice.plan.kind})
    write_seal(out, manifest.files())
    write_manifest(out, manifest)
    shutil.rmtree(work)
    return manifest


def _check_options(options: BuildOptions) -> None:
    """Refuse what would leave a gallery that nothing can search."""
    if options.index_only and (options.kind in (None, "flat") or options.copy):
        raise SpecError(
            "A gallery without embeddings needs an index, and copies none.",
            where="--index-only",
            mend="Name one of ivf-flat, ivf-sq8, opq-ivf-pq with --type, and leave --copy out.",
        )


def _identity(layout: Layout, options: BuildOptions, plan: IndexPlan) -> str:
    """What a build was made from: files by name, size and time, and every option."""
    paths = [path for s in layout.shards for path in (*s.embeddings.values(), s.metadata) if path is not None]
    files = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
    return digest([files, asdict(options), plan.factory, plan.nlist, plan.nprobe, plan.train_rows])


def _finished(out: Path, identity: str) -> Manifest:
    """The gallery that is already there, if it is the one asked for."""
    manifest = read_manifest(out)
    if manifest.recipe.get("build") != identity:
        raise DataError(
            f"The folder already holds the gallery {manifest.name!r}, made of other embeddings or with other options.",
            where=str(out),
            mend="Choose another --out, or remove that folder.",
        )
    return manifest


def _open_work(out: Path, identity: str) -> Path:
    """The folder of the unfinished build; refuses one of other options."""
    work = out / WORK
    refusal = "The folder holds an unfinished build of other embeddings or options."
    mend = "Finish it with the same command, delete that folder, or choose another --out."
    claim(work, "build.json", identity, refusal, mend)
    return work


def _index(
    shards: tuple[FileEntry, ...], out: Path, work: Path, choice: Choice, options: BuildOptions, map: Map, tell: Tell
) -> IndexEntry:
    plan = choice.plan
    if plan.kind == "flat":
        return IndexEntry(kind="flat", why=choice.why)
    work.mkdir(exist_ok=True)
    trained = work / "trained.faiss"
    if not trained.is_file():
        tell(f"train on {plan.train_rows:,} rows", 0, 1)
        train(plan, Rows(out, shards), trained, options.seed)
    pieces = pieces_of(shards, out, work, plan, options.memory)
    todo = [(piece, str(trained)) for piece in pieces if not Path(piece.block).is_file()]
    for done, _ in enumerate(map(build_block, todo), start=len(pieces) - len(todo) + 1):
        tell("add rows", done, len(pieces))
    tell("merge", 0, 1)
    files = merge_blocks(trained, [Path(piece.block) for piece in pieces], out / "index" / work.name, choice.on_disk)
    return IndexEntry(
        kind=plan.kind,
        files=tuple(describe_file(out, path) for path in files),
        on_disk=choice.on_disk,
        nlist=plan.nlist,
        nprobe=plan.nprobe,
        lossy=plan.kind != "ivf-flat",
        trained_on=plan.train_rows,
        seed=options.seed,
        why=choice.why,
    )


def pieces_of(shards: tuple[FileEntry, ...], out: Path, work: Path, plan: IndexPlan, memory: float) -> list[Piece]:
    """Runs of rows whose index block fits an eighth of the memory budget; none spans two shards."""
    most = max(1024, int(memory / 8 / (plan.bytes_per_vector + 8)))
    pieces: list[Piece] = []
    first = 0
    for shard in shards:
        for start in range(0, shard.rows, most):
            rows = min(most, shard.rows - start)
            block = work / f"block-{len(pieces):06d}.faiss"
            pieces.append(Piece(str(out / shard.path), start, rows, first + start, str(block)))
        first += shard.rows
    return pieces


def _manifest(
    layout: Layout,
    shards: dict[str, tuple[FileEntry, ...]],
    indexes: dict,
    options: BuildOptions,
    recipe: dict[str, str],
) -> Manifest:
    facts = dict(options.facts or {})
    facts.setdefault("pictures", layout.pictures)
    facts.setdefault("source", str(layout.root))
    return Manifest(
        name=options.name,
        key_model=options.key_model,
        dim=layout.dim,
        n=layout.n,
        columns=layout.columns,
        embeddings={} if options.index_only else {m: shards[m] for m in layout.modalities},
        metadata=shards.get("metadata", ()),
        indexes=indexes,
        recipe={"seed": options.seed, "memory": options.memory, **recipe},
        **facts,
    )
