"""Imported checkpoints in the store: kept once, found by key, loaded in place of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from bdk.artifacts import Artifact, Store
from bdk.canonical import digest
from bdk.errors import ArtifactError, ComponentError
from bdk.published import Checkpoint
from bdk.spaces import Space

KIND = "checkpoint"
VERSION = 1


def keep(checkpoint: Checkpoint, store: Store) -> Artifact:
    """Write a checkpoint into the store: ``model.safetensors`` and, in the recipe, what it is. Done once per file."""
    recipe = {"kind": KIND, "version": VERSION, "label": f"{KIND} {checkpoint.source}", **checkpoint.facts()}

    def write(out: Path, work: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}, out / "model.safetensors")

    return store.make(digest(recipe), recipe, write)[0]


def find(store: Store, key: str) -> Artifact:
    """An imported checkpoint by its key, or by the first digits of it.

    Raises:
        ArtifactError: there is none, there are several, or it is no checkpoint.
    """
    keys = sorted(path.name for path in store.root.glob(f"{key}*") if (path / "recipe.json").is_file()) if key else []
    if len(keys) != 1:
        raise ArtifactError(
            f"{len(keys) or 'No'} artifact{'s' if len(keys) != 1 else ''} of the store begin with {key!r}.",
            where=str(store.root),
            mend="Give the key that `bdk import` printed.",
        )
    artifact = store.need(keys[0], "imported checkpoint")
    if artifact.recipe.get("kind") != KIND:
        raise ArtifactError(f"Artifact {key!r} is no imported checkpoint.", where=str(store.root))
    return artifact


def load_into(artifact: Artifact, modules: Mapping[str, Any], *, voxels: int, space: Space, where: str = "") -> None:
    """Put imported weights into an encoder and a prior, in place of training; strictly.

    Args:
        artifact: from `keep` or `find`.
        modules: ``encoder`` and ``prior``, built for this run.
        voxels: voxels of this run's betas.
        space: space of this run's guide.
        where: the spec's option, for messages.

    Raises:
        ComponentError: other parts, another voxel count, another space or other sizes; nothing is loaded then.
    """
    recipe = artifact.recipe
    _same(voxels, recipe["voxels"], "voxel count", where)
    _same(
        (space.id, space.tokens, space.dim), tuple(recipe["space"][k] for k in ("id", "tokens", "dim")), "space", where
    )
    _same(
        sorted(name for name, module in modules.items() if module is not None), sorted(recipe["parts"]), "parts", where
    )
    tensors = artifact.tensors()
    states = {name: _under(f"{name}.", tensors) for name in recipe["parts"]}
    for name, state in states.items():
        own = {key: tuple(value.shape) for key, value in modules[name].state_dict().items()}
        given = {key: tuple(value.shape) for key, value in state.items()}
        wrong = sorted(key for key in own.keys() | given.keys() if own.get(key) != given.get(key))
        if wrong:
            key = wrong[0]
            _same(own.get(key, "none"), given.get(key, "none"), f"{name}'s {key!r}", where)
    for name, state in states.items():
        modules[name].load_state_dict(state, strict=True)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _same(have: object, want: object, what: str, where: str) -> None:
    if have != want:
        raise ComponentError(
            f"The {what} is {have}, but the imported checkpoint has {want}.",
            where=where,
            mend="Use the parts, data and space that the checkpoint was trained with, or train anew.",
        )
