"""Independent pieces of an index build on dask workers; the results are files, so nothing lives in their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def dask_map(client: Any) -> Callable[[Callable[..., Any], list[tuple]], Iterable[Any]]:
    """A `bdk.galleries.building.Map` over a dask client; a piece whose worker dies is given to another.

    Args:
        client: a ``distributed.Client``; all workers must see the gallery's file system.
    """

    def run(work: Callable[..., Any], arguments: list[tuple]) -> Iterable[Any]:
        from distributed import as_completed

        futures = [client.submit(work, *given, pure=False, retries=2) for given in arguments]
        return (future.result() for future in as_completed(futures))

    return run
