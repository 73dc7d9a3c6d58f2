"""How large and how long a plan's steps are, before any of them is made: meta tensors, no data, no weights."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from typing import Any

import torch

from bdk.artifacts import RECIPE, Store
from bdk.contexts import EncoderContext, FusionContext, PriorContext
from bdk.errors import BdkError
from bdk.plan import Plan, PlannedRun, Step, describe, space_from
from bdk.registry import Registry, build, config_class

ADAM_BYTES = 16
"""Weight, gradient and two moments of one trained parameter, single precision."""
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
        facts = getattr(self, f"_{self.step.kind}", dict)()
        missing = [*facts.pop("missing", []), *self._missing()]
        return {**facts, **({"missing": missing} if missing else {})}

    def _data(self) -> dict[str, Any]:
        return {"disk_bytes": 4 * self.n * self.described.voxels}

    def _targets(self) -> dict[str, Any]:
        space = self._space()
        full = 4 * self.n * space.size
        return {"disk_bytes": full // 2 if full > HALF_ABOVE else full}

    def _estimate(self) -> dict[str, Any]:
        options, space = self.step.options, self._space()
        encoder = self._count("encoder", options["encoder"], EncoderContext(self.described.voxels, space, self.step.guide))
        prior, samples = 0, 1
        if options["prior"] != "none":
            prior = self._count("prior", options["prior"], PriorContext(space, self.step.guide))
            samples = int(options["prior"].get("samples", 1))
        shares = {"in-sample": 1.0, "cross-fit": 1.0, "holdout": options["stage1"]["holdout"]}
        rows = self.described.n_test * (samples + 1) + shares[options["stage1"]["estimates"]] * self.described.n_train * samples
        return {
            "parameters": encoder + prior,
            "parts": {"encoder": encoder, "prior": prior},
            "memory_bytes": ADAM_BYTES * (encoder + prior),
            "disk_bytes": int(4 * (encoder + prior) + 4 * rows * space.size),
        }

    def _retrieve(self) -> dict[str, Any]:
        space = space_from(self.step.options["spaces"][self.step.guide])
        guide = self.run.spec.guide(self.step.guide)
        samples = int(getattr(guide.prior.options, "samples", 1)) if guide.prior else 1
        share = guide.stage1.holdout if guide.stage1.estimates == "holdout" else 1.0
        found = (self.described.n_test + share * self.described.n_train) * samples * int(self.step.options["retriever"].get("k", 4))
        return {"disk_bytes": int(4 * found * space.size)}

    def _refine(self) -> dict[str, Any]:
        guide = self.run.spec.guide(self.step.guide)
        k = int(getattr(guide.retriever.options, "k", 4)) if guide.retriever else 0
        count = self._count("fusion", self.step.options["fusion"], FusionContext(self._space(), k, self.step.guide))
        samples = int(getattr(guide.prior.options, "samples", 1)) if guide.prior else 1
        return {
            "parameters": count,
            "memory_bytes": ADAM_BYTES * count,
            "disk_bytes": 4 * count + 4 * self.described.n_test * samples * self._space().size,
        }

    def _space(self) -> Any:
        return space_from(self.step.options["space"])

    def _count(self, family: str, plain: Mapping[str, Any], context: object) -> int:
        info = self.registry.component(family, plain["use"])
        kind = config_class(info)
        config = kind.model_validate({key: value for key, value in plain.items() if key in kind.model_fields})
        with torch.device("meta"):
            part = build(info, config, context)
        parameters = part.parameters() if hasattr(part, "parameters") else ()
        return sum(parameter.numel() for parameter in parameters)

    def _missing(self) -> list[str]:
        """What this step's parts say is not on this machine (``lacks()`` of a config), and its space's weights."""
        lacks: list[str] = []
        for family in ("encoder", "prior", "retriever", "fusion", "decoder"):
            plain = self.step.options.get(family)
            if isinstance(plain, Mapping):
                lacks += self._missing_of(config_class(self.registry.component(family, plain["use"])), plain)
        if self.step.kind == "data":
            lacks += self._missing_of(config_class(self.registry.dataset(self.step.options["use"])), self.step.options)
        if self.step.kind == "targets":
            lacks += missing_weights(self._space())
        return lacks

    @staticmethod
    def _missing_of(kind: Any, plain: Mapping[str, Any]) -> list[str]:
        config = kind.model_validate({key: value for key, value in plain.items() if key in kind.model_fields})
        check = getattr(config, "lacks", None)
        return list(check()) if check else []


def missing_weights(space: Any) -> list[str]:
    """The weights that a space's backbone needs and this machine has not."""
    from bdk.weights import Manifest

    name = space.options.get("weights")
    if not isinstance(name, str):
        return []
    try:
        Manifest.load().entry(name)
    except BdkError as error:
        return [f"{error.what} {error.mend}"]
    return []


def _timings(store: Store) -> dict[str, list[float]]:
    """Seconds of every step in the store, by label."""
    found: dict[str, list[float]] = {}
    for path in store.root.glob(f"*/{RECIPE}"):
        try:
            recipe = json.loads(path.read_text())
            found.setdefault(str(recipe["label"]), []).append(float(recipe["seconds"]))
        except (ValueError, KeyError):
            continue
    return found


def _seconds(step: Step, store: Store, timings: Mapping[str, list[float]]) -> dict[str, Any]:
    if step.key in store:
        artifact = store.get(step.key)
        return {"seconds": artifact.recipe["seconds"]} if artifact else {}
    return {"seconds": statistics.median(timings[step.label])} if step.label in timings else {}
