"""BibTeX of what the priors are taken from."""

from __future__ import annotations

CITATIONS: dict[str, str] = {
    "xie2024brainram": """@inproceedings{xie2024brainram,
  title = {{BrainRAM}: Cross-Modality Retrieval-Augmented Image Reconstruction from Human Brain Activity},
  author = {Xie, Dian and Zhao, Peiang and Zhang, Jiarui and Wei, Kangqi and Ni, Xiaobao and Xia, Jiong},
  booktitle = {Proceedings of the 32nd ACM International Conference on Multimedia},
  year = {2024},
  doi = {10.1145/3664647.3681296}
}""",
    "scotti2023mindeye": """@inproceedings{scotti2023mindeye,
  title = {Reconstructing the Mind's Eye: {fMRI}-to-Image with Contrastive Learning and Diffusion Priors},
  author = {Scotti, Paul S. and Banerjee, Atmadeep and Goode, Jimmie and Shabalin, Stepan and Nguyen, Alex and
            Cohen, Ethan and Dempster, Aidan J. and Verlinde, Nathalie and Yundler, Elad and Weisberg, David and
            Norman, Kenneth A. and Abraham, Tanishq Mathew},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023}
}""",
    "ramesh2022dalle2": """@misc{ramesh2022dalle2,
  title = {Hierarchical Text-Conditional Image Generation with {CLIP} Latents},
  author = {Ramesh, Aditya and Dhariwal, Prafulla and Nichol, Alex and Chu, Casey and Chen, Mark},
  year = {2022},
  eprint = {2204.06125},
  archivePrefix = {arXiv}
}""",
    "lu2022dpmsolverpp": """@misc{lu2022dpmsolverpp,
  title = {{DPM-Solver++}: Fast Solver for Guided Sampling of Diffusion Probabilistic Models},
  author = {Lu, Cheng and Zhou, Yuhao and Bao, Fan and Chen, Jianfei and Li, Chongxuan and Zhu, Jun},
  year = {2022},
  eprint = {2211.01095},
  archivePrefix = {arXiv}
}""",
}
