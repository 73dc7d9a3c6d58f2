"""An embedded vector database as a retriever. Imports nothing heavy: listing what is installed stays quick."""

from __future__ import annotations

from bdk.components import ComponentInfo, offer
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """What this package offers."""
    return [
        offer(
            "retriever",
            "lancedb",
            config="bdk_vector_db.configs:LanceConfig",
            target="bdk_vector_db.lance:Lance",
            summary="Searches a gallery inside LanceDB, a vector database that runs in the process",
            requires=(("lancedb", "pip install lancedb"),),
        )
    ]
