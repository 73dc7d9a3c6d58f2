"""What the words after ``bdk index build`` mean: kinds, models, pictures to embed, clusters. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def known_kind(kind: str) -> Any:
    """A kind of index, or a refusal that names them all."""
    from bdk.errors import SpecError
    from bdk.galleries.index_plans import KINDS

    if kind not in KINDS:
        raise SpecError(f"There is no index type {kind!r}.", where="--type", mend=f"Known: auto, {', '.join(KINDS)}.")
    return kind


def modalities(only: list[str] | None) -> Any:
    """Which embeddings to index; images unless told otherwise."""
    from bdk.errors import SpecError

    wrong = [part for part in only or () if part not in ("image", "text")]
    if wrong:
        raise SpecError(f"There are no {wrong[0]!r} embeddings to index.", where="--index", mend="Known: image, text.")
    return tuple(only or ("image",))


def embedded(source: Path, out: Path, key_model: str, device: str, tell: Any) -> tuple[Path, str, dict[str, int]]:
    """Embed a folder of pictures: where the embeddings are, in which space, and what could not be read."""
    from bdk.galleries.embedding import embed_folder, towers
    from bdk.registry import load

    key_model = key_model or "clip-vit-l14/pooled"
    lost = embed_folder(source, out / "embedded", towers(load(), key_model), device, tell)
    return out / "embedded", key_model, lost


def model_facts(source: Path, key_model: str) -> tuple[str, dict[str, Any]]:
    """The pooled space of a folder of embeddings, and what is known of its model."""
    from bdk.galleries.asking import infer_key_model
    from bdk.galleries.layouts import read_layout
    from bdk.registry import load

    return infer_key_model(load(), read_layout(source).dim, key_model)


def on_cluster(cluster: str, work: Callable[[Any], Any]) -> Any:
    """Do work whose pieces run on a dask cluster."""
    from bdk.executors import _client as cluster_client
    from bdk.galleries.cluster import dask_map

    with cluster_client(cluster) as client:
        return work(dask_map(client))
