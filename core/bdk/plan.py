"""From specs to steps: what must be made, from what, under which key. Imports no torch.

The only backward look of the pass is here: the decoder says which guides it wants, a guide says its space, a space
says its targets. Steps with equal options and equal inputs have equal keys, so rows of a table share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdk.canonical import digest
from bdk.components import DecoderConfig
from bdk.errors import PlanError, SpaceMismatchError
from bdk.fingerprints import source_fingerprint, space_fingerprint, weights_fingerprint
from bdk.galleries.queries import query_for
from bdk.registry import Registry, resolve
from bdk.spaces import Space
from bdk.spec import GuideSpec, Part, RunSpec, Sweep

FORMAT = 1
"""Raise it when the files of artifacts change: old ones are then made again."""

KINDS = ("data", "targets", "estimate", "retrieve", "refine", "decode", "measure")


@dataclass(frozen=True)
class Step:
    """One piece of work, fully described.

    Args:
        kind: which part of the pass, one of `KINDS`.
        options: everything that decides the result beside the inputs.
        inputs: keys of the steps it reads, by role.
        label: for people, such as ``estimate image (mamba + diffusion)``.
        guide: the guide it belongs to, if any.
        needs: resources: ``gpu`` if an accelerator helps.
    """

    kind: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    guide: str = ""
    needs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Content key: equal for equal work."""
        return digest({"format": FORMAT, "kind": self.kind, "options": self.options, "inputs": dict(self.inputs)})

    def recipe(self) -> dict[str, Any]:
        """What is stored beside the result, and all a worker needs."""
        return {
            "kind": self.kind,
            "options": dict(self.options),
            "inputs": dict(self.inputs),
            "label": self.label,
            "guide": self.guide,
        }


