"""`frozen`: replays neighbours that an earlier run recorded, item for item."""

from __future__ import annotations

from pathlib import Path

import torch
from bdk.contexts import RetrieverContext
from bdk.errors import ComponentError, SpaceMismatchError
from bdk.galleries.items import Items, gather
from bdk.galleries.pictures import FilePictures, Missing, NoPictures, PictureSource, ScenePictures
from bdk.galleries.ranking import best, check_keys
from bdk.galleries.recording import Record, read_record
from bdk.galleries.sources import token_cache, url_pictures
from bdk.interfaces import Neighbours
from jaxtyping import Float, Int
from torch import Tensor

from bdk_retrievers.configs import FrozenConfig

_AT_ONCE = 512


class Frozen:
    """Answers each key with what was recorded for it; never searches.

    Raises:
        DataError: nothing is recorded in the folder, or it is damaged.
        SpaceMismatchError: the record is of another key space.
    """

    def __init__(self, config: FrozenConfig, context: RetrieverContext) -> None:
        self.config, self.context = config, context
        self.record: Record = read_record(Path(config.folder).expanduser())
        header = self.record.header
        if (header.get("key_model"), self.record.keys.shape[1]) != (context.key_model, context.key_dim):
            raise SpaceMismatchError(
                f"The record holds keys of {header.get('key_model')!r}, but the queries are {context.key_model!r}.",
                where=config.folder,
                mend="Record again with these guides.",
            )
        self.items = Items(context.spaces, _pictures(config, context, header), token_cache(config, context))
        self._order = torch.nn.functional.normalize(self.record.keys, dim=1)

    def search(self, keys: Float[Tensor, "B P"], k: int, exclude: Int[Tensor, "B E"] | None = None) -> Neighbours:
        """The recorded neighbours of each key.

        Raises:
            ComponentError: a key was not recorded, or was with other exclusions or fewer neighbours.
        """
        unit = check_keys(keys, self.context.key_dim, k, exclude)
        rows = torch.cat(
            [self._find(unit[start : start + _AT_ONCE], k, exclude, start) for start in range(0, len(unit), _AT_ONCE)]
        )
        return best(Neighbours(self.record.ids[rows].clone(), self.record.scores[rows].clone()), k)

    def fetch(self, ids: Int[Tensor, "B K"], guide: str) -> Float[Tensor, "B K T D"]:
        """Tokens of each item, encoded once; NaN for -1 and for items whose picture or caption cannot be had."""
        wanted = {id: self.record.items.get(id, {}) for id in torch.unique(ids).tolist() if id >= 0}
        return gather(self.items.tokens(wanted, guide), ids, self.items.space(guide))

    def picture(self, id: int) -> Float[Tensor, "3 H W"] | None:
        """One item's picture, values 0..1; None if it cannot be had."""
        pixels = self.items.pictures.load(self.record.items.get(id, {}))
        return None if isinstance(pixels, Missing) else torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255

    def describe(self, ids: list[int]) -> list[dict[str, object]]:
        """Metadata of items, as recorded."""
        return [{"id": id, **self.record.items.get(id, {})} for id in ids]

    def stamps(self) -> dict[str, object]:
        """What every output must say of this retrieval."""
        header = self.record.header
        said: dict[str, object] = {
            "gallery": header.get("name"),
            "backend": "frozen",
            "gallery_fingerprint": header.get("fingerprint"),
        }
        said |= {"stand_in": header.get("stamp")} if header.get("stand_in") else {}
        return said | ({"missing_items": self.items.missing()} if self.items.missing() else {})

    def _find(
        self, keys: Float[Tensor, "B P"], k: int, exclude: Int[Tensor, "B E"] | None, start: int
    ) -> Int[Tensor, "B"]:
        """The recorded search of each key: nearest key, same exclusions, at least k wide."""
        cosine = keys @ self._order.T
        cosine = cosine.masked_fill(~self._same_exclusions(exclude, start, len(keys)), -2.0)
        cosine = cosine.masked_fill((self.record.widths < k)[None], -2.0)
        nearest, rows = cosine.max(dim=1)
        lost = (1 - nearest > self.config.tolerance).nonzero().flatten()
        if len(lost):
            raise ComponentError(
                f"{len(lost)} of {len(keys)} keys were not recorded with k >= {k} and these exclusions "
                f"(nearest recorded key of the first: cosine {float(nearest[lost[0]]):.5f}).",
                where=self.config.folder,
                mend="Replay with the spec, seed and weights of the recorded run, or record again.",
            )
        return rows

    def _same_exclusions(self, exclude: Int[Tensor, "B E"] | None, start: int, count: int) -> Tensor:
        recorded = [frozenset(row) - {-1} for row in self.record.excluded.tolist()]
        asked = (
            [frozenset()] * count
            if exclude is None
            else [frozenset(r) - {-1} for r in exclude[start : start + count].tolist()]
        )
        kinds = {kind: number for number, kind in enumerate(set(recorded) | set(asked))}
        left, right = torch.tensor([kinds[a] for a in asked]), torch.tensor([kinds[r] for r in recorded])
        return left[:, None] == right[None]


def _pictures(config: FrozenConfig, context: RetrieverContext, header: dict) -> PictureSource:
    if header.get("pictures") == "scene":
        recipe = header.get("recipe", {})
        return ScenePictures(int(recipe.get("seed", 0)), int(recipe.get("size", 64)))
    if header.get("pictures") == "url":
        return url_pictures(config, context.cache)
    if header.get("pictures") == "file":
        return FilePictures(Path(config.root or header.get("root", ".")), config.max_pixels)
    return NoPictures()
