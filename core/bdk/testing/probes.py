"""How a part of each family is called, in which contexts, and what it must return."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bdk.contexts import DecoderContext, EncoderContext, FusionContext, PriorContext
from bdk.spaces import Space
from bdk.testing import planted
from bdk.testing.cases import PUBLISHED, ROWS, SPACES, Case, numbers, sized, tokens
from bdk.testing.checking import NotRun, Violation
from bdk.testing.small import small_options

if TYPE_CHECKING:
    from bdk.testing.subject import Subject

Call = tuple[str, Callable[[Any], Any]]
"""What is wrong with a call, and the call."""


class Probe:
    """How parts of a family are called.

    Args:
        subject: the part under test.
    """

    random = False
    """Whether a call takes a generator."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @classmethod
    def options(cls, subject: Subject) -> dict[str, Any]:
        """What the part is tried with, unless the caller chose."""
        info = subject.info
        return small_options(info.family, info.name, info.distribution, subject.kind, subject.folder)

    @property
    def cases(self) -> list[Case]:
        """Contexts of several sizes."""
        raise NotImplementedError

    def published(self) -> Case | None:
        """The context of the published sizes, if the family has one."""
        return None

    def call(self, part: Any, inputs: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """All outputs by name."""
        raise NotImplementedError

    def shapes(self, case: Case) -> dict[str, tuple[int, ...] | None]:
        """Shape of each output; None where it is the part's own choice."""
        raise NotImplementedError

    def wrong(self, case: Case) -> list[Call]:
        """Calls that must be refused with an error of the project's."""
        raise NotImplementedError

    def solve(self, part: Any, case: Case) -> None:
        """Fit a part in closed form."""
        raise NotRun("only encoders are fitted in closed form")


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU."""
    return torch.Generator().manual_seed(seed)


class EncoderProbe(Probe):
    """Betas in, tokens out."""

    @property
    def cases(self) -> list[Case]:
        return [self._case(17, SPACES[0]), self._case(40, SPACES[1]), self._case(17, SPACES[2])]

    def published(self) -> Case:
        return self._case(40, PUBLISHED)

    def _case(self, voxels: int, space: Space) -> Case:
        rois = {"early": tuple(range(voxels // 2)), "late": tuple(range(voxels // 2, voxels))}
        context = EncoderContext(voxels, space, "image", rois)
        return Case(f"{voxels} voxels, {sized(space)}", context, {"betas": numbers(ROWS, voxels, seed=voxels)})

    def call(self, part: Any, inputs: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        encoded = part(inputs["betas"])
        if not (hasattr(encoded, "tokens") and hasattr(encoded, "contrast")):
            raise Violation(f"it returned {type(encoded).__name__}; return bdk.interfaces.Encoded(tokens, contrast)")
        return {"tokens": encoded.tokens, "contrast": encoded.contrast}

    def shapes(self, case: Case) -> dict[str, tuple[int, ...] | None]:
        size = (len(case.inputs["betas"]), case.context.space.tokens, case.context.space.dim)
        return {"tokens": size, "contrast": size}

    def solve(self, part: Any, case: Case) -> None:
        world = planted.brain(case.context.voxels, case.context.space)
        part.solve(world.betas, world.targets)

    def wrong(self, case: Case) -> list[Call]:
        betas, voxels = case.inputs["betas"], case.context.voxels
        return [
            (f"{voxels + 1} voxels instead of {voxels}", lambda part: part(numbers(ROWS, voxels + 1))),
            (f"{voxels - 1} voxels instead of {voxels}", lambda part: part(betas[:, 1:])),
            ("betas of one axis", lambda part: part(betas[0])),
        ]


class PriorProbe(Probe):
    """A condition in, samples out; and the loss."""

    random = True

    @property
    def cases(self) -> list[Case]:
        return [self._case(space) for space in SPACES]

    def published(self) -> Case:
        return self._case(PUBLISHED)

    def _case(self, space: Space) -> Case:
        inputs = {"condition": tokens(ROWS, space, seed=1), "target": tokens(ROWS, space, seed=2)}
        return Case(sized(space), PriorContext(space), inputs)

    def call(self, part: Any, inputs: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        samples = part.sample(inputs["condition"], 2, generator(seed))
        loss = part.loss(inputs["target"], inputs["condition"], generator(seed))
        if not (hasattr(loss, "loss") and hasattr(loss, "prediction")):
            raise Violation(f"loss returned {type(loss).__name__}; return bdk.interfaces.PriorLoss(loss, prediction)")
        return {"samples": samples, "prediction": loss.prediction, "loss": loss.loss}

    def shapes(self, case: Case) -> dict[str, tuple[int, ...] | None]:
        rows, space = len(case.inputs["condition"]), case.context.space
        size = (space.tokens, space.dim)
        return {"samples": (rows, 2, *size), "prediction": (rows, *size), "loss": ()}

    def wrong(self, case: Case) -> list[Call]:
        condition, space = case.inputs["condition"], case.context.space
        longer = numbers(ROWS, space.tokens + 1, space.dim)
        wider = numbers(ROWS, space.tokens, space.dim + 1)
        return [
            (f"{space.tokens + 1} tokens in sample", lambda part: part.sample(longer, 1, generator(0))),
            (f"{space.dim + 1} numbers per token in sample", lambda part: part.sample(wider, 1, generator(0))),
            (f"a target of {space.tokens + 1} tokens in loss", lambda part: part.loss(longer, condition, generator(0))),
        ]


class FusionProbe(Probe):
    """An estimate and its neighbours in, refined tokens out."""

    @property
    def cases(self) -> list[Case]:
        found = [self._case(SPACES[0], 3), self._case(SPACES[1], 1), self._case(SPACES[2], 3)]
        alone = not getattr(self.subject.kind, "needs_neighbours", True)
        return [*found, self._case(SPACES[0], 0)] if alone else found

    def published(self) -> Case:
        return self._case(PUBLISHED, 3)

    def _case(self, space: Space, k: int) -> Case:
        present = torch.ones(ROWS, k, dtype=torch.bool)
        present[-1, k - 1 :] = False  # one neighbour is missing
        neighbours = numbers(ROWS, k, space.tokens, space.dim, seed=4, scale=space.dim**-0.5)
        inputs = {"estimate": tokens(ROWS, space, seed=3), "neighbours": neighbours, "present": present}
        return Case(f"{sized(space)}, K = {k}", FusionContext(space, k), inputs)

    def call(self, part: Any, inputs: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        return {"refined": part(inputs["estimate"], inputs["neighbours"], inputs["present"])}

    def shapes(self, case: Case) -> dict[str, tuple[int, ...] | None]:
        return {"refined": tuple(case.inputs["estimate"].shape)}

    def wrong(self, case: Case) -> list[Call]:
        estimate, neighbours, present = (case.inputs[name] for name in ("estimate", "neighbours", "present"))
        space, k = case.context.space, case.context.k
        wider = numbers(ROWS, space.tokens, space.dim + 1)
        more = numbers(ROWS, k + 1, space.tokens, space.dim)
        live = torch.ones(ROWS, k + 1, dtype=torch.bool)
        return [
            (f"an estimate of {space.dim + 1} numbers per token", lambda part: part(wider, neighbours, present)),
            (f"{k + 1} neighbours instead of {k}", lambda part: part(estimate, more, live)),
            ("neighbours of other stimuli", lambda part: part(estimate[:2], neighbours, present)),
        ]


class DecoderProbe(Probe):
    """Guides in, pictures out."""

    random = True

    @property
    def spaces(self) -> dict[str, Space]:
        """The space of each guide: as the caller chose, or as the config declares."""
        declared = self.subject.config.spaces()  # type: ignore[attr-defined]
        return {
            guide: self.subject.spaces.get(guide) or self.subject.registry.space(id) for guide, id in declared.items()
        }

    @property
    def cases(self) -> list[Case]:
        guides = {name: tokens(ROWS, space, seed=9) for name, space in self.spaces.items()}
        every = [Case("all guides", self._context(guides), self._with_ids(guides))] if guides else []
        must = {name: guides[name] for name in type(self.subject.config).required}  # type: ignore[attr-defined]
        if must and set(must) != set(guides):
            every.append(Case(f"only {', '.join(must)}", self._context(must), self._with_ids(must)))
        return every or [Case("ids of neighbours", self._context({}), self._with_ids({}))]

    def _context(self, guides: dict[str, Tensor]) -> DecoderContext:
        return DecoderContext({name: self.spaces[name] for name in guides}, picture_of)

    def _with_ids(self, guides: dict[str, Tensor]) -> dict[str, Tensor]:
        if not self.subject.config.uses_neighbours():  # type: ignore[attr-defined]
            return dict(guides)
        return {**guides, "neighbour_ids": torch.arange(ROWS * 2).reshape(ROWS, 2)}

    def call(self, part: Any, inputs: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        return {"pictures": part(inputs, 2, generator(seed))}

    def shapes(self, case: Case) -> dict[str, tuple[int, ...] | None]:
        return {"pictures": None}

    def wrong(self, case: Case) -> list[Call]:
        calls: list[Call] = [("no guide at all", lambda part: part({}, 1, generator(0)))]
        for name in type(self.subject.config).required:  # type: ignore[attr-defined]
            rest = {key: value for key, value in case.inputs.items() if key != name}
            calls.append((f"no guide {name!r}", lambda part, rest=rest: part(rest, 1, generator(0))))  # type: ignore[misc]
        for name, guide in case.inputs.items():
            if guide.is_floating_point():
                wide = {**case.inputs, name: numbers(ROWS, guide.shape[1] + 1, guide.shape[2] + 1)}
                calls.append((f"a guide {name!r} of another size", lambda part, wide=wide: part(wide, 1, generator(0))))  # type: ignore[misc]
        return calls


def picture_of(id: int) -> Tensor:
    """A stand-in for a gallery's picture look-up: 3 x 16 x 16, its own for every id."""
    return torch.rand(3, 16, 16, generator=generator(id))


PROBES = {
    "encoder": "bdk.testing.probes:EncoderProbe",
    "prior": "bdk.testing.probes:PriorProbe",
    "fusion": "bdk.testing.probes:FusionProbe",
    "decoder": "bdk.testing.probes:DecoderProbe",
    "retriever": "bdk.testing.retrievers:RetrieverProbe",
}