@dataclass(frozen=True)
class PlannedRun:
    """One row: its spec and the key of each of its steps, by role (``estimate.image``)."""

    spec: RunSpec
    keys: Mapping[str, str]
    spaces: Mapping[str, Space]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Every distinct step of one or more sweeps, inputs before users."""

    sweeps: tuple[Sweep, ...]
    runs: tuple[PlannedRun, ...]
    steps: Mapping[str, Step]

    def users(self, key: str) -> list[str]:
        """Rows that need a step."""
        return [f"{run.spec.sweep}/{run.spec.name}" for run in self.runs if key in run.keys.values()]

    def counts(self) -> dict[str, int]:
        """Distinct steps of each kind; ``refine`` counts fits, as a fusion without weights has none."""
        return {kind: sum(step.kind == kind for step in self.steps.values()) for kind in KINDS}


def make_plan(sweeps: Iterable[Sweep], registry: Registry) -> Plan:
    """Plan the rows of some sweeps together; no data is read beyond what describes it.

    Raises:
        PlanError: parts that do not fit together, before any work.
    """
    sweeps = tuple(sweeps)
    steps: dict[str, Step] = {}
    runs = tuple(_Planner(spec, registry, steps).plan() for sweep in sweeps for spec in sweep.runs)
    return Plan(sweeps, runs, steps)


@dataclass
class _Planner:
    spec: RunSpec
    registry: Registry
    steps: dict[str, Step]
    keys: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def plan(self) -> PlannedRun:
        self.described = describe(self.spec.data, self.registry)
        self.spaces = self._spaces()
        self.add("data", self._data_options())
        for guide in self.spec.guides:
            self.add("targets", self._targets_options(guide), ["data"], guide.name)
            self.add("estimate", self._estimate_options(guide), ["data", f"targets.{guide.name}"], guide.name)
        for guide in self.spec.guides:
            if guide.retriever:
                self._retrieve(guide)
            if guide.fusion:
                self._refine(guide)
        if self.spec.decoder:
            self._decode()
        self._measure()
        return PlannedRun(self.spec, dict(self.keys), self.spaces, tuple(self.notes))

    def add(
        self, kind: str, options: Mapping[str, Any], roles: Iterable[str] = (), guide: str = "", **more: Any
    ) -> str:
        inputs = {role: self.keys[role] for role in roles}
        step = Step(kind, options, inputs, more.get("label") or self._label(kind, guide), guide, _needs(kind))
        self.steps.setdefault(step.key, step)
        self.keys[f"{kind}.{guide}" if guide else kind] = step.key
        return step.key

    def _label(self, kind: str, guide: str) -> str:
        if not guide:
            return f"{kind} {self.spec.data.use}" if kind == "data" else kind
        chain = self.spec.guide(guide)
        parts = {
            "estimate": [chain.encoder, chain.prior],
            "retrieve": [chain.retriever],
            "refine": [chain.fusion],
        }.get(kind, [])
        names = " + ".join(part.use for part in parts if part)
        return f"{kind} {guide} ({names})" if names else f"{kind} {guide}"

    def _part(self, part: Part | None) -> Any:
        if part is None:
            return "none"
        info = self.registry.component(part.family, part.use)
        source = source_fingerprint(part.options)
        return {
            **part.plain(),
            "version": info.version,
            "fit_mode": info.fit_mode,
            **({"source": source} if source else {}),
        }

    def _data_options(self) -> dict[str, Any]:
        info = self.registry.dataset(self.spec.data.use)
        return {
            **self.spec.data.plain(),
            "version": info.version,
            "source": source_fingerprint(_dataset(self.spec.data, self.registry)),
        }

    def _spaces(self) -> dict[str, Space]:
        """Space of every guide: the decoder's word, or the data's where nothing is decoded or the decoder has none."""
        decoder = self.spec.decoder
        wanted: dict[str, str] = {}
        if decoder is not None:
            assert isinstance(decoder.options, DecoderConfig), decoder
            wanted = decoder.options.spaces()
            self._check_required(decoder)
        wanted = wanted or dict(self.described.spaces)
        found = {}
        for guide in self.spec.guides:
            if guide.name not in wanted:
                owner = f"decoder {decoder.use!r}" if decoder else f"data {self.spec.data.use!r}"
                raise PlanError(
                    f"{owner} has no guide {guide.name!r}.",
                    where=f"{self._place()}: guides",
                    mend=f"Its guides: {', '.join(wanted) or 'none'}.",
                )
            found[guide.name] = self.registry.space(wanted[guide.name], where=f"{self._place()}: guides.{guide.name}")
            self._check_possible(found[guide.name], guide.name)
        return found

    def _check_required(self, decoder: Part) -> None:
        assert isinstance(decoder.options, DecoderConfig)
        missing = [name for name in decoder.options.required if name not in {g.name for g in self.spec.guides}]
        if missing:
            raise PlanError(
                f"decoder {decoder.use!r} needs the guide {missing[0]!r}.",
                where=f"{self._place()}: decoder.use",
                mend=f"Add it: guides = {[*(g.name for g in self.spec.guides), *missing]}.",
            )

    def _check_possible(self, space: Space, guide: str) -> None:
        data, place = self.described, f"{self._place()}: guides"
        if space.modality in ("image", "latent") and not data.has_images:
            raise PlanError(
                f"Guide {guide!r} needs pictures of the stimuli, and data {data.name!r} has none.",
                where=place,
                mend="Use text guides alone: --guides text --decoder none.",
            )
        if space.modality == "text" and not data.has_captions:
            raise PlanError(
                f"Guide {guide!r} needs captions, and data {data.name!r} has none.",
                where=place,
                mend="Add captions to the data, or use --guides image.",
            )
        if data.world.get("name") == "demo" and not space.id.startswith("demo-"):
            raise SpaceMismatchError(
                f"The demo world cannot give targets in {space}: its pictures are drawings and its CLIP a tiny one.",
                where=f"{self._place()}: decoder.use",
                mend="Use --decoder demo (or nearest) with the demo world, or bring data of your own.",
            )

    def _place(self) -> str:
        return f"{self.spec.sweep}/{self.spec.name}"

    def _targets_options(self, guide: GuideSpec) -> dict[str, Any]:
        space = self.spaces[guide.name]
        return {"space": space_options(space), "weights": space_fingerprint(space)}

    def _estimate_options(self, guide: GuideSpec) -> dict[str, Any]:
        return {
            "guide": guide.name,
            "space": space_options(self.spaces[guide.name]),
            "encoder": self._part(guide.encoder),
            "prior": self._part(guide.prior),
            "stage1": guide.stage1.model_dump(mode="json"),
            "seed": self.spec.seed,
        }

    def query_of(self, guide: GuideSpec) -> tuple[str, str]:
        """The query of a guide's retrieval and the guide whose estimate it is made of."""
        name = getattr(guide.retriever.options, "query", "auto") if guide.retriever else "auto"
        where = f"{self._place()}: guide.{guide.name}.retriever.query"
        query = query_for(name, guide.name, tuple(self.spaces), where=where)
        return query.name, query.guide

    def _retrieve(self, guide: GuideSpec) -> None:
        assert guide.retriever
        query, source = self.query_of(guide)
        space = self.spaces[source]
        if not space.pooled:
            raise PlanError(
                f"Guide {source!r} lives in {space}, which has no pooled key to search by.",
                where=f"{self._place()}: guide.{guide.name}.retriever",
                mend=f"Use --guide.{guide.name}.retriever none --guide.{guide.name}.fusion none.",
            )
        options = {
            "guide": guide.name,
            "retriever": self._part(guide.retriever),
            "query": query,
            "query_guide": source,
            "spaces": {name: space_options(self.spaces[name]) for name in sorted({guide.name, source})},
            "key_model": space.pooled,
            "key_dim": self.registry.space(space.pooled).size,
            "world": dict(self.described.world),
        }
        self.add("retrieve", options, ["data", f"estimate.{source}"], guide.name)

    def _refine(self, guide: GuideSpec) -> None:
        assert guide.fusion
        self._check_learnable(guide)
        options = {
            "guide": guide.name,
            "space": space_options(self.spaces[guide.name]),
            "fusion": self._part(guide.fusion),
            "stage2": guide.stage2.model_dump(mode="json"),
            "seed": self.spec.seed,
        }
        roles = ["data", f"targets.{guide.name}", f"estimate.{guide.name}"]
        if guide.retriever:
            roles.append(f"retrieve.{guide.name}")
        self.add("refine", options, roles, guide.name)

    def _check_learnable(self, guide: GuideSpec) -> None:
        """A fusion module that is fitted needs estimates of training stimuli, and their neighbours."""
        assert guide.fusion
        if self.registry.component("fusion", guide.fusion.use).fit_mode == "none":
            return
        if guide.stage1.estimates == "none":
            raise PlanError(
                f"fusion {guide.fusion.use!r} of guide {guide.name!r} has nothing to learn from: stage I makes no "
                "estimates of training stimuli.",
                where=f"{self._place()}: guide.{guide.name}.stage1.estimates",
                mend="Set stage1.estimates to in-sample, holdout or cross-fit; or --fusion none.",
            )
        if guide.retriever and self.query_of(guide)[0] == "encoder":
            raise PlanError(
                f"fusion {guide.fusion.use!r} of guide {guide.name!r} learns from neighbours of training estimates, and "
                "the query 'encoder' searches for test stimuli alone.",
                where=f"{self._place()}: guide.{guide.name}.retriever.query",
                mend="Choose the query image-cls, image-tokens or text.",
            )

    def final(self, guide: GuideSpec) -> str:
        """Role of a guide's last word: its refined tokens, or its estimate."""
        return f"refine.{guide.name}" if guide.fusion else f"estimate.{guide.name}"

    def _decode(self) -> None:
        decoder = self.spec.decoder
        assert decoder and isinstance(decoder.options, DecoderConfig)
        roles = ["data", *(self.final(guide) for guide in self.spec.guides)]
        roles += [f"estimate.{guide.name}" for guide in self.spec.guides]
        wants_neighbours = decoder.options.uses_neighbours()
        if wants_neighbours:
            roles.append(self._neighbour_role(decoder))
        if self.spec.select.rule == "oracle":
            self.notes.append("oracle selection: candidates are chosen with the stimulus itself")
        options = {
            "decoder": self._part(decoder),
            "guides": {guide.name: self.final(guide) for guide in self.spec.guides},
            "spaces": {name: space_options(space) for name, space in self.spaces.items()},
            "select": self.spec.select.model_dump(mode="json"),
            "seed": self.spec.seed,
        }
        self.add("decode", options, sorted(set(roles)), label=f"decode ({decoder.use})")

    def _neighbour_role(self, decoder: Part) -> str:
        roles = [f"retrieve.{guide.name}" for guide in self.spec.guides if guide.retriever]
        if not roles:
            raise PlanError(
                f"decoder {decoder.use!r} shows retrieved pictures, and no guide has a retriever.",
                where=f"{self._place()}: decoder.use",
                mend="Choose a retriever: --retriever laion2b.",
            )
        return roles[0]

    def _measure(self) -> None:
        if not self.described.has_images:
            self.notes.append("the data has no pictures: only retrieval scores exist")
        elif not self.spec.decoder:
            self.notes.append("nothing is decoded: only retrieval scores exist")
        roles = ["data", *(f"targets.{g.name}" for g in self.spec.guides), *(self.final(g) for g in self.spec.guides)]
        roles += [f"estimate.{guide.name}" for guide in self.spec.guides]
        roles += ["decode"] if self.spec.decoder else []
        roles += [role for role in self.keys if role.startswith("retrieve.")]
        options = {
            "measure": self.spec.measure.model_dump(mode="json"),
            "guides": {guide.name: self.final(guide) for guide in self.spec.guides},
            "spaces": {name: space_options(space) for name, space in self.spaces.items()},
            "oracle": self.spec.select.rule == "oracle" and self.spec.decoder is not None,
            "metrics": {name: info.version for name, info in sorted(self.registry.metrics.items())},
            "weights": weights_fingerprint(),
        }
        self.add("measure", options, sorted(set(roles)), label="measure")


def _dataset(part: Part, registry: Registry) -> Any:
    info = registry.dataset(part.use)
    return resolve(info.target, owner=info.distribution)(part.options)


def describe(part: Part, registry: Registry) -> Any:
    """The data set's own description (`bdk.data.DataDescription`)."""
    return _dataset(part, registry).describe()


def space_options(space: Space) -> dict[str, Any]:
    """A space as plain data; `space_from` reads it back."""
    return {
        "id": space.id,
        "tokens": space.tokens,
        "dim": space.dim,
        "modality": space.modality,
        "norm": space.norm,
        "backbone": space.backbone,
        "options": dict(space.options),
        "pooled": space.pooled,
        "stamp": space.stamp,
        "resources": list(space.resources),
    }


def space_from(options: Mapping[str, Any]) -> Space:
    """The space that `space_options` wrote down."""
    return Space(**{**options, "resources": tuple(options["resources"])})


def _needs(kind: str) -> tuple[str, ...]:
    return ("gpu",) if kind in ("targets", "estimate", "refine", "decode") else ()
