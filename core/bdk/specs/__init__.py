"""The bundled specs. Imports nothing heavy."""

from __future__ import annotations

import importlib.resources
import tomllib

from bdk.components import SpecInfo
from bdk.hookspecs import hookimpl

bdk_api = ">=1,<2"


@hookimpl
def bdk_specs() -> list[SpecInfo]:
    """Every spec file of this folder, with its ``caption`` or ``label`` as the summary."""
    return [_info(path.name) for path in sorted(importlib.resources.files(__name__).iterdir(), key=lambda p: p.name)
            if path.name.endswith(".toml") and path.name != "paper_tables.toml"]  # fmt: skip


CITATIONS = {
    "gu2022decoding": (
        "@article{gu2022decoding, title={Decoding natural image stimuli from fMRI data with a surface-based "
        "convolutional network}, author={Gu, Zijin and Jamison, Keith and Kuceyeski, Amy and Sabuncu, Mert}, "
        "journal={arXiv:2212.02409}, year={2022}}"
    ),
    "casanova2021icgan": (
        "@inproceedings{casanova2021icgan, title={Instance-Conditioned GAN}, author={Casanova, Arantxa and Careil, "
        "Marlene and Verbeek, Jakob and Drozdzal, Michal and Romero-Soriano, Adriana}, booktitle={Advances in Neural "
        "Information Processing Systems}, year={2021}}"
    ),
    "zhou2022lafite": (
        "@inproceedings{zhou2022lafite, title={Towards Language-Free Training for Text-to-Image Generation}, "
        "author={Zhou, Yufan and Zhang, Ruiyi and Chen, Changyou and Li, Chunyuan and Tensmeyer, Chris and Yu, Tong "
        "and Gu, Jiuxiang and Xu, Jinhui and Sun, Tong}, booktitle={IEEE/CVF Conference on Computer Vision and "
        "Pattern Recognition}, year={2022}}"
    ),
}
"""Of the published systems; what their parts are taken from is cited by the parts."""


@hookimpl
def bdk_citations() -> dict[str, str]:
    """BibTeX of the published systems that are bundled as specs."""
    return CITATIONS


def _info(name: str) -> SpecInfo:
    raw = tomllib.loads(importlib.resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))
    summary = raw.get("caption") or raw.get("label", "")
    return SpecInfo(name.removesuffix(".toml"), f"{__name__}:{name}", str(summary))
