"""From gallery rows to what fusion needs: each distinct picture or caption is encoded once and kept by content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.canonical import digest
from bdk.errors import ComponentError
from bdk.galleries.pictures import Missing, PictureSource, Row
from bdk.galleries.token_cache import TokenCache
from bdk.spaces import Space

BATCH = 64
"""Items encoded at once."""
PACK = 512
"""Items encoded before they are written to the cache: what an interruption can lose."""


class Items:
    """Encodes gallery rows.

    Args:
        spaces: the space of each guide that may be asked for.
        pictures: where pictures come from.
        cache: where encoded tokens are kept.
    """

    def __init__(self, spaces: Mapping[str, Space], pictures: PictureSource, cache: TokenCache) -> None:
        self.spaces, self.pictures, self.cache = spaces, pictures, cache
        self._missing: dict[str, dict[int, str]] = {}
        self._identity: dict[str, str] = {}
        self.encoded = 0

    def space(self, guide: str) -> Space:
        """The space of a guide.

        Raises:
            ComponentError: the retriever was not told of that guide.
        """
        if guide not in self.spaces:
            raise ComponentError(
                f"There is no guide {guide!r} to fetch.", where="retriever", mend=f"Guides: {', '.join(self.spaces)}."
            )
        return self.spaces[guide]

    def tokens(self, rows: Mapping[int, Row], guide: str) -> dict[int, Float[Tensor, "T D"]]:
        """Tokens of each row that can be encoded, rounded to half precision; what cannot is counted by reason."""
        space = self.space(guide)
        contents = self._contents(rows, space)
        missing = {id: content.reason for id, content in contents.items() if isinstance(content, Missing)}
        self.note_missing(guide, missing)
        keys = {id: self._key(space, content) for id, content in contents.items() if not isinstance(content, Missing)}
        found = self.cache.get(list(dict.fromkeys(keys.values())))
        wanted = {key: id for id, key in reversed(keys.items()) if key not in found}
        for part in _parts(list(wanted.items()), PACK):
            fresh = self._encode({key: rows[id] for key, id in part}, dict(part), space, guide)
            self.cache.put(fresh)
            found |= {key: tensor.half().float() for key, tensor in fresh.items()}
        return {id: found[key] for id, key in keys.items() if key in found}

    def keep(self, guide: str, rows: Sequence[Row], tokens: Float[Tensor, "B T D"]) -> None:
        """Put tokens that were computed anyway (while a gallery was embedded) where `tokens` will look for them."""
        space = self.space(guide)
        contents = self._contents(dict(enumerate(rows)), space)
        keys = {row: self._key(space, c) for row, c in contents.items() if not isinstance(c, Missing)}
        self.cache.put({key: tokens[row] for row, key in keys.items()})

    def note_missing(self, guide: str, reasons: Mapping[int, str]) -> None:
        """Count items that could not be had from elsewhere, such as from a gallery's stored tokens."""
        self._missing.setdefault(guide, {}).update(reasons)

    def missing(self) -> dict[str, dict[str, int]]:
        """How many distinct items could not be had so far, by guide and reason."""
        return {
            guide: dict(sorted(Counter(reasons.values()).items()))
            for guide, reasons in self._missing.items()
            if reasons
        }

    def _contents(self, rows: Mapping[int, Row], space: Space) -> dict[int, str | Missing]:
        if space.modality != "text":
            return dict(zip(rows, self.pictures.contents(list(rows.values())), strict=True))
        captions = {id: str(row.get("caption") or "").strip() for id, row in rows.items()}
        return {id: f"caption:{caption}" if caption else Missing("no-caption") for id, caption in captions.items()}

    def _key(self, space: Space, content: str) -> str:
        return digest([space.id, self._backbone_identity(space), content])

    def _backbone_identity(self, space: Space) -> str:
        if space.id not in self._identity:
            self._identity[space.id] = backbone_identity(space)
        return self._identity[space.id]

    def _encode(self, rows: Mapping[str, Row], ids: Mapping[str, int], space: Space, guide: str) -> dict[str, Tensor]:
        from bdk.targets import backbone

        fresh: dict[str, Tensor] = {}
        for part in _parts(list(rows), BATCH):
            if space.modality == "text":
                whole: dict[str, Any] = {key: (str(rows[key]["caption"]),) for key in part}
            else:
                whole = self._pictures({key: rows[key] for key in part}, ids, guide)
            if whole:
                stimuli = list(whole.values())
                tokens = backbone(space).embed(stimuli if space.modality == "text" else np.stack(stimuli))
                fresh |= dict(zip(whole, tokens, strict=True))
                self.encoded += len(whole)
        return fresh

    def _pictures(self, rows: Mapping[str, Row], ids: Mapping[str, int], guide: str) -> dict[str, np.ndarray]:
        """The pictures that can be had; the others are noted."""
        found = {key: self.pictures.load(row) for key, row in rows.items()}
        lost = {ids[key]: picture.reason for key, picture in found.items() if isinstance(picture, Missing)}
        self._missing[guide].update(lost)
        return {key: picture for key, picture in found.items() if not isinstance(picture, Missing)}


def backbone_identity(space: Space) -> str:
    """Which network a space's backbone really is, told by what it makes of a fixed stimulus.

    Tokens are kept by this as well, so new weights under an old name never meet old tokens. Sixteen numbers,
    rounded to a hundredth: coarse enough to agree between machines, and a disagreement only encodes again.
    """
    from bdk.targets import backbone

    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    picture = np.stack(
        [np.broadcast_to(ramp, (64, 64)), np.broadcast_to(ramp[:, None], (64, 64)), np.full((64, 64), 90, np.uint8)], -1
    )
    stimulus = [("a red car beside a tree",)] if space.modality == "text" else picture[None]
    numbers = backbone(space).embed(stimulus)[0, 0]
    return digest([round(float(value), 2) + 0.0 for value in numbers[:16]])[:16]


def gather(tokens: Mapping[int, Tensor], ids: Tensor, space: Space) -> Float[Tensor, "B K T D"]:
    """Tokens of each id in the shape of ``ids``; NaN wherever the id is -1 or has no tokens."""
    order = {id: row for row, id in enumerate(tokens)}
    table = torch.full((len(order) + 1, space.tokens, space.dim), torch.nan)
    for id, row in order.items():
        table[row] = tokens[id]
    places = torch.tensor([[order.get(int(id), len(order)) for id in row] for row in ids.tolist()], dtype=torch.long)
    return table[places.view(ids.shape)]


def _parts(values: list, size: int) -> Iterator[list]:
    return (values[start : start + size] for start in range(0, len(values), size))
