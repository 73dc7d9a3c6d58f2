"""One frozen network: what goes in, what comes out, and how many pictures it has seen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bdk.metrics.presets import Preset, Resize
from bdk.metrics.resize import first_steps, resize


@dataclass
class FeatureNetwork:
    """One frozen network.

    Args:
        name: how tables call it.
        layers: the layers it can hand out.
        make: builds it, called at the first use; returns a function from normalised pictures to features by layer.
        mean: colour means it expects.
        std: colour standard deviations it expects.
        weights_sha256: checksum of its weights file.
        own_steps: its own input side and resize, straight from the picture, for stand-ins that follow no preset;
            None if the preset decides.
        stand_in_for: the published network it stands in for; empty if it is the published one.
        device: where it runs.
        is_large: whether its memory is given back as soon as its columns are done.
    """

    name: str
    layers: tuple[str, ...]
    make: Callable[[str], Callable[[Tensor], Mapping[str, Tensor]]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_sha256: str = ""
    own_steps: tuple[int, Resize] | None = None
    stand_in_for: str = ""
    device: str = "cpu"
    is_large: bool = False
    pictures_seen: int = field(default=0, init=False)
    """How many pictures have gone through it; tests count with this."""
    _net: Any = field(default=None, init=False, repr=False)

    def preprocessing(self, preset: Preset) -> str:
        """The way of a picture into it, in words."""
        colours = "mean {} std {}".format(*("/".join(f"{x:.4g}" for x in numbers) for numbers in (self.mean, self.std)))
        if self.own_steps:
            return f"clamp 0..1 > {self.own_steps[1]} {self.own_steps[0]} > {colours}"
        return f"{preset.first_words}{preset.feature_resize} {preset.size_for(self.name)} > {colours}"

    def prepare(self, images: Float[Tensor, "B 3 H W"], preset: Preset) -> Float[Tensor, "B 3 h w"]:
        """Bring pictures of any size, values 0..1, to the size it sees."""
        if self.own_steps:
            return resize(images, *self.own_steps)
        return resize(first_steps(images, preset), preset.size_for(self.name), preset.feature_resize)

    @torch.no_grad()
    def features(self, images: Float[Tensor, "B 3 h w"]) -> dict[str, Float[Tensor, "B d"]]:
        """Features of prepared pictures, flattened, float32, by layer."""
        if self._net is None:
            self._net = self.make(self.device)
        mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (self.mean, self.std))
        self.pictures_seen += len(images)
        with _full_precision():
            out = self._net(((images - mean) / std).to(self.device))
        return {layer: out[layer].float().flatten(1).cpu() for layer in self.layers}

    def release(self) -> None:
        """Give its memory back; it is built again when asked."""
        self._net = None


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Convolutions in float32 proper: on NVIDIA cards PyTorch shortens them to TensorFloat-32 by default."""
    backend: Any = torch.backends.cudnn
    before = backend.conv.fp32_precision
    backend.conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        backend.conv.fp32_precision = before


def module_taps(model: nn.Module, layers: tuple[str, ...]) -> Callable[[Tensor], Mapping[str, Tensor]]:
    """A function from pictures to the outputs of named layers of a torchvision network."""
    from torchvision.models.feature_extraction import create_feature_extractor

    return create_feature_extractor(
        model.eval().requires_grad_(False), return_nodes=list(layers), suppress_diff_warning=True
    )
