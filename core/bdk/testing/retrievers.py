"""Checks of retrievers, over a tiny gallery whose neighbours are known.

The gallery lies in a folder in the project's own layout. A retriever whose config has an option ``root`` is given that
folder; any other says in a classmethod ``small(cls, folder)`` of its config how it is told of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bdk.contexts import RetrieverContext
from bdk.errors import BdkError
from bdk.testing.cases import Case, numbers
from bdk.testing.checking import Violation, check
from bdk.testing.probes import Call, Probe
from bdk.testing.small import small_options
from bdk.testing.subject import Subject, chance
from bdk.testing.tiny_gallery import DIM, KEY_MODEL, KEYS, LOST, ROWS, TinyGallery, write_tiny_gallery

K = 5
RECALL = 0.95
"""Share of the exact neighbours that must be found; in two hundred items, an index has no excuse."""
CLOSE = 3e-3
"""How far a score may be from the cosine: half precision leaves it a thousandth off."""


class RetrieverProbe(Probe):
    """Keys in, neighbours out; ids in, tokens out."""

    @classmethod
    def options(cls, subject: Subject) -> dict[str, Any]:
        """The gallery's folder under ``root``, or what the config's ``small`` says when told of that folder."""
        root, info = tiny_gallery(subject.folder).root, subject.info
        own = small_options(info.family, info.name, info.distribution, subject.kind, root)
        return {"root": str(root)} if not own and "root" in subject.kind.model_fields else own

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.gallery = tiny_gallery(subject.folder)
        self._made: Any = None

    @property
    def cases(self) -> list[Case]:
        cache = self.subject.folder / "cache"
        cache.mkdir(exist_ok=True)
        return [
            Case("200 items", RetrieverContext(self.gallery.spaces, DIM, KEY_MODEL, cache), {"keys": self.gallery.keys})
        ]

    def part(self) -> Any:
        """The retriever, built once: its checks do not disturb each other."""
        if self._made is None:
            self._made = self.subject.make(self.cases[0].context)
        return self._made

    def wrong(self, case: Case) -> list[Call]:
        keys = case.inputs["keys"]
        return [
            (f"keys of {DIM + 1} numbers instead of {DIM}", lambda part: part.search(numbers(3, DIM + 1), K)),
            ("k = 0", lambda part: part.search(keys, 0)),
            ("keys that are NaN", lambda part: part.search(torch.full_like(keys, torch.nan), K)),
            ("a guide it was not told of", lambda part: part.fetch(torch.zeros(1, 1, dtype=torch.long), "nowhere")),
        ]


def tiny_gallery(folder: Path) -> TinyGallery:
    """The gallery under a folder, written if it is not there."""
    root = folder / "gallery"
    return TinyGallery(root) if (root / "manifest.json").is_file() else write_tiny_gallery(root)


def _search(subject: Subject, keys: Tensor, k: int, exclude: Tensor | None = None) -> tuple[Tensor, Tensor]:
    found = subject.probe.part().search(keys.clone(), k, exclude)  # type: ignore[attr-defined]
    for name, kind in (("ids", torch.int64), ("scores", torch.float32)):
        value = getattr(found, name, None)
        if not isinstance(value, Tensor) or tuple(value.shape) != (len(keys), k) or value.dtype != kind:
            got = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise Violation(f"search must return Neighbours with {name} {kind} ({len(keys)}, {k}), not {got}")
    return found.ids, found.scores


def _gallery(subject: Subject) -> TinyGallery:
    return subject.probe.gallery  # type: ignore[attr-defined]


@check("agrees-with-exact-search", after=("builds",))
def agrees_with_exact_search(subject: Subject) -> None:
    """It finds what comparing with every item finds."""
    gallery = _gallery(subject)
    ids, _ = _search(subject, gallery.keys, K)
    wanted, _ = gallery.exact(gallery.keys, K)
    share = float(torch.stack([torch.isin(row, ids[n]) for n, row in enumerate(wanted)]).float().mean())
    if share < RECALL:
        raise Violation(f"of the {K} nearest items it finds {share:.0%}; {RECALL:.0%} are wanted")


SEARCHED = ("agrees-with-exact-search",)


@check("scores-are-cosines", after=SEARCHED)
def scores_are_cosines(subject: Subject) -> None:
    """Scores are the cosines of key and item, best first."""
    gallery = _gallery(subject)
    ids, scores = _search(subject, gallery.keys, K)
    if not bool((scores.diff(dim=1) <= 1e-6).all()):
        raise Violation("scores do not descend")
    true = torch.einsum("bp,bkp->bk", gallery.keys.double(), gallery.rows[ids]).float()
    gap = float((scores - true).abs().max())
    if gap > CLOSE:
        raise Violation(f"a score is {gap:.3g} off the cosine")


@check("k-is-k", after=SEARCHED)
def k_is_k(subject: Subject) -> None:
    """Exactly k come back: distinct items, and -1 with -inf where the gallery has no more."""
    for k in (1, ROWS + 3):
        ids, scores = _search(subject, _gallery(subject).keys[:2], k)
        for row, values in zip(ids, scores, strict=True):
            live = row[row >= 0]
            if len(live) != min(k, ROWS) or len(live.unique()) != len(live):
                raise Violation(f"asked for {k} of {ROWS} items it returned {len(live.unique())} distinct ones")
            if not bool((row[len(live) :] == -1).all() and (values[len(live) :] == -torch.inf).all()):
                raise Violation("places that stay empty must come last, with id -1 and score -inf")


@check("exclude-is-honoured", after=SEARCHED)
def exclude_is_honoured(subject: Subject) -> None:
    """Excluded items are not found, and the next best take their places."""
    gallery = _gallery(subject)
    best, _ = gallery.exact(gallery.keys, 3)
    exclude = torch.cat([best, torch.full((KEYS, 1), -1)], dim=1)
    ids, _ = _search(subject, gallery.keys, K, exclude)
    if bool((ids[:, :, None] == best[:, None, :]).any()):
        raise Violation("an excluded item was found")
    wanted, _ = gallery.exact(gallery.keys, K, exclude)
    share = float(torch.stack([torch.isin(row, ids[n]) for n, row in enumerate(wanted)]).float().mean())
    if share < RECALL or bool((ids < 0).any()):
        raise Violation(f"of the {K} nearest items that are not excluded it finds {share:.0%}")


@check("keys-do-not-mix", after=SEARCHED)
def keys_do_not_mix(subject: Subject) -> None:
    """What is found for a key does not depend on the other keys."""
    keys = _gallery(subject).keys
    together, _ = _search(subject, keys, K)
    alone = torch.cat([_search(subject, keys[row : row + 1], K)[0] for row in range(3)])
    if not torch.equal(together[:3], alone):
        raise Violation("a key alone finds other items than among others")


@check("inputs-stay-as-they-are", after=SEARCHED)
def inputs_stay(subject: Subject) -> None:
    """It does not write into keys, exclusions or ids."""
    gallery = _gallery(subject)
    part, keys, exclude = subject.probe.part(), gallery.keys, torch.full((KEYS, 2), 3)  # type: ignore[attr-defined]
    ids = part.search(keys, K, exclude).ids
    if not torch.equal(keys, gallery.keys) or not bool((exclude == 3).all()):
        raise Violation("search wrote into what it was given")
    given = ids.clone()
    part.fetch(given, "image")
    if not torch.equal(given, ids):
        raise Violation("fetch wrote into the ids")


@check("chance-has-no-say", after=SEARCHED)
def chance_has_no_say(subject: Subject) -> None:
    """Searching twice finds the same, and so does a second instance."""
    gallery = _gallery(subject)
    with chance(1):
        first = _search(subject, gallery.keys, K)
    with chance(2):
        again = subject.make(subject.cases[0].context).search(gallery.keys, K)
    if not torch.equal(first[0], again.ids) or not torch.allclose(first[1], again.scores, atol=1e-5):
        raise Violation("built and searched again, it finds other items")


@check("fetch-gives-the-items", after=SEARCHED)
def fetch_gives_the_items(subject: Subject) -> None:
    """Fetched tokens are those of the items asked for, in the order asked for, for every guide."""
    gallery = _gallery(subject)
    ids = torch.tensor([[5, 150, 9], [9, 0, 5]])
    for guide, space in gallery.spaces.items():
        fetched = subject.probe.part().fetch(ids, guide)  # type: ignore[attr-defined]
        if tuple(fetched.shape) != (2, 3, space.tokens, space.dim):
            raise Violation(
                f"fetch({guide!r}) has shape {tuple(fetched.shape)}, wanted (2, 3, {space.tokens}, {space.dim})"
            )
        for place, id in enumerate(ids.flatten().tolist()):
            if not torch.allclose(fetched.flatten(0, 1)[place], gallery.tokens(id, guide), atol=5e-3, rtol=5e-3):
                raise Violation(f"fetch({guide!r}) gives other tokens than those of item {id}")


@check("missing-is-nan", after=("fetch-gives-the-items",))
def missing_is_nan(subject: Subject) -> None:
    """Tokens of id -1, and of an item whose picture cannot be had, are NaN: never zeros, never another item."""
    part = subject.probe.part()  # type: ignore[attr-defined]
    fetched = part.fetch(torch.tensor([[-1, 5, LOST]]), "image")
    if not bool(fetched[0, 0].isnan().all()) or bool(fetched[0, 1].isnan().any()):
        raise Violation("id -1 must give NaN, and only it")
    if not bool(fetched[0, 2].isnan().all()):
        raise Violation("an item without a picture must give NaN")


@check("found-can-be-fetched", after=("missing-is-nan",))
def found_can_be_fetched(subject: Subject) -> None:
    """What search returns, padding included, can be handed to fetch."""
    part = subject.probe.part()  # type: ignore[attr-defined]
    found = part.search(_gallery(subject).keys[:2], K)
    ids = torch.cat([found.ids, torch.full((2, 1), -1)], dim=1)
    tokens = part.fetch(ids, "text")
    if not bool(torch.isfinite(tokens[:, :K]).all()) or not bool(tokens[:, K].isnan().all()):
        raise Violation("tokens of found items must be finite, those of padding NaN")


@check("errors-are-the-projects", after=("builds",))
def errors_are_the_projects(subject: Subject) -> None:
    """Keys and guides it cannot serve are refused with an error of `bdk.errors`."""
    case = subject.cases[0]
    for label, call in subject.probe.wrong(case):
        try:
            call(subject.probe.part())  # type: ignore[attr-defined]
        except BdkError:
            continue
        except Exception as error:
            raise Violation(f"given {label} it raised {type(error).__name__}: {error}") from error
        raise Violation(f"given {label} it did not complain")


@check("key-model-is-compared", after=("builds",))
def key_model_is_compared(subject: Subject) -> None:
    """Keys of another model are refused when it is built: their cosines would mean nothing."""
    context = subject.cases[0].context
    other = RetrieverContext(context.spaces, context.key_dim, "another/pooled", context.cache)
    try:
        subject.make(other)
    except BdkError:
        return
    except Exception as error:
        raise Violation(f"it raised {type(error).__name__}: {error}; raise bdk.errors.SpaceMismatchError") from error
    raise Violation("it was built for keys of another model; compare context.key_model with the gallery's")


CHECKS = [
    agrees_with_exact_search,
    scores_are_cosines,
    k_is_k,
    exclude_is_honoured,
    keys_do_not_mix,
    inputs_stay,
    chance_has_no_say,
    fetch_gives_the_items,
    missing_is_nan,
    found_can_be_fetched,
    errors_are_the_projects,
    key_model_is_compared,
]
