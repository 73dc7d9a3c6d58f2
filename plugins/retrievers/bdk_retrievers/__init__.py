"""Built-in retrievers: how neighbours of an estimate are found in a gallery. Imports nothing heavy."""

from __future__ import annotations

from bdk.components import ComponentInfo, offer
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    """The retrievers of this package."""
    return [
        _retriever(
            "exact", "Exact", "Scans a gallery's stored embeddings; the reference that others are compared with"
        ),
        _retriever(
            "faiss",
            "Faiss",
            "Searches a gallery's faiss index and ranks candidates again with the stored embeddings",
            requires=(("faiss", "cpu"),),
            cite=("johnson2019faiss",),
        ),
        _retriever(
            "laion2b",
            "Laion2b",
            "LAION-2B-en, 2.3 billion English pairs (demo world: a stand-in)",
            cite=("schuhmann2022laion",),
        ),
        _retriever(
            "laion400m",
            "Laion400m",
            "LAION-400M, 400 million pairs (demo world: a stand-in)",
            cite=("schuhmann2021laion",),
        ),
        _retriever(
            "clip-retrieval",
            "ClipRetrieval",
            "Asks a running clip-retrieval service",
            cite=("beaumont2022clipretrieval",),
        ),
        _retriever("frozen", "Frozen", "Replays the neighbours that an earlier run recorded"),
    ]


def _retriever(
    name: str, title: str, summary: str, *, requires: tuple[tuple[str, str], ...] = (), cite: tuple[str, ...] = ()
) -> ComponentInfo:
    module = name.replace("-", "_")
    return offer(
        "retriever",
        name,
        config=f"bdk_retrievers.configs:{title}Config",
        target=f"bdk_retrievers.{module}:{title}",
        summary=summary,
        requires=requires,
        cite=cite,
    )


@hookimpl
def bdk_citations() -> dict[str, str]:
    """What to cite for each retriever."""
    return {
        "johnson2019faiss": (
            "@article{johnson2019faiss, title={Billion-scale similarity search with {GPUs}}, "
            "author={Johnson, Jeff and Douze, Matthijs and J{\\'e}gou, Herv{\\'e}}, "
            "journal={IEEE Transactions on Big Data}, volume={7}, number={3}, pages={535--547}, year={2019}}"
        ),
        "schuhmann2022laion": (
            "@inproceedings{schuhmann2022laion, title={{LAION-5B}: An open large-scale dataset for training next "
            "generation image-text models}, author={Schuhmann, Christoph and others}, booktitle={NeurIPS}, year={2022}}"
        ),
        "schuhmann2021laion": (
            "@article{schuhmann2021laion, title={{LAION-400M}: Open Dataset of {CLIP}-Filtered 400 Million Image-Text "
            "Pairs}, author={Schuhmann, Christoph and others}, journal={arXiv:2111.02114}, year={2021}}"
        ),
        "beaumont2022clipretrieval": (
            "@misc{beaumont2022clipretrieval, title={Clip Retrieval: Easily compute clip embeddings and build a clip "
            "retrieval system with them}, author={Beaumont, Romain}, "
            "howpublished={\\url{https://github.com/rom1504/clip-retrieval}}, year={2022}}"
        ),
    }
