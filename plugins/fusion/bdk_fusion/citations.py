"""BibTeX of what the fusion modules are taken from."""

from __future__ import annotations

CITATIONS: dict[str, str] = {
    "xie2024brainram": """@inproceedings{xie2024brainram,
  title = {{BrainRAM}: Cross-Modality Retrieval-Augmented Image Reconstruction from Human Brain Activity},
  author = {Xie, Dian and Zhao, Peiang and Zhang, Jiarui and Wei, Kangqi and Ni, Xiaobao and Xia, Jiong},
  booktitle = {Proceedings of the 32nd ACM International Conference on Multimedia},
  year = {2024},
  doi = {10.1145/3664647.3681296}
}""",
}
