"""The door of the built-in data sets and spaces. Imports no torch."""

from __future__ import annotations

from bdk.components import DatasetInfo
from bdk.hookspecs import hookimpl
from bdk.spaces import Space
from bdk.targets.spaces import SPACES

_CONFIGS = "bdk.data.configs"

DATASETS = [
    DatasetInfo(
        "demo", f"{_CONFIGS}:DemoConfig", "bdk.data.demo:Demo", "Embedded demo world: drawn scenes, simulated brain"
    ),
    DatasetInfo("arrays", f"{_CONFIGS}:ArraysConfig", "bdk.data.arrays:Arrays", "Array files described by one TOML"),
    DatasetInfo(
        "nifti", f"{_CONFIGS}:NiftiConfig", "bdk.data.nifti:Nifti", "BOLD or beta NIfTI, mask and table of events"
    ),
    DatasetInfo(
        "nsd",
        f"{_CONFIGS}:PreparedConfig",
        "bdk.data.prepared:Prepared",
        "Natural Scenes Dataset, prepared by `bdk data prepare nsd`",
        cite=("allen2022nsd",),
    ),
    DatasetInfo(
        "mindeye-webdataset",
        f"{_CONFIGS}:MindEyeConfig",
        "bdk.data.mindeye_webdataset:MindEyeWebdataset",
        "MindEye's webdataset export of NSD",
        cite=("allen2022nsd", "scotti2023mindeye"),
    ),
    DatasetInfo(
        "mindeye2-hdf5",
        f"{_CONFIGS}:MindEye2Config",
        "bdk.data.mindeye2_hdf5:MindEye2Hdf5",
        "MindEye2's hdf5 export of NSD",
        cite=("allen2022nsd", "scotti2024mindeye2"),
    ),
    DatasetInfo("bids", f"{_CONFIGS}:BidsConfig", "bdk.data.bids:Bids", "BIDS derivatives: betas and events.tsv"),
]

CITATIONS = {
    "allen2022nsd": (
        "@article{allen2022nsd, title={A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial "
        "intelligence}, author={Allen, Emily J. and St-Yves, Ghislain and Wu, Yihan and Breedlove, Jesse L. and "
        "Prince, Jacob S. and others}, journal={Nature Neuroscience}, volume={25}, pages={116--126}, year={2022}}"
    ),
    "scotti2023mindeye": (
        "@inproceedings{scotti2023mindeye, title={Reconstructing the Mind's Eye: fMRI-to-Image with Contrastive "
        "Learning and Diffusion Priors}, author={Scotti, Paul S. and Banerjee, Atmadeep and Goode, Jimmie and others},"
        " booktitle={Advances in Neural Information Processing Systems}, year={2023}}"
    ),
    "scotti2024mindeye2": (
        "@inproceedings{scotti2024mindeye2, title={MindEye2: Shared-Subject Models Enable fMRI-To-Image With 1 Hour of "
        "Data}, author={Scotti, Paul S. and Tripathy, Mihir and Torrico Villanueva, Cesar Kadir and others}, "
        "booktitle={International Conference on Machine Learning}, year={2024}}"
    ),
}


@hookimpl
def bdk_datasets() -> list[DatasetInfo]:
    return DATASETS


@hookimpl
def bdk_spaces() -> list[Space]:
    return SPACES


@hookimpl
def bdk_citations() -> dict[str, str]:
    return CITATIONS
