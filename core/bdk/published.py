"""Published stage-I checkpoints: read without running code, checked key by key.

MindEye and BrainRAM's release save one file per guide: ``model_state_dict`` holds the encoder under ``voxel2clip.``,
the prior's network under ``net.``, and the numbers of the noise schedule. Parts that can be read from such a file say
how their weights are called there (`Published`); everything else is theirs, nothing about them is known here.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.serialization import safe_globals

from bdk.canonical import file_digest
from bdk.contexts import EncoderContext, PriorContext
from bdk.errors import DataError, SpecError
from bdk.plan import space_options
from bdk.registry import Registry, build, config_class
from bdk.spaces import Space

SOURCES: dict[str, dict[str, str]] = {
    "mindeye": {"encoder": "mlp", "prior": "diffusion"},
    "brainram": {"encoder": "mamba", "prior": "diffusion"},
}
"""Whose checkpoints can be read, and the parts that they hold."""
SPACES = ("clip-vit-l14/image", "clip-vit-l14/text")
"""What both releases decode into; the number of tokens says which."""


SCHEDULE = ("builtins.getattr", "torch.optim.lr_scheduler.OneCycleLR")
"""What the releases' files ask for besides tensors: beside ``model_state_dict`` they keep the state of a learning-rate
schedule, which torch 2.0 pickles with a reference to one of its methods. It is passed over: `_PassedOver`."""


@runtime_checkable
class Published(Protocol):
    """A part whose weights others have published."""

    def published_names(self) -> Mapping[str, str]:
        """Names of its weights in the published file: ours -> theirs; all of them."""

    def published_constants(self) -> Mapping[str, Tensor]:
        """What the file holds besides, by their names: it must have these values."""

    @staticmethod
    def published_sizes(state: Mapping[str, Tensor]) -> Mapping[str, int]:
        """What the file says about the context: ``voxels``, or ``tokens`` and ``dim``; empty if it does not say."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a published file: parts, their weights by our names, and the context that they fit."""

    source: str
    guide: str
    space: Space
    voxels: int
    parts: Mapping[str, Mapping[str, Any]]
    tensors: Mapping[str, Tensor]
    sha256: str

    def facts(self) -> dict[str, Any]:
        """Everything but the weights, as plain data."""
        return {
            "source": self.source,
            "guide": self.guide,
            "space": space_options(self.space),
            "voxels": self.voxels,
            "parts": {family: dict(part) for family, part in self.parts.items()},
            "parameters": sum(tensor.numel() for tensor in self.tensors.values()),
            "sha256": self.sha256,
        }


