"""What the data decides about a component, as opposed to what a person decides (its config)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bdk.spaces import Space


@dataclass(frozen=True)
class EncoderContext:
    """Context of an encoder: ``Target(config, EncoderContext)``.

    Args:
        voxels: V, voxels of the ROI.
        space: the space it must predict.
        guide: name of the guide it is fitted for.
        rois: voxel indices of each named ROI among the V voxels.
    """

    voxels: int
    space: Space
    guide: str = "image"
    rois: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PriorContext:
    """Context of a prior: the space it samples in."""

    space: Space
    guide: str = "image"


@dataclass(frozen=True)
class FusionContext:
    """Context of a fusion module: the space it refines in and K, the neighbours of each estimate."""

    space: Space
    k: int
    guide: str = "image"


@dataclass(frozen=True)
class RetrieverContext:
    """Context of a retriever.

    Args:
        spaces: the space of each guide that ``fetch`` may be asked for.
        key_dim: P, numbers of a pooled key.
        key_model: id of the pooled space that the queries live in, such as ``clip-vit-l14/pooled``.
        cache: folder for token caches and downloaded images.
        world: options of the data set's own stand-in galleries; empty for real data.
    """

    spaces: Mapping[str, Space]
    key_dim: int
    key_model: str
    cache: Path
    world: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class DecoderContext:
    """Context of a decoder: the guides it will receive and, if it asked for it, the retriever's pictures.

    Args:
        spaces: space of each guide it will be given.
        picture: looks up one retrieved item's picture by gallery id (float 3 H W in 0..1); for `nearest`.
    """

    spaces: Mapping[str, Space]
    picture: object = None
