"""`faiss`: searches a gallery's index, then ranks the candidates exactly by the stored embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from bdk.contexts import RetrieverContext
from bdk.errors import DataError, MissingExtraError, SpecError
from bdk.galleries.faiss_files import Opened, describe_index, open_index, require_faiss
from bdk.galleries.gallery import Gallery
from bdk.galleries.resolving import find_gallery
from bdk.galleries.retrieving import GalleryRetriever
from bdk.interfaces import Neighbours
from jaxtyping import Float
from torch import Tensor

from bdk_retrievers.configs import FaissConfig

_KEYS_AT_ONCE = 4096


class Faiss(GalleryRetriever):
    """Searches through faiss; a gallery without an index is scanned by faiss's own flat index."""

    def __init__(self, config: FaissConfig, context: RetrieverContext) -> None:
        if config.root is None:
            raise SpecError(
                "The retriever 'faiss' needs a gallery folder.",
                where="retriever.root",
                mend="Pass --retriever.root FOLDER.",
            )
        super().__init__(
            config, context, find_gallery("faiss", config.root), lambda gallery: IndexSearch(gallery, config)
        )


class IndexSearch:
    """Candidates from a faiss index.

    Args:
        gallery: names the index file, or holds the embeddings that a flat index is made of.
        config: how it is opened and searched.

    Raises:
        DataError: the index is damaged, or does not belong to the gallery.
    """

    def __init__(self, gallery: Gallery, config: FaissConfig) -> None:
        self.faiss, self.config = require_faiss(), config
        entry = gallery.manifest.indexes.get(config.search_in)
        if entry is None or not entry.files:
            self.opened, nprobe = Opened(self._flat(gallery), False, (), ()), config.nprobe
        else:
            self.opened, nprobe = (
                open_index(gallery.root / entry.files[0].path, config.io_flags),
                config.nprobe or entry.nprobe,
            )
        self.facts = describe_index(self.opened)
        if (self.facts["n"], self.facts["dim"]) != (len(gallery), gallery.manifest.dim):
            raise DataError(
                f"The index holds {self.facts['n']} x {self.facts['dim']}, "
                f"the gallery {len(gallery)} x {gallery.manifest.dim}.",
                where=str(gallery.root),
                mend="Build the index again with `bdk index build`.",
            )
        self._set("nprobe", nprobe)
        self._set("efSearch", config.ef_search)
        self.exact_after = gallery.has_embeddings(config.search_in) and config.rerank
        coarse = 1 if "ScalarQuantizer" in self.facts["kind"] else 8
        self.oversample = (config.oversample or coarse) if self.facts["lossy"] and self.exact_after else 1
        self.index = self._on_device(self.opened.index)
        self.label = f"faiss {self.facts['kind']}" + (f", nprobe {nprobe}" if nprobe else "")

    def candidates(self, keys: Float[Tensor, "B P"], m: int) -> Neighbours:
        """What the index holds for the m best rows of each key; a lossy index is asked for more."""
        width = min(m * self.oversample, self.facts["n"])
        parts = [
            self._search(keys[start : start + _KEYS_AT_ONCE], width) for start in range(0, len(keys), _KEYS_AT_ONCE)
        ]
        scores, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
        found = torch.from_numpy(ids)
        cosines = (
            torch.from_numpy(scores) if self.facts["metric"] == "inner-product" else 1 - torch.from_numpy(scores) / 2
        )
        return Neighbours(found, cosines.masked_fill(found < 0, -torch.inf))

    def stamps(self) -> dict[str, object]:
        """What is particular about this search."""
        said: dict[str, object] = {
            "scores": "exact" if self.exact_after or not self.facts["lossy"] else "approximate (index only)"
        }
        said |= {"io_flags": list(self.opened.flags)} if self.opened.flags else {}
        said |= {"io_flags_dropped": list(self.opened.dropped)} if self.opened.dropped else {}
        return said

    def _search(self, keys: Float[Tensor, "B P"], width: int) -> tuple[np.ndarray, np.ndarray]:
        return self.index.search(np.ascontiguousarray(keys.numpy()), width)

    def _flat(self, gallery: Gallery) -> Any:
        """Every row in half precision, or in single precision for a GPU, which knows no other flat index."""
        dim, product = gallery.manifest.dim, self.faiss.METRIC_INNER_PRODUCT
        if self.config.device == "cpu":
            index = self.faiss.IndexScalarQuantizer(dim, self.faiss.ScalarQuantizer.QT_fp16, product)
        else:
            index = self.faiss.IndexFlat(dim, product)
        for _, rows in gallery.embeddings(self.config.search_in).blocks():
            index.add(np.asarray(rows, dtype=np.float32))
        return index

    def _set(self, name: str, value: int) -> None:
        if value:
            try:
                self.faiss.ParameterSpace().set_index_parameter(self.opened.index, name, value)
            except RuntimeError:
                self._refuse(name)

    def _refuse(self, name: str) -> None:
        option = {"nprobe": "nprobe", "efSearch": "ef_search"}[name]
        if getattr(self.config, option):
            raise SpecError(
                f"The index ({self.facts['kind']}) has no {name}.",
                where=f"retriever.{option}",
                mend="Leave the option out.",
            )

    def _on_device(self, index: Any) -> Any:
        if self.config.device == "cpu" or self.opened.on_disk:
            return index
        if not hasattr(self.faiss, "StandardGpuResources") or self.faiss.get_num_gpus() == 0:
            raise MissingExtraError(
                "faiss sees no GPU.",
                where="retriever.device",
                mend='pip install "brain-decoding-kit[gpu]" in place of [cpu], or use device = "cpu".',
            )
        self._resources = self.faiss.StandardGpuResources()
        number = int(self.config.device.partition(":")[2] or 0)
        return self.faiss.index_cpu_to_gpu(self._resources, number, index)
