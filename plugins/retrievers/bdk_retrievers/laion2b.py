"""`laion2b`: LAION-2B-en, the English part of LAION-5B; on the demo world a labelled stand-in."""

from __future__ import annotations

from bdk_retrievers.named import NamedGallery


class Laion2b(NamedGallery):
    """2.3 billion English image-text pairs, from a folder that the user names (nobody serves it any more).

    Source: Schuhmann et al. 2022; BrainRAM retrieves from it without saying by which embeddings. Ours are those that
    LAION published: CLIP ViT-L/14, 768 numbers, unit length.
    """

    name = "laion2b"