def read(
    path: Path,
    source: str,
    registry: Registry,
    *,
    space: str = "",
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Checkpoint:
    """Read a published checkpoint.

    Args:
        path: the ``.pth`` file.
        source: ``mindeye`` or ``brainram``.
        registry: where the parts come from.
        space: id of the space; by default the release's own of that size.
        options: options of encoder and prior that differ from the published ones.

    Raises:
        DataError: no such file, pickled code, an unknown or missing key, another shape or other constants: the first
            such key is named.
        SpecError: an unknown source or space, or a size that no published space has.
    """
    if source not in SOURCES:
        raise SpecError(f"No checkpoint format {source!r}.", mend=f"Known: {', '.join(SOURCES)}.")
    state = _state(path)
    infos = {family: registry.component(family, use) for family, use in SOURCES[source].items()}
    kinds = {family: _target(info) for family, info in infos.items()}
    sizes = {**kinds["encoder"].published_sizes(state), **kinds["prior"].published_sizes(state)}
    found = _space(sizes, space, registry, path)
    configs = {f: config_class(info).model_validate(dict((options or {}).get(f, {}))) for f, info in infos.items()}
    contexts = {"encoder": EncoderContext(sizes.get("voxels", 0), found), "prior": PriorContext(found)}
    with torch.device("meta"):
        parts = {family: build(infos[family], configs[family], contexts[family]) for family in infos}
    tensors = _matched(parts, state, path)
    return Checkpoint(
        source,
        "text" if found.modality == "text" else "image",
        found,
        sizes["voxels"],
        {
            f: {"use": info.name, "version": info.version, **configs[f].model_dump(mode="json")}
            for f, info in infos.items()
        },
        tensors,
        file_digest(path),
    )


def _state(path: Path) -> dict[str, Tensor]:
    """``model_state_dict`` of the file, without running anything in it; DataParallel's ``module.`` is taken off."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        with safe_globals([(_PassedOver, name) for name in SCHEDULE]):
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"the pickled code {code[1]!r}" if code else "something other than tensors"
        raise DataError(f"The file holds {what}, and is not opened.", where=str(path), mend=_CLEAN) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise DataError(f"The file cannot be read: {error}", where=str(path), mend="Is it whole?") from error
    state = loaded.get("model_state_dict") if isinstance(loaded, dict) else None
    if not isinstance(state, dict):
        raise DataError(
            "The file has no 'model_state_dict'.", where=str(path), mend="Give a checkpoint as the release saves it."
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise DataError(f"{key!r} is no tensor.", where=str(path), mend=_CLEAN)
    return {key.removeprefix("module."): value for key, value in state.items()}


class _PassedOver:
    """Stands where a file asks for a name of `SCHEDULE`: takes what it is given and does nothing with it."""

    def __init__(self, *given: object) -> None:
        pass


_CLEAN = "Save its 'model_state_dict', which holds tensors alone, where you trust the file."


def _target(info: Any) -> Any:
    from bdk.registry import resolve

    return resolve(info.target, owner=info.distribution)


def _space(sizes: Mapping[str, int], id: str, registry: Registry, path: Path) -> Space:
    if missing := [name for name in ("voxels", "tokens", "dim") if name not in sizes]:
        raise DataError(
            f"The file does not say its {' and '.join(missing)}: keys 'voxel2clip.*' or 'net.*' are missing.",
            where=str(path),
            mend="Give a stage-I checkpoint with encoder and prior, as the release saves it.",
        )
    if id:
        return registry.space(id)
    size = sizes["tokens"], sizes["dim"]
    for space in map(registry.space, SPACES):
        if (space.tokens, space.dim) == size:
            return space
    raise SpecError(
        f"The file holds {size[0]} x {size[1]} tokens, as no space of the releases does.",
        where=str(path),
        mend="Name its space: --space ID.",
    )


def _matched(parts: Mapping[str, Published], state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The file's tensors by our names; every key and shape accounted for."""
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {}
    constants: dict[str, Tensor] = {}
    for family, part in parts.items():
        shapes = {key: tuple(value.shape) for key, value in part.state_dict().items()}  # type: ignore[attr-defined]
        wanted |= {theirs: (f"{family}.{ours}", shapes[ours]) for ours, theirs in part.published_names().items()}
        constants |= part.published_constants()
    _refuse_keys(sorted(state.keys() - wanted.keys() - constants.keys()), "unknown to this format", path)
    _refuse_keys(sorted(wanted.keys() - state.keys()), "missing", path)
    for key, (_, shape) in wanted.items():
        if tuple(state[key].shape) != shape:
            raise DataError(
                f"{key!r} has shape {tuple(state[key].shape)}, not {shape}.", where=str(path), mend=_OTHER_SIZES
            )
        if not state[key].is_floating_point() or not bool(state[key].isfinite().all()):
            raise DataError(
                f"{key!r} holds numbers that are not finite.", where=str(path), mend="Take another checkpoint."
            )
    for key in constants.keys() & state.keys():
        expected = constants[key].float()
        if state[key].shape != expected.shape or not torch.allclose(state[key].float(), expected, rtol=1e-3, atol=1e-6):
            raise DataError(f"{key!r} has other values than the published ones.", where=str(path), mend=_OTHER_SIZES)
    return {ours: state[theirs].float() for theirs, (ours, _) in wanted.items()}


_OTHER_SIZES = "If it was trained with other sizes, say so: --set encoder.hidden=2048, --set prior.depth=4."


def _refuse_keys(keys: list[str], how: str, path: Path) -> None:
    if keys:
        more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
        raise DataError(f"Key {keys[0]!r} is {how}{more}.", where=str(path), mend=_OTHER_SIZES)
