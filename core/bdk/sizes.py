"""How large and how long a plan's steps are, before any of them is made: meta tensors, no data, no weights."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from bdk.artifacts import RECIPE, Store
from bdk.canonical import digest
from bdk.contexts import EncoderContext, FusionContext, PriorContext
from bdk.galleries.queries import query_for
from bdk.lacking import step_lacks
from bdk.plan import Plan, PlannedRun, Step, describe, space_from
from bdk.registry import Registry, build, config_class
from bdk.spec import GuideSpec

ADAM_BYTES = 16
"""Weight, gradient and two moments of one trained parameter, single precision."""
SOLVED_BYTES = 8
"""A solved weight, and its copy while it is written."""
HALF_ABOVE = 2 << 30


def sizes_of(plan: Plan, registry: Registry, store: Store) -> dict[str, dict[str, Any]]:
    """For each step: parameters, memory while training, disk, seconds (recorded, or of equal steps before), and what
    is missing for it on this machine."""
    timings = _timings(store)
    found: dict[str, dict[str, Any]] = {}
    for run in plan.runs:
        described = describe(run.spec.data, registry)
        for key in run.keys.values():
            if key not in found:
                step = plan.steps[key]
                found[key] = _Sizer(step, run, described, registry).facts() | _seconds(step, store, timings)
    return found


class _Sizer:
    def __init__(self, step: Step, run: PlannedRun, described: Any, registry: Registry) -> None:
        self.step, self.run, self.described, self.registry = step, run, described, registry
        self.n = described.n_train + described.n_test

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = getattr(self, f"_{self.step.kind}", dict)()
        missing = step_lacks(self.step, self.registry)
        return {**facts, **({"missing": missing} if missing else {})}

    def _data(self) -> dict[str, Any]:
        return {"disk_bytes": self.n * (4 * self.described.voxels + self.described.picture_bytes)}

    def _targets(self) -> dict[str, Any]:
        space = self._space()
        full = 4 * self.n * space.size
        return {"disk_bytes": full // 2 if full > HALF_ABOVE else full}

    def _estimate(self) -> dict[str, Any]:
        options, space = self.step.options, self._space()
        rois, at_most = self._rois(options["encoder"].get("roi", ()))
        context = EncoderContext(self.described.voxels, space, self.step.guide, rois)
        encoder = self._count("encoder", options["encoder"], context)
        prior, samples = 0, 1
        if options["prior"] != "none":
            prior = self._count("prior", options["prior"], PriorContext(space, self.step.guide))
            samples = int(options["prior"].get("samples", 1))
        rows = self.described.n_test * (samples + 1) + self._share(options["stage1"]) * self.described.n_train * samples
        return {
            "parameters": encoder + prior,
            "parts": {"encoder": encoder, "prior": prior},
            "memory_bytes": self._encoder_memory(encoder) + ADAM_BYTES * prior,
            "disk_bytes": int(4 * (encoder + prior) + 4 * rows * space.size),
            **({"at_most": True} if at_most else {}),
        }

    def _encoder_memory(self, count: int) -> int:
        """Bytes while it is trained; or solved, with the standardised betas and their factors in double precision."""
        if self.step.options["encoder"]["fit_mode"] != "closed_form":
            return ADAM_BYTES * count
        n, voxels = self.described.n_train, self.described.voxels
        return SOLVED_BYTES * count + 8 * n * (voxels + min(n, voxels))

    def _rois(self, wanted: Iterable[str]) -> tuple[dict[str, tuple[int, ...]], bool]:
        """Regions of the right sizes; of one whose size the data does not say yet, all voxels, and that this is so."""
        known = {name: tuple(range(count)) for name, count in self.described.rois.items()}
        unknown = {name: tuple(range(self.described.voxels)) for name in wanted if name not in known}
        return known | (unknown if not known else {}), bool(unknown) and not known

    @staticmethod
    def _share(stage1: Mapping[str, Any]) -> float:
        """Share of the training stimuli of which estimates are kept."""
        return {"holdout": float(stage1["holdout"]), "none": 0.0}.get(stage1["estimates"], 1.0)

    def _retrieve(self) -> dict[str, Any]:
        space = space_from(self.step.options["spaces"][self.step.guide])
        guide = self.run.spec.guide(self.step.guide)
        share = self._share(guide.stage1.model_dump())
        found = (
            (self.described.n_test + share * self.described.n_train)
            * self._searched(guide)
            * int(self.step.options["retriever"].get("k", 4))
        )
        return {"disk_bytes": int(4 * found * space.size)}

    def _refine(self) -> dict[str, Any]:
        guide = self.run.spec.guide(self.step.guide)
        k = int(getattr(guide.retriever.options, "k", 4)) if guide.retriever else 0
        k *= self._searched(guide) if guide.stage2.neighbours == "pooled" else 1
        count = self._count("fusion", self.step.options["fusion"], FusionContext(self._space(), k, self.step.guide))
        return {
            "parameters": count,
            "memory_bytes": ADAM_BYTES * count,
            "disk_bytes": 4 * count + 4 * self.described.n_test * _samples(guide) * self._space().size,
        }

    def _searched(self, guide: GuideSpec) -> int:
        """Searches for each stimulus: one a sample of the guide that the query is made of, or the encoder's alone."""
        name = getattr(guide.retriever.options, "query", "auto") if guide.retriever else "auto"
        query = query_for(name, guide.name)
        return 1 if query.source == "encoder" else _samples(self.run.spec.guide(query.guide))

    def _space(self) -> Any:
        return space_from(self.step.options["space"])

    def _count(self, family: str, plain: Mapping[str, Any], context: object) -> int:
        info = self.registry.component(family, plain["use"])
        kind = config_class(info)
        config = kind.model_validate({key: value for key, value in plain.items() if key in kind.model_fields})
        with torch.device("meta"):
            part = build(info, config, context)
        if info.fit_mode == "closed_form":
            return sum(value.numel() for value in part.state_dict().values())
        parameters = part.parameters() if hasattr(part, "parameters") else ()
        return sum(parameter.numel() for parameter in parameters)


def _samples(guide: GuideSpec) -> int:
    """S of a guide's estimates."""
    return int(getattr(guide.prior.options, "samples", 1)) if guide.prior else 1


def _timings(store: Store) -> dict[str, list[float]]:
    """Seconds of every step in the store, by what decides how long it takes."""
    found: dict[str, list[float]] = {}
    for path in store.root.glob(f"*/{RECIPE}"):
        try:
            recipe = json.loads(path.read_text())
            found.setdefault(_likeness(recipe), []).append(float(recipe["seconds"]))
        except (ValueError, KeyError):
            continue
    return found


def _likeness(recipe: Mapping[str, Any]) -> str:
    """Equal for steps that do the same work on the same data, whatever their seed and the results they work on."""
    options = {name: value for name, value in recipe["options"].items() if name != "seed"}
    return digest([recipe["kind"], options, recipe["inputs"].get("data", "")])


def _seconds(step: Step, store: Store, timings: Mapping[str, list[float]]) -> dict[str, Any]:
    """Seconds it took, or the median of those that equal steps took."""
    if step.key in store:
        artifact = store.get(step.key)
        return {"seconds": artifact.recipe["seconds"]} if artifact else {}
    likeness = _likeness(step.recipe())
    return {"seconds": statistics.median(timings[likeness])} if likeness in timings else {}
