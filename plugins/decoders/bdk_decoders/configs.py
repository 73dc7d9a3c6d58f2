"""Options of the built-in decoders. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from bdk.components import DecoderConfig
from bdk.fingerprints import shipped_path
from bdk.weights import folder_lacks, folder_of
from pydantic import Field, model_validator

Noise = Literal["shared", "independent"]
Precision = Literal["auto", "full", "half"]


class DemoConfig(DecoderConfig):
    """The demo world's own dual-guided diffusion model."""

    steps: int = Field(20, ge=1, le=200, json_schema_extra={"quick": 8})
    """Denoising steps, 1 to 200."""
    guidance: float = Field(2.0, ge=0.0, le=20.0)
    """Classifier-free guidance scale; 1 is none, 0 ignores the guides."""
    mix: float = Field(0.5, ge=0.0, le=1.0)
    """Share of the text guide in the cross-attention, 0 to 1, when both guides are given."""
    strength: float = Field(0.75, ge=0.0, le=1.0)
    """Share of the noise schedule to run when a `low` guide starts the picture: 1 ignores the guide, 0 returns it."""
    noise: Noise = "shared"
    """`shared`: sample s of every stimulus starts from the same noise, as the published scripts (one seed for all);
    then a picture does not depend on the batch it was made in. `independent`: noise of its own for each."""

    def spaces(self) -> dict[str, str]:
        return {"image": "demo-clip/image", "text": "demo-clip/text", "low": "demo-vae/latent"}

    def sources(self) -> list[Path]:
        """The shipped weights: pictures painted with others have other content keys."""
        return [shipped_path(f"bdk.demo:weights/{name}.safetensors") for name in ("unet", "vae")]


class NearestConfig(DecoderConfig):
    """The best retrieved picture itself: what retrieval alone can do."""

    search: Literal["estimate", "refined"] = "estimate"
    """With what the gallery is searched: `estimate` shows what stage I's samples (or the query of the retriever)
    found; `refined` searches once more with what stage II made of them (BrainRAM's Table 2, with RAM)."""

    def spaces(self) -> dict[str, str]:
        return {}

    def uses_neighbours(self) -> bool:
        return True

    def searches_refined(self) -> bool:
        """Whether the gallery is to be searched again with the guide's last word."""
        return self.search == "refined"


class LowLevelConfig(DecoderConfig):
    """The decoded latent image alone, without diffusion."""

    required: ClassVar[tuple[str, ...]] = ("low",)

    space: Literal["demo-vae/latent", "sd-vae/latent", "sd-vae/latent-40"] = "demo-vae/latent"
    """Latent space of the `low` guide: the demo world's VAE, or Stable Diffusion's for 512 or 320 pixels."""
    weights: str = ""
    """Folder of the VAE (config.json and safetensors); empty to look up `sd-vae` in the weights manifest. Unused for
    the demo world's VAE, which is shipped."""
    batch: int = Field(8, ge=1)
    """Pictures decoded at once."""

    def spaces(self) -> dict[str, str]:
        return {"low": self.space}

    def lacks(self) -> list[str]:
        """A line if the VAE is not on this machine; the demo world's is shipped."""
        return [] if self.space.startswith("demo-") else folder_lacks(self.weights, "sd-vae", ("config.json",))

    def sources(self) -> list[Path]:
        """The VAE's folder: pictures painted with other weights have other content keys."""
        return [] if self.space.startswith("demo-") else folder_of(self.weights, "sd-vae")


class DiffusionConfig(DecoderConfig):
    """What every diffusion decoder loaded from a local folder has in common."""

    weights: str = ""
    """Folder with the model's components in subfolders; empty to look it up in the weights manifest."""
    batch: int = Field(4, ge=1)
    """Pictures denoised at once. 4 fit 12 GB at 512 pixels in half precision."""
    precision: Precision = "auto"
    """`auto`: half on an accelerator and full on a CPU, where half precision is 100 times slower; `half` is refused
    on a CPU."""
    device: str = "auto"
    """`auto` for the first accelerator if there is one, else `cpu`; or a torch device such as `cuda:1`."""
    noise: Noise = "shared"
    """`shared`: sample s of every stimulus starts from the same noise, as the published scripts (one seed for all);
    then a picture does not depend on the batch it was made in. `independent`: noise of its own for each."""

    def model(self) -> tuple[str, tuple[str, ...]]:
        """Name of the model's folder in the weights manifest, and the files that must be in it."""
        raise NotImplementedError("a diffusion decoder's options say what its folder holds")

    def lacks(self) -> list[str]:
        """A line if the folder, or a part of the model, is not on this machine."""
        return folder_lacks(self.weights, *self.model())

    def sources(self) -> list[Path]:
        """The model's folder: pictures painted with other weights have other content keys."""
        return folder_of(self.weights, self.model()[0])


