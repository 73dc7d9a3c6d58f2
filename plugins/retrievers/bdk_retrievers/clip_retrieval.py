"""`clip-retrieval`: the client of a running clip-retrieval service, nothing asked for that bends the ranking."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore
import torch
from bdk.contexts import RetrieverContext
from bdk.errors import ComponentError, RetrieverUnavailableError, SpaceMismatchError
from bdk.galleries.addresses import RefusedAddressError
from bdk.galleries.bounded_network import BoundError, Bounds, post
from bdk.galleries.items import Items, gather
from bdk.galleries.metadata import canonical_names
from bdk.galleries.pictures import Missing
from bdk.galleries.ranking import best, check_keys, ordered, without
from bdk.galleries.recording import Recorder
from bdk.galleries.sources import token_cache, url_pictures
from bdk.interfaces import Neighbours
from jaxtyping import Float, Int
from torch import Tensor

from bdk_retrievers.configs import ClipRetrievalConfig

PLAIN = {
    "deduplicate": False,
    "use_safety_model": False,
    "use_violence_detector": False,
    "aesthetic_score": "",
    "aesthetic_weight": 0.0,
    "use_mclip": False,
}
"""What every request says, so that the answer is the nearest neighbours and nothing else. The service's own client
asks for deduplication, a safety filter and an aesthetic score of 9 by default, all of which change the ranking."""
_FAILURES = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    RefusedAddressError,
)


class ClipRetrieval:
    """Asks a clip-retrieval service (``POST /knn-service``) for neighbours and encodes what it names.

    The service returns no embeddings and may return fewer items than asked for; what is missing is padded.

    Raises:
        SpaceMismatchError: the queries do not live in the space that the options say the index has.
    """

    def __init__(self, config: ClipRetrievalConfig, context: RetrieverContext) -> None:
        if context.key_model != config.key_model:
            raise SpaceMismatchError(
                f"The service's index is said to hold {config.key_model!r}, but the queries are {context.key_model!r}.",
                where="retriever.key_model",
                mend="Choose guides of the index's CLIP model, or another index.",
            )
        self.config, self.context = config, context
        self.items = Items(context.spaces, url_pictures(config, context.cache), token_cache(config, context))
        self._rows: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._short = 0
        self._recorder = Recorder(config.record) if config.record else None

    def search(self, keys: Float[Tensor, "B P"], k: int, exclude: Int[Tensor, "B E"] | None = None) -> Neighbours:
        """The service's k nearest items to each key; one request a key."""
        unit = check_keys(keys, self.context.key_dim, k, exclude)
        wanted = k + (exclude.shape[1] if exclude is not None else 0)
        with ThreadPoolExecutor(self.config.at_once) as pool:
            answers = list(pool.map(lambda key: self._ask(key, wanted), unit))
        found = best(without(ordered(*_table(answers, wanted)), exclude), k)
        self._short += int((found.ids < 0).sum())
        if self._recorder:
            self._recorder.add(unit, found, exclude, self, self._record_header())
        return found

    def fetch(self, ids: Int[Tensor, "B K"], guide: str) -> Float[Tensor, "B K T D"]:
        """Tokens of each item, encoded once; NaN for -1 and for items whose picture or caption cannot be had."""
        wanted = [id for id in torch.unique(ids).tolist() if id >= 0]
        return gather(self.items.tokens(self._known(wanted), guide), ids, self.items.space(guide))

    def picture(self, id: int) -> Float[Tensor, "3 H W"] | None:
        """One item's picture, values 0..1; None if it cannot be had."""
        pixels = self.items.pictures.load(self._known([id])[id])
        return None if isinstance(pixels, Missing) else torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255

    def describe(self, ids: list[int]) -> list[dict[str, object]]:
        """Metadata of items, as the service gave it."""
        known = self._known(list(ids))
        return [{"id": id, **known[id]} for id in ids]

    def stamps(self) -> dict[str, object]:
        """What every output must say of this retrieval."""
        said: dict[str, object] = {
            "gallery": self.config.index,
            "backend": f"clip-retrieval service at {self.config.url}",
            "search_in": self.config.modality,
            "dedup": False,
            "service_flags": PLAIN,
        }
        said |= {"missing_items": self.items.missing()} if self.items.missing() else {}
        return said | ({"unfilled_neighbours": self._short} if self._short else {})

    def _record_header(self) -> dict[str, object]:
        return {
            "name": self.config.index,
            "key_model": self.config.key_model,
            "dim": self.context.key_dim,
            "pictures": "url",
            "fingerprint": f"{self.config.url} {self.config.index} {self.config.modality}",
        }

    def _ask(self, key: Float[Tensor, "P"], k: int) -> list[tuple[int, float]]:
        request = {
            **PLAIN,
            "embedding_input": key.tolist(),
            "modality": self.config.modality,
            "num_images": k,
            "num_result_ids": k,
            "indice_name": self.config.index,
        }
        found = [self._item(row) for row in self._post("knn-service", request)]
        with self._lock:
            self._rows.update({id: row for id, _, row in found})
        return [(id, score) for id, score, _ in found]

    def _item(self, row: Any) -> tuple[int, float, dict[str, Any]]:
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("id"), int)
            or not isinstance(row.get("similarity"), (int, float))
        ):
            raise ComponentError(
                "The service answered with an item that has no id or similarity.", where=self.config.url
            )
        plain = {key: value for key, value in row.items() if key not in ("id", "similarity")}
        return row["id"], float(row["similarity"]), _our_names(plain)

    def _known(self, ids: list[int]) -> dict[int, dict[str, Any]]:
        """Metadata of items; what no search has brought is asked for."""
        absent = [id for id in ids if id not in self._rows]
        if absent:
            answer = self._post("metadata", {"ids": absent, "indice_name": self.config.index})
            told = {
                row["id"]: _our_names(row.get("metadata") or {})
                for row in answer
                if isinstance(row, dict) and "id" in row
            }
            self._rows |= {id: told.get(id, {}) for id in absent}
        return {id: self._rows[id] for id in ids}

    def _post(self, path: str, body: dict[str, Any]) -> list[Any]:
        bounds = Bounds(self.config.max_answer_bytes, self.config.timeout, 0, allow_private=True)
        try:
            status, data = post(f"{self.config.url.rstrip('/')}/{path}", json.dumps(body).encode(), bounds)
        except BoundError as error:
            option = {"timeout": "timeout", "too-many-bytes": "max_answer_bytes"}.get(error.reason)
            raise self._unavailable(f"{error.reason}: retriever.{option}" if option else error.reason) from error
        except (*_FAILURES, ValueError) as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
        if status != 200:
            raise self._unavailable(f"status {status}: {data[:200].decode(errors='replace')}")
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise self._unavailable("the answer is not JSON") from error
        if not isinstance(answer, list):
            raise self._unavailable("the answer is not a list")
        return answer

    def _unavailable(self, why: str) -> RetrieverUnavailableError:
        return RetrieverUnavailableError(
            f"The clip-retrieval service at {self.config.url} gave no usable answer ({why}).",
            where="retriever.url",
            mend="Start one (`clip-retrieval back`), name its index with --retriever.index, or use a gallery: "
            "`bdk index import FOLDER` adopts the folder that the service serves from.",
        )


def _our_names(row: dict[str, Any]) -> dict[str, Any]:
    names = canonical_names(list(row))
    return {names.get(key, key): value for key, value in row.items() if value is not None}


def _table(answers: list[list[tuple[int, float]]], k: int) -> tuple[Tensor, Tensor]:
    ids = torch.full((len(answers), max([k, *map(len, answers)])), -1, dtype=torch.int64)
    scores = torch.full(ids.shape, -torch.inf)
    for row, answer in enumerate(answers):
        for place, (id, score) in enumerate(answer):
            ids[row, place], scores[row, place] = id, score
    return ids, scores
