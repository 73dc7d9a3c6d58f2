"""The queries a retriever can be asked with, as plain data: which guide each is made of, and from whose tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bdk.errors import PlanError

QueryName = Literal["auto", "image-cls", "image-tokens", "text", "encoder"]


@dataclass(frozen=True)
class Query:
    """One way to ask.

    Args:
        name: how a spec calls it.
        guide: the guide whose tokens the pooled key is made of.
        source: ``estimate`` (the prior's samples, or the encoder's tokens where there is no prior) or ``encoder``
            (the encoder's ``contrast`` output).
        reranks: whether a larger pool of candidates is then ranked by the cosine of whole token tensors.
    """

    name: str
    guide: str
    source: Literal["estimate", "encoder"]
    reranks: bool


QUERIES: dict[str, Query] = {
    query.name: query
    for query in (
        Query("image-cls", "image", "estimate", reranks=False),
        Query("image-tokens", "image", "estimate", reranks=True),
        Query("text", "text", "estimate", reranks=False),
        Query("encoder", "image", "encoder", reranks=False),
    )
}
_OWN = {"image": "image-cls", "text": "text"}


def query_for(name: str, guide: str, guides: tuple[str, ...] = (), *, where: str = "") -> Query:
    """The query that guide ``guide`` retrieves with; ``auto`` means the guide's own.

    Args:
        name: ``retriever.query`` of the spec.
        guide: the guide that wants neighbours.
        guides: all guides of the run; the query's guide must be among them. Empty skips that check.
        where: option or file to name in an error.

    Raises:
        PlanError: there is no such query, the guide has none of its own, or the run lacks the query's guide.
    """
    chosen = _OWN.get(guide, "") if name == "auto" else name
    if chosen not in QUERIES:
        raise PlanError(
            f"Guide {guide!r} has no query {name!r}.",
            where=where,
            mend=f"Set retriever.query to one of: {', '.join(QUERIES)}.",
        )
    query = QUERIES[chosen]
    if guides and query.guide not in guides:
        raise PlanError(
            f"Query {query.name!r} is made of the guide {query.guide!r}, which this run does not have.",
            where=where,
            mend=f"Add the guide to guides, or choose a query of one of: {', '.join(guides)}.",
        )
    return query
