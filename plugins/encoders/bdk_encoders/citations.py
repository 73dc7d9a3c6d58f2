"""BibTeX of what the encoders are taken from."""

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
    "gu2023mamba": """@misc{gu2023mamba,
  title = {Mamba: Linear-Time Sequence Modeling with Selective State Spaces},
  author = {Gu, Albert and Dao, Tri},
  year = {2023},
  eprint = {2312.00752},
  archivePrefix = {arXiv}
}""",
    "ozcelik2023braindiffuser": """@article{ozcelik2023braindiffuser,
  title = {Natural scene reconstruction from {fMRI} signals using generative latent diffusion},
  author = {Ozcelik, Furkan and VanRullen, Rufin},
  journal = {Scientific Reports},
  volume = {13},
  year = {2023},
  doi = {10.1038/s41598-023-42891-8}
}""",
    "takagi2023high": """@inproceedings{takagi2023high,
  title = {High-resolution image reconstruction with latent diffusion models from human brain activity},
  author = {Takagi, Yu and Nishimoto, Shinji},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2023}
}""",
    "lin2022mindreader": """@inproceedings{lin2022mindreader,
  title = {Mind Reader: Reconstructing complex images from brain activities},
  author = {Lin, Sikun and Sprague, Thomas and Singh, Ambuj K.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2022}
}""",
}