_VD_PRESETS: dict[str, dict[str, Any]] = {
    "mindeye": {
        "steps": 20, "guidance": 3.5, "mix": 0.0, "unconditional": "zeros", "sampler": "unipc", "strength": 0.85
    },
    "brainram-release": {"steps": 50, "guidance": 7.5, "mix": 0.5, "unconditional": "zeros", "sampler": "unipc"},
    "brain-diffuser": {
        "steps": 50, "guidance": 7.5, "mix": 0.4, "unconditional": "encoded", "sampler": "ddim", "strength": 0.75
    },
}  # fmt: skip


class VersatileDiffusionConfig(DiffusionConfig):
    """Versatile Diffusion, steered by CLIP ViT-L/14 image and text tokens."""

    preset: Literal["brainram-release", "mindeye", "brain-diffuser"] = "brainram-release"
    """Published settings, from which every option that is not given is taken. `brainram-release`: 50 steps, guidance
    7.5, mix .5 (what the released script runs; the 20 steps and 3.5 that it sets are never used). `mindeye`: 20
    steps, guidance 3.5, mix 0 (image alone). `brain-diffuser`: 50 DDIM steps, 7.5, text share .4."""
    steps: int = Field(50, ge=1, le=1000, json_schema_extra={"quick": 2})
    """Denoising steps over the whole schedule."""
    guidance: float = Field(7.5, ge=0.0, le=50.0)
    """Classifier-free guidance scale; 1 is none."""
    mix: float = Field(0.5, ge=0.0, le=1.0)
    """Share of text in every dual block: 1 text only, 0 image only."""
    single_guide: Literal["strict", "release"] = "strict"
    """With one guide alone. `strict`: mix becomes 0 or 1, so that the other branch has no say; `release`: mix stays
    and the other guide is zeros, as in BrainRAM's released script."""
    unconditional: Literal["zeros", "encoded"] = "zeros"
    """What guidance steers away from: zeros (MindEye, BrainRAM) or the encoded empty caption and grey picture
    (Brain-Diffuser, the original authors)."""
    sampler: Literal["unipc", "ddim"] = "unipc"
    """UniPC of order 2 (MindEye, BrainRAM), or DDIM with eta 0 (Brain-Diffuser)."""
    strength: float = Field(0.85, ge=0.0, le=1.0)
    """How much of the schedule to run when a `low` guide starts the picture: 1 ignores it. MindEye .85: 17 of 20 steps;
    Brain-Diffuser .75."""
    image: str = "clip-vit-l14/image"
    """Space id of the `image` guide. Another only with weights that were trained for it."""
    text: str = "clip-vit-l14/text"
    """Space id of the `text` guide. Another only with weights that were trained for it."""
    low: str = "sd-vae/latent"
    """Space id of the `low` guide: latents of the VAE in the folder, as many as the UNet paints."""

    @model_validator(mode="before")
    @classmethod
    def _take_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = given.get("preset", "brainram-release")
        return {**_VD_PRESETS.get(preset, {}), **given}

    def spaces(self) -> dict[str, str]:
        return {"image": self.image, "text": self.text, "low": self.low}

    def model(self) -> tuple[str, tuple[str, ...]]:
        unet = ("image_unet/config.json", "image_unet/diffusion_pytorch_model.safetensors")
        return "versatile-diffusion", (*unet, "vae/config.json", "scheduler/scheduler_config.json")


_STABLE_DIFFUSION = ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")


class SdImg2ImgConfig(DiffusionConfig):
    """Stable Diffusion 1.x, started from a decoded latent image and steered by decoded text states."""

    required: ClassVar[tuple[str, ...]] = ("text",)

    steps: int = Field(50, ge=1, le=1000, json_schema_extra={"quick": 2})
    """DDIM steps (eta 0) over the whole schedule; Takagi and Nishimoto's released code runs 50."""
    guidance: float = Field(5.0, ge=0.0, le=50.0)
    """Classifier-free guidance scale; 5 in the released code."""
    strength: float = Field(0.8, ge=0.0, le=1.0)
    """Share of the schedule that is run from the `low` guide; .8 is 40 of 50 steps. Without a `low` guide all steps."""
    side: int = Field(512, ge=64, le=2048, multiple_of=8)
    """Pixels of the pictures made."""
    text: str = "sd14/text"
    """Space id of the `text` guide. Another only with weights that were trained for it."""
    low: str = "sd-vae/latent-40"
    """Space id of the `low` guide. `sd-vae/latent-40` (4 x 40 x 40, from 320 pixels) is decoded, resized to `side` and
    encoded again, as published; any other size likewise, the right size (`sd-vae/latent`) is taken as it is."""

    def spaces(self) -> dict[str, str]:
        return {"text": self.text, "low": self.low}

    def model(self) -> tuple[str, tuple[str, ...]]:
        return "sd14", _STABLE_DIFFUSION


