"""Named recipes for preprocessing: what happens to a picture before a metric sees it. Imports no torch.

The field's eight numbers are not comparable between recipes: they differ in resizes, in antialiasing, in the SSIM
and in the EfficientNet. A number therefore carries the name of its recipe, and recipes never share a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bdk.errors import UnknownNameError

SsimVariant = Literal["2d", "columns"]
Resize = Literal["bilinear", "bilinear-antialias", "area", "pil-bilinear", "pil-bicubic"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation by which torchvision's networks expect colours to be normalised."""
OPENAI_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
"""The same for OpenAI's CLIP."""


@dataclass(frozen=True)
class Preset:
    """One recipe.

    Args:
        name: how it is called.
        base: every picture is first brought to base x base; None: straight to the size that is needed.
        eight_bit: pictures are rounded to 8 bits first, as if they had been saved as PNG.
        pixel_size: side at which PixCorr and SSIM compare.
        pixel_resize: filter for that.
        feature_sizes: side at which each network sees a picture, by network name.
        feature_size: side for networks not named there.
        feature_resize: filter for that.
        ssim: which of the two numbers called SSIM.
        networks: network of every feature column.
        source: where the recipe comes from.
    """

    name: str
    base: int | None
    eight_bit: bool
    pixel_size: int
    pixel_resize: Resize
    feature_sizes: Mapping[str, int]
    feature_size: int
    feature_resize: Resize
    ssim: SsimVariant
    networks: Mapping[str, str]
    source: str

    def size_for(self, network: str) -> int:
        """Side at which a network sees the picture."""
        return self.feature_sizes.get(network, self.feature_size)

    @property
    def pixel_steps(self) -> str:
        """The way to PixCorr and SSIM, in words."""
        return f"{self.first_words}{self.pixel_resize} {self.pixel_size}"

    @property
    def first_words(self) -> str:
        """The steps before pixels and networks part, in words."""
        words = "clamp 0..1 > " + ("8 bit > " if self.eight_bit else "")
        return words + (f"bilinear {self.base} > " if self.base else "")


_COMMON = {
    "alex2": "alexnet",
    "alex5": "alexnet",
    "incep": "inception-v3",
    "clip": "clip-vit-l14",
    "swav": "swav-resnet50",
}

MINDEYE = Preset(
    name="mindeye",
    base=256,
    eight_bit=False,
    pixel_size=425,
    pixel_resize="bilinear",
    feature_sizes={
        "alexnet": 256,
        "inception-v3": 342,
        "clip-vit-l14": 224,
        "efficientnet-b1-v1": 255,
        "efficientnet-b1-v2": 255,
        "swav-resnet50": 224,
    },
    feature_size=224,
    feature_resize="bilinear",
    ssim="2d",
    networks={**_COMMON, "eff": "efficientnet-b1-v2"},
    source="MindEye, Reconstruction_Metrics (torchvision 0.15: tensors are resized without antialiasing)",
)

BRAIN_DIFFUSER = Preset(
    name="brain-diffuser",
    base=None,
    eight_bit=True,
    pixel_size=425,
    pixel_resize="pil-bicubic",
    feature_sizes={},
    feature_size=224,
    feature_resize="pil-bilinear",
    ssim="columns",
    networks={**_COMMON, "eff": "efficientnet-b1-v1"},
    source="Brain-Diffuser, eval_extract_features and evaluate_reconstruction (Pillow, scikit-image 0.17.2)",
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (MINDEYE, BRAIN_DIFFUSER)}


def preset_named(name: str | Preset) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if isinstance(name, Preset):
        return name
    if name not in PRESETS:
        raise UnknownNameError(f"There is no metric preset {name!r}.", mend=f"Presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
