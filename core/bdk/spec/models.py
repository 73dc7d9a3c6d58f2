"""What a resolved spec is: every option written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from bdk.components import Config
from bdk.training.configs import Stage1, Stage2


class Select(Config):
    """How one of several candidate pictures is chosen."""

    rule: Literal["brain", "first", "random", "oracle"] = "brain"
    """``brain`` compares candidates with what the encoder read from the voxels; ``oracle`` compares them with the
    stimulus itself, and stamps every output it touches."""
    candidates: int = Field(4, ge=1, json_schema_extra={"quick": 2})
    """Pictures painted for each stimulus. BrainRAM: 4."""
    guides_from: Literal["samples", "mean"] = "samples"
    """Whether candidate i is painted from prior sample i, or every candidate from the mean of the samples."""


class Measure(Config):
    """What is scored, and how."""

    preset: Literal["mindeye", "brain-diffuser"] = "mindeye"
    """Preprocessing of the image metrics; numbers of two presets never share a column."""
    metrics: tuple[str, ...] = ()
    """Names of the metrics to compute; empty computes all."""
    pool: int = Field(300, ge=2)
    """Candidates of one retrieval draw; all test items if there are fewer."""
    draws: int = Field(30, ge=1)
    """Random pools over which retrieval is averaged."""
    retrieval_from: Literal["auto", "contrast", "estimate", "refined"] = "auto"
    """Which embedding is scored in retrieval: the encoder's contrast output (MindEye), the prior's (mean of the
    samples) or the refined one. ``auto`` takes the last that exists, as Table 2 of BrainRAM seems to."""
    seed: int = 0
    """Seed of the draws and the resampling."""


@dataclass(frozen=True)
class Part:
    """One chosen part and all of its options."""

    family: str
    use: str
    options: Config

    def plain(self) -> dict[str, Any]:
        """As it is hashed and written."""
        return {"use": self.use, **self.options.model_dump(mode="json", exclude_none=True)}


@dataclass(frozen=True)
class GuideSpec:
    """The chain of parts that makes one guide."""

    name: str
    encoder: Part
    prior: Part | None
    retriever: Part | None
    fusion: Part | None
    stage1: Stage1
    stage2: Stage2

    def plain(self) -> dict[str, Any]:
        """As it is hashed and written."""
        parts = {"encoder": self.encoder, "prior": self.prior, "retriever": self.retriever, "fusion": self.fusion}
        return {
            **{key: part.plain() if part else "none" for key, part in parts.items()},
            "stage1": self.stage1.model_dump(mode="json", exclude_none=True),
            "stage2": self.stage2.model_dump(mode="json", exclude_none=True),
        }


@dataclass(frozen=True)
class RunSpec:
    """One row of a table: everything needed to make its pictures and numbers."""

    name: str
    sweep: str
    label: str
    seed: int
    data: Part
    guides: tuple[GuideSpec, ...]
    decoder: Part | None
    select: Select
    measure: Measure
    reported: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    ours: bool = False
    note: str = ""
    cite: tuple[str, ...] = ()
    quick: bool = False

    def guide(self, name: str) -> GuideSpec:
        """The chain of one guide."""
        return next(guide for guide in self.guides if guide.name == name)

    def plain(self) -> dict[str, Any]:
        """The resolved spec, as ``spec.toml`` holds it; reads back to the same run."""
        return {
            "name": self.name,
            "seed": self.seed,
            "guides": [guide.name for guide in self.guides],
            "data": self.data.plain(),
            "decoder": self.decoder.plain() if self.decoder else "none",
            "select": self.select.model_dump(mode="json", exclude_none=True),
            "measure": self.measure.model_dump(mode="json", exclude_none=True),
            "guide": {guide.name: guide.plain() for guide in self.guides},
        }
