"""`exact`: compares every key with every stored embedding. The reference for all other retrievers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from bdk.contexts import RetrieverContext
from bdk.errors import SpecError
from bdk.galleries.gallery import Gallery, Rows
from bdk.galleries.manifest import Modality
from bdk.galleries.resolving import find_gallery
from bdk.galleries.retrieving import GalleryRetriever
from bdk.interfaces import Neighbours
from jaxtyping import Float, Int
from torch import Tensor

from bdk_retrievers.configs import ExactConfig

_KEYS_AT_ONCE = 1024


class Exact(GalleryRetriever):
    """Scans the whole gallery, block by block, for all keys at once."""

    def __init__(self, config: ExactConfig, context: RetrieverContext) -> None:
        if config.root is None:
            raise SpecError(
                "The retriever 'exact' needs a gallery folder.",
                where="retriever.root",
                mend="Pass --retriever.root FOLDER.",
            )
        root = find_gallery("exact", config.root)
        super().__init__(config, context, root, lambda g: Scan(g, config.search_in, config.block, 1e9 * config.keep_gb))


class Scan:
    """The exact scan over one embedding set.

    Args:
        gallery: what to scan.
        within: the embeddings of its images or of its captions.
        block: rows compared at once.
        keep: bytes up to which the gallery stays in memory in single precision, so that it is converted once.
    """

    label = "exact"

    def __init__(self, gallery: Gallery, within: Modality, block: int, keep: float) -> None:
        self.stored: Rows = gallery.embeddings(within)
        self.block = block
        self._keeps = 4 * len(gallery) * gallery.manifest.dim <= keep
        self._kept: list[tuple[int, Tensor]] = []

    def candidates(self, keys: Float[Tensor, "B P"], m: int) -> Neighbours:
        """The m nearest rows of each key; each block is read once, however many keys there are."""
        ids = torch.full((len(keys), m), -1, dtype=torch.int64)
        scores = torch.full((len(keys), m), -torch.inf)
        for start, block in self._blocks():
            for first in range(0, len(keys), _KEYS_AT_ONCE):
                part = slice(first, first + _KEYS_AT_ONCE)
                ids[part], scores[part] = _merge(ids[part], scores[part], keys[part] @ block.T, start)
        return Neighbours(ids, scores)

    def _blocks(self) -> Iterable[tuple[int, Float[Tensor, "N P"]]]:
        """(first id, rows) in single precision."""
        if self._keeps and not self._kept:
            self._kept = list(self._read())
        return self._kept or self._read()

    def _read(self) -> Iterator[tuple[int, Float[Tensor, "N P"]]]:
        for start, rows in self.stored.blocks(self.block):
            yield start, torch.from_numpy(np.array(rows)).float()


def _merge(
    ids: Int[Tensor, "B M"], scores: Float[Tensor, "B M"], fresh: Float[Tensor, "B N"], start: int
) -> tuple[Int[Tensor, "B M"], Float[Tensor, "B M"]]:
    """The best m of the best so far and of a block whose first row has id ``start``."""
    m = ids.shape[1]
    top, place = fresh.topk(min(m, fresh.shape[1]), dim=1)
    both_scores, both_ids = torch.cat([scores, top], dim=1), torch.cat([ids, place + start], dim=1)
    kept, order = both_scores.topk(m, dim=1)
    return both_ids.gather(1, order), kept
