"""How each feature network is built and its weights are read: strictly, and without running code from the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bdk.errors import DataError
from bdk.metrics.feature_network import FeatureNetwork, module_taps
from bdk.metrics.presets import IMAGENET, OPENAI_CLIP

Forward = Callable[[Tensor], Mapping[str, Tensor]]


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a weights file, ``.safetensors`` or a torch file read with ``weights_only``.

    Raises:
        DataError: the file holds something else.
    """
    import pickle

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise DataError(f"The weights cannot be read: {error}", where=str(path)) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError("The file holds no plain table of tensors.", where=str(path))
    return dict(state)


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Put weights into a model; every tensor must find its place and every place its tensor.

    Raises:
        DataError: they do not fit.
    """
    try:
        model.load_state_dict(dict(state))
    except RuntimeError as error:
        raise DataError(f"These are not the weights of this network: {error}", where=str(path)) from error
    return model


def alexnet(state: Mapping[str, Tensor] | None, path: Path) -> nn.Module:
    """torchvision's AlexNet."""
    from torchvision.models import alexnet as build

    return _filled(build(weights=None), state, path)


def inception_v3(state: Mapping[str, Tensor] | None, path: Path) -> nn.Module:
    """torchvision's Inception v3, which shifts ImageNet-normalised colours to its own scale (``transform_input``)."""
    from torchvision.models import inception_v3 as build

    return _filled(build(weights=None, init_weights=False, transform_input=True), state, path)


def efficientnet_b1(state: Mapping[str, Tensor] | None, path: Path) -> nn.Module:
    """torchvision's EfficientNet-B1; V1 and V2 weights share the architecture."""
    from torchvision.models import efficientnet_b1 as build

    return _filled(build(weights=None), state, path)


def swav_resnet50(state: Mapping[str, Tensor] | None, path: Path) -> nn.Module:
    """torchvision's ResNet-50 without its classifier, filled from a SwAV checkpoint.

    The checkpoint's tensors carry ``module.`` in front; its projection head and prototypes are not part of the
    features and are left out.
    """
    from torchvision.models import resnet50 as build

    model = build(weights=None)
    model.fc = nn.Identity()
    if state is not None:
        state = {key.removeprefix("module."): value for key, value in state.items()}
        state = {key: value for key, value in state.items() if not key.startswith(("projection_head", "prototypes"))}
    return _filled(model, state, path)


class ClipImageTower(nn.Module):
    """open_clip's image tower, whose output is the joint embedding."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"embedding": self.visual(images)}


def clip_vit_l14(state: Mapping[str, Tensor] | None, path: Path) -> nn.Module:
    """open_clip's ViT-L/14 with OpenAI's activation (quick GELU), image tower only."""
    import open_clip

    with torch.device("meta"):  # the text tower is never given memory
        model = open_clip.create_model("ViT-L-14-quickgelu", pretrained=None, device="meta")
    visual = model.visual
    visual.to_empty(device="cpu")
    if state is not None:
        load_strictly(visual, {k.removeprefix("visual."): v for k, v in state.items() if k.startswith("visual.")}, path)
    return ClipImageTower(visual.float())


def _filled(model: nn.Module, state: Mapping[str, Tensor] | None, path: Path) -> nn.Module:
    return model if state is None else load_strictly(model, state, path)


_BUILDERS: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...], Any]] = {
    "alexnet": (alexnet, ("features.4", "features.11"), IMAGENET),
    "inception-v3": (inception_v3, ("avgpool",), IMAGENET),
    "efficientnet-b1-v1": (efficientnet_b1, ("avgpool",), IMAGENET),
    "efficientnet-b1-v2": (efficientnet_b1, ("avgpool",), IMAGENET),
    "swav-resnet50": (swav_resnet50, ("avgpool",), IMAGENET),
    "clip-vit-l14": (clip_vit_l14, ("embedding",), OPENAI_CLIP),
}


def _published(name: str) -> Callable[[Path, str, str], FeatureNetwork]:
    def build(path: Path, sha256: str, device: str) -> FeatureNetwork:
        builder, layers, (mean, std) = _BUILDERS[name]
        make = lambda device: _tapped(builder(read_state(path), path), layers, device)  # noqa: E731
        return FeatureNetwork(
            name, layers, make, mean, std, weights_sha256=sha256, device=device, is_large=name == "clip-vit-l14"
        )

    return build


PUBLISHED: dict[str, Callable[[Path, str, str], FeatureNetwork]] = {name: _published(name) for name in _BUILDERS}
"""Builders of the published networks from a weights file: ``(path, sha256, device)``."""


def with_random_weights(name: str, seed: int, device: str) -> FeatureNetwork:
    """A published architecture with random weights."""
    builder, layers, (mean, std) = _BUILDERS[name]

    def make(device: str) -> Forward:
        model = builder(None, Path())
        _randomise(model, seed)
        return _tapped(model, layers, device)

    label = f"random weights, seed {seed}: not comparable with anything"
    network = FeatureNetwork(name, layers, make, mean, std, weights_sha256=f"random-{seed}", device=device)
    network.stand_in_for = f"{name} ({label})"
    return network


def _randomise(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            tensor.zero_()
        elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.fill_(1.0)
        elif tensor.ndim == 1:
            tensor.zero_()
        else:
            fan_in = tensor[0].numel()
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2.0 / fan_in) ** 0.5)


def _tapped(model: nn.Module, layers: tuple[str, ...], device: str) -> Forward:
    model = model.to(device).eval().requires_grad_(False)
    return model if isinstance(model, ClipImageTower) else module_taps(model, layers)
