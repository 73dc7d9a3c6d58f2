"""What every retriever over a gallery on disk does alike; only the search for candidates differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bdk.contexts import RetrieverContext
from bdk.errors import DataError
from bdk.galleries.configs import GalleryConfig
from bdk.galleries.gallery import Gallery
from bdk.galleries.items import Items, gather
from bdk.galleries.pictures import Missing
from bdk.galleries.ranking import best, check_keys, exactly, ordered, without, without_duplicates
from bdk.galleries.recording import Recorder
from bdk.galleries.sources import picture_source, token_cache
from bdk.interfaces import Neighbours

_SLACK = 8
"""Candidates beyond k, so that rounding in a backend's own arithmetic cannot push out a true neighbour."""


class Backend(Protocol):
    """Finds candidates in one embedding set of a gallery."""

    label: str
    """What the stamps call it."""

    def candidates(self, keys: Float[Tensor, "B P"], m: int) -> Neighbours:
        """The m best candidates as the backend sees them; fewer are padded with -1 and -inf."""
        ...


class GalleryRetriever:
    """A retriever over a gallery on disk.

    Args:
        config: the person's options.
        context: the queries' space, the guides' spaces, the cache folder.
        root: the gallery's folder.
        backend: finds candidates; made from the opened gallery.

    Raises:
        SpaceMismatchError: the queries come from another CLIP model or have another size.
        DataError: a file of the gallery is damaged.
    """

    def __init__(self, config: GalleryConfig, context: RetrieverContext, root: Path, backend: Any) -> None:
        self.config, self.context = config, context
        self.gallery = Gallery(root, config.check)
        self.gallery.manifest.require_query(context.key_model, context.key_dim, where=str(root))
        self.backend: Backend = backend(self.gallery)
        self.items = Items(
            context.spaces, picture_source(self.gallery, config, context.cache), token_cache(config, context)
        )
        self._recorder = Recorder(config.record) if config.record else None
        self._left_out = _read_ids(config.leave_out)
        self._short = 0

    def search(self, keys: Float[Tensor, "B P"], k: int, exclude: Int[Tensor, "B E"] | None = None) -> Neighbours:
        """The k nearest rows of the gallery to each key.

        Args:
            keys: unit length, in the gallery's space.
            k: neighbours of each key.
            exclude: gallery ids that must not be found, per key; -1 for none.

        Returns:
            Cosines descending, equal ones by ascending id; -1 and -inf where the gallery has no more.
        """
        unit = check_keys(keys, self.gallery.manifest.dim, k, exclude)
        found = self._search(unit, k, exclude)
        self._short += int((found.ids < 0).sum())
        if self._recorder:
            self._recorder.add(unit, found, exclude, self, self._record_header())
        return found

    def fetch(self, ids: Int[Tensor, "B K"], guide: str) -> Float[Tensor, "B K T D"]:
        """Tokens of each item, encoded once; NaN for -1 and for items whose picture or caption cannot be had."""
        space = self.items.space(guide)
        wanted = [id for id in torch.unique(ids).tolist() if 0 <= id < len(self.gallery)]
        stored = self.gallery.tokens(guide, space.id)
        if stored is not None:
            rows = torch.from_numpy(stored.take(np.asarray(wanted))).float()
            lost = rows.flatten(1).isnan().any(dim=1).tolist()
            self.items.note_missing(
                guide, {id: "no-stored-tokens" for id, is_lost in zip(wanted, lost, strict=True) if is_lost}
            )
            return gather(dict(zip(wanted, rows, strict=True)), ids, space)
        rows_by_id = dict(zip(wanted, self.gallery.rows(wanted), strict=True))
        return gather(self.items.tokens(rows_by_id, guide), ids, space)

    def picture(self, id: int) -> Float[Tensor, "3 H W"] | None:
        """One item's picture, values 0..1; None if it cannot be had."""
        pixels = self.items.pictures.load(self.gallery.rows([id])[0])
        return None if isinstance(pixels, Missing) else torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255

    def describe(self, ids: list[int]) -> list[dict[str, object]]:
        """Metadata of items for the report: id, caption, URL or scene, language, licence."""
        return [{"id": id, **row} for id, row in zip(ids, self.gallery.rows(list(ids)), strict=True)]

    def stamps(self) -> dict[str, object]:
        """What every output must say of this retrieval."""
        manifest, check = self.gallery.manifest, self.gallery.check
        said: dict[str, object] = {
            "gallery": manifest.name,
            "gallery_items": manifest.n,
            "gallery_fingerprint": manifest.fingerprint(),
            "backend": self.backend.label,
            "search_in": self.config.search_in,
            "dedup": self.config.dedup,
        }
        said |= {"stand_in": manifest.stamp} if manifest.stand_in else {}
        said |= {"left_out": len(self._left_out)} if len(self._left_out) else {}
        said |= {"missing_items": self.items.missing()} if self.items.missing() else {}
        said |= {"unfilled_neighbours": self._short} if self._short else {}
        said |= {"unverified_files": check.unverified} if check.unverified else {}
        return said | getattr(self.backend, "stamps", dict)()

    def _record_header(self) -> dict[str, object]:
        manifest = self.gallery.manifest
        known = manifest.model_dump(
            mode="json", include={"name", "key_model", "dim", "pictures", "recipe", "stand_in", "stamp"}
        )
        return {**known, "fingerprint": manifest.fingerprint(), "root": str(self.gallery.root.resolve())}

    def _search(self, keys: Float[Tensor, "B P"], k: int, exclude: Int[Tensor, "B E"] | None) -> Neighbours:
        """Ask for more candidates until every key has k, or the backend has no more."""
        m = k + _SLACK + (exclude.shape[1] if exclude is not None else 0)
        ids = torch.full((len(keys), k), -1, dtype=torch.int64)
        scores = torch.full((len(keys), k), -torch.inf)
        open_rows = torch.arange(len(keys))
        while len(open_rows):
            m = min(m, len(self.gallery))
            found = self.backend.candidates(keys[open_rows], m)
            exhausted = (found.ids < 0).any(dim=1) | (m >= len(self.gallery))
            barred = None if exclude is None else exclude[open_rows]
            kept = best(self._ranked(keys[open_rows], found, barred, k), k)
            ids[open_rows], scores[open_rows] = kept.ids, kept.scores
            open_rows = open_rows[(kept.ids < 0).any(dim=1) & ~exhausted]
            m *= 4
        return Neighbours(ids, scores)

    def _ranked(
        self, keys: Float[Tensor, "B P"], found: Neighbours, exclude: Int[Tensor, "B E"] | None, k: int
    ) -> Neighbours:
        """Candidates that are allowed, best first; scored exactly where the gallery stores embeddings."""
        kept = without(found, exclude)
        banned = torch.isin(kept.ids, self._left_out)
        kept = Neighbours(kept.ids.masked_fill(banned, -1), kept.scores.masked_fill(banned, -torch.inf))
        if self.gallery.has_embeddings(self.config.search_in) and getattr(self.config, "rerank", True):
            stored = self.gallery.embeddings(self.config.search_in)
            most = kept.ids.shape[1] if self.config.dedup else k + _SLACK
            kept = exactly(keys, kept.ids, stored, most)
        kept = ordered(*kept)
        if not self.config.dedup:
            return kept
        return without_duplicates(kept, self.gallery.embeddings(self.config.search_in), self.config.dedup_cosine)


def _read_ids(path: str | None) -> Int[Tensor, "N"]:
    """Ids that are never found."""
    if path is None:
        return torch.empty(0, dtype=torch.int64)
    try:
        return torch.tensor(
            [int(id) for id in json.loads(Path(path).expanduser().read_text())["ids"]], dtype=torch.int64
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The file of ids to leave out cannot be read: {error}.",
            where=path,
            mend="`bdk index audit --leave-out FILE` writes one.",
        ) from error