class IpAdapterConfig(DiffusionConfig):
    """Stable Diffusion with an IP-Adapter, steered by a pooled CLIP image vector."""

    required: ClassVar[tuple[str, ...]] = ("image",)

    base: Literal["sd", "sdxl"] = "sd"
    """Whether the folder holds Stable Diffusion 1.x or XL."""
    adapter: str = "ip-adapter.safetensors"
    """File of the adapter inside the folder. It must be the plain adapter, which takes one pooled vector."""
    encoder: Literal["clip-vit-h14", "clip-vit-bigg14", "clip-vit-l14"] = "clip-vit-h14"
    """Image encoder the adapter was trained with: ViT-H for SD 1.5 and `sdxl_vit-h`, ViT-bigG for `ip-adapter_sdxl`."""
    steps: int = Field(30, ge=1, le=1000, json_schema_extra={"quick": 2})
    """Denoising steps with the folder's own scheduler."""
    guidance: float = Field(5.0, ge=0.0, le=50.0)
    """Classifier-free guidance scale."""
    scale: float = Field(1.0, ge=0.0, le=2.0)
    """Weight of the image vector, 0 to 2; 1 without a text guide (the adapter authors' advice), else about .5."""
    side: int = Field(0, ge=0, le=2048, multiple_of=8)
    """Pixels of the pictures made; 0 for the model's own size."""

    def spaces(self) -> dict[str, str]:
        spaces = {"image": f"{self.encoder}/pooled-image"}
        return {**spaces, "text": "sd14/text"} if self.base == "sd" else spaces

    def model(self) -> tuple[str, tuple[str, ...]]:
        return f"ip-adapter-{self.base}", (*_STABLE_DIFFUSION, self.adapter)


class UnclipConfig(DiffusionConfig):
    """StableUnCLIP: Stable Diffusion 2.1 conditioned on a noised CLIP image vector."""

    required: ClassVar[tuple[str, ...]] = ("image",)

    encoder: Literal["clip-vit-h14", "clip-vit-l14"] = "clip-vit-h14"
    """Image encoder of the model: ViT-H for `unclip`, ViT-L for `unclip-small`."""
    steps: int = Field(20, ge=1, le=1000, json_schema_extra={"quick": 2})
    """Denoising steps with the folder's own scheduler; 20 is diffusers' default for this model."""
    guidance: float = Field(10.0, ge=0.0, le=50.0)
    """Classifier-free guidance scale; 10 is diffusers' default for this model."""
    noise_level: int = Field(0, ge=0, le=999)
    """Noise added to the image vector before it conditions the model, in timesteps; 0 keeps it as decoded."""
    side: int = Field(0, ge=0, le=2048, multiple_of=8)
    """Pixels of the pictures made; 0 for the model's own size."""

    def spaces(self) -> dict[str, str]:
        return {"image": f"{self.encoder}/pooled-image"}

    def model(self) -> tuple[str, tuple[str, ...]]:
        normalizer = "image_normalizer/diffusion_pytorch_model.safetensors"
        return "unclip", (*_STABLE_DIFFUSION, normalizer, "image_noising_scheduler/scheduler_config.json")


class TorchscriptConfig(DecoderConfig):
    """A generator that a user exported as TorchScript (LAFITE, IC-GAN, ..)."""

    path: str = ""
    """The exported file. TorchScript runs code: load only what you trust."""
    sha256: str = ""
    """Checksum of the file; a file with another one is refused. Empty: not compared."""
    guides: dict[str, str] = Field(default_factory=lambda: {"image": "clip-vit-l14/pooled"})
    """Guide name -> space id, in the order in which the generator takes them (after the noise, if there is any). A
    space of one token is given as B x D, others as B x T x D."""
    noise_dim: int = Field(0, ge=0)
    """Length of the noise vector that the generator takes first; 0 if it takes none (then every sample is the same)."""
    truncation: float = Field(1.0, gt=0.0, le=2.0)
    """Factor on the noise (its standard deviation)."""
    unit: bool = False
    """Whether every guide's vectors are brought to unit length first, as LAFITE and IC-GAN want their conditions."""
    output: Literal["0..1", "-1..1"] = "-1..1"
    """Range of the generator's pictures (B x 3 x H x W)."""
    batch: int = Field(8, ge=1)
    """Pictures made at once."""
    device: str = "auto"
    """`auto` for the first accelerator if there is one, else `cpu`."""
    noise: Noise = "shared"
    """`shared`: sample s of every stimulus gets the same noise; `independent`: noise of its own."""

    def spaces(self) -> dict[str, str]:
        return dict(self.guides)

    def lacks(self) -> list[str]:
        """A line if no exported generator is named, or it is not there."""
        how = "Export yours once: torch.jit.trace(generator, example_inputs).save(FILE), then --decoder.path FILE"
        if not self.path:
            return [f"No exported generator is named. {how}"]
        return [] if Path(self.path).is_file() else [f"There is no exported generator at {self.path!r}. {how}"]

    def sources(self) -> list[Path]:
        """The exported file."""
        return [Path(self.path)] if self.path else []
