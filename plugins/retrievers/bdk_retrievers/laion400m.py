"""`laion400m`: LAION-400M; on the demo world a labelled stand-in."""

from __future__ import annotations

from bdk_retrievers.named import NamedGallery


class Laion400m(NamedGallery):
    """400 million image-text pairs in many languages, from a folder that the user names.

    Source: Schuhmann et al. 2021. LAION published ViT-B/32 embeddings (512 numbers) of it, which queries of ViT-L/14
    cannot search: embed it again with ViT-L/14, or expect to be refused.
    """

    name = "laion400m"
