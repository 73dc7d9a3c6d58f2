"""The built-in decoders: guides in, pictures out. This module and `configs` import no torch."""

from __future__ import annotations

from bdk.components import ComponentInfo, offer
from bdk.hookspecs import hookimpl

_CONFIGS = "bdk_decoders.configs"
_DIFFUSERS = (("diffusers", "cpu"),)

DECODERS = [
    offer(
        "decoder",
        "demo",
        config=f"{_CONFIGS}:DemoConfig",
        target="bdk_decoders.demo:Demo",
        summary="The demo world's dual-guided diffusion model",
    ),
    offer(
        "decoder",
        "nearest",
        config=f"{_CONFIGS}:NearestConfig",
        target="bdk_decoders.nearest:Nearest",
        summary="The best retrieved picture itself",
    ),
    offer(
        "decoder",
        "low-level",
        config=f"{_CONFIGS}:LowLevelConfig",
        target="bdk_decoders.low_level:LowLevel",
        summary="The decoded VAE latent alone",
        cite=("scotti2023mindeye",),
    ),
    offer(
        "decoder",
        "versatile-diffusion",
        config=f"{_CONFIGS}:VersatileDiffusionConfig",
        target="bdk_decoders.versatile_diffusion:VersatileDiffusion",
        summary="Versatile Diffusion, guided by CLIP image and text tokens",
        cite=("xu2023versatile",),
        requires=_DIFFUSERS,
    ),
    offer(
        "decoder",
        "sd-img2img",
        config=f"{_CONFIGS}:SdImg2ImgConfig",
        target="bdk_decoders.sd_img2img:SdImg2Img",
        summary="Stable Diffusion 1.x from a decoded latent and decoded text",
        cite=("takagi2023",),
        requires=_DIFFUSERS,
    ),
    offer(
        "decoder",
        "ip-adapter",
        config=f"{_CONFIGS}:IpAdapterConfig",
        target="bdk_decoders.ip_adapter:IpAdapter",
        summary="Stable Diffusion 1.x or XL with an IP-Adapter",
        cite=("ye2023ipadapter",),
        requires=_DIFFUSERS,
    ),
    offer(
        "decoder",
        "unclip",
        config=f"{_CONFIGS}:UnclipConfig",
        target="bdk_decoders.unclip:Unclip",
        summary="StableUnCLIP, conditioned on a CLIP image vector",
        cite=("ramesh2022unclip",),
        requires=_DIFFUSERS,
    ),
    offer(
        "decoder",
        "torchscript",
        config=f"{_CONFIGS}:TorchscriptConfig",
        target="bdk_decoders.torchscript:Torchscript",
        summary="A generator you exported yourself (LAFITE, IC-GAN, ..)",
    ),
]

CITATIONS = {
    "xu2023versatile": (
        "@inproceedings{xu2023versatile, title={Versatile Diffusion: Text, Images and Variations All in One Diffusion "
        "Model}, author={Xu, Xingqian and Wang, Zhangyang and Zhang, Gong and Wang, Kai and Shi, Humphrey}, "
        "booktitle={IEEE/CVF International Conference on Computer Vision}, year={2023}}"
    ),
    "takagi2023": (
        "@inproceedings{takagi2023, title={High-resolution image reconstruction with latent diffusion models from "
        "human brain activity}, author={Takagi, Yu and Nishimoto, Shinji}, "
        "booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition}, year={2023}}"
    ),
    "ye2023ipadapter": (
        "@article{ye2023ipadapter, title={IP-Adapter: Text Compatible Image Prompt Adapter for Text-to-Image Diffusion "
        "Models}, author={Ye, Hu and Zhang, Jun and Liu, Sibo and Han, Xiao and Yang, Wei}, "
        "journal={arXiv:2308.06721}, year={2023}}"
    ),
    "ramesh2022unclip": (
        "@article{ramesh2022unclip, title={Hierarchical Text-Conditional Image Generation with CLIP Latents}, "
        "author={Ramesh, Aditya and Dhariwal, Prafulla and Nichol, Alex and Chu, Casey and Chen, Mark}, "
        "journal={arXiv:2204.06125}, year={2022}}"
    ),
}


@hookimpl
def bdk_components() -> list[ComponentInfo]:
    return DECODERS


@hookimpl
def bdk_citations() -> dict[str, str]:
    return CITATIONS
