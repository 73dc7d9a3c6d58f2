"""Which feature network fills which column of the table, and with which weights.

A network comes from the local weights manifest, never from the internet and never in silence from elsewhere: where
its weights are missing, the metric is missing, and says how to get them. On the demo world labelled stand-ins take
the places of two columns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bdk.errors import MissingExtraError, WeightsMissingError
from bdk.metrics import architectures
from bdk.metrics.presets import Preset, Resize
from bdk.metrics.resize import first_steps, resize
from bdk.weights import Manifest

LAYERS = {
    "alex2": "features.4",
    "alex5": "features.11",
    "incep": "avgpool",
    "clip": "embedding",
    "eff": "avgpool",
    "swav": "avgpool",
}
"""Layer of the published networks that each column reads: after the rectifier of the second and the fifth block of
AlexNet, the averaged last maps, or CLIP's joint embedding."""


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
            return resize(images.clamp(0, 1), *self.own_steps)
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


@dataclass(frozen=True)
class Tap:
    """A network and the layer of it that a column reads."""

    network: FeatureNetwork
    layer: str

    @property
    def label(self) -> str:
        """Name for tables."""
        return f"{self.network.name}/{self.layer}"


class NetworkSet:
    """The networks at hand, by column.

    Args:
        published: networks by their published name; a preset decides which of them a column reads.
        stand_ins: taps that take a column's place whatever the preset says.
        missing: why a network or a column is not there, by name.
    """

    def __init__(
        self,
        published: Mapping[str, FeatureNetwork] | None = None,
        stand_ins: Mapping[str, Tap] | None = None,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        self.published = dict(published or {})
        self.stand_ins = dict(stand_ins or {})
        self._missing = dict(missing or {})

    @classmethod
    def from_manifest(cls, manifest: Manifest | None = None, device: str = "cpu") -> NetworkSet:
        """The published networks whose weights the local manifest has."""
        manifest = manifest or Manifest.load()
        published, missing = {}, {}
        for name, builder in architectures.PUBLISHED.items():
            try:
                entry = manifest.entry(name)
            except WeightsMissingError as error:
                missing[name] = f"{error.what} {error.mend}"
            else:
                published[name] = builder(entry.path, entry.sha256, device)
        return cls(published, missing=missing)

    @classmethod
    def demo(cls, device: str = "cpu") -> NetworkSet:
        """The demo world's stand-ins: its own tiny CLIP, and EfficientNet-Lite0 for EfficientNet-B1."""
        missing = dict.fromkeys(LAYERS, "The demo world has no stand-in for this network.")
        stand_ins = {}
        for column, build in (("clip", architectures.tiny_clip), ("eff", architectures.efficientnet_lite0)):
            try:
                stand_ins[column] = Tap(build(device), LAYERS[column])
            except (WeightsMissingError, MissingExtraError) as error:
                missing[column] = f"{error.what} {error.mend}"
        return cls(stand_ins=stand_ins, missing=missing)

    @classmethod
    def random(cls, seed: int = 0, device: str = "cpu") -> NetworkSet:
        """The published architectures with random weights, for tests; labelled as not comparable."""
        return cls({name: architectures.with_random_weights(name, seed, device) for name in architectures.PUBLISHED})

    def tap(self, column: str, preset: Preset) -> Tap:
        """The network and layer of a column.

        Raises:
            WeightsMissingError: it is not there; says what to do.
        """
        if column in self.stand_ins:
            return self.stand_ins[column]
        name = preset.networks[column]
        if name in self.published:
            return Tap(self.published[name], LAYERS[column])
        why = self._missing.get(column) or self._missing.get(name) or f"The set has no network {name!r}."
        raise WeightsMissingError(why)

    def release(self, name: str) -> None:
        """Give the memory of the network of that name back, if it is worth it; small ones stay for the next row."""
        for network in self.all_networks():
            if network.name == name and network.is_large:
                network.release()

    def all_networks(self) -> list[FeatureNetwork]:
        """Every network once."""
        return [*self.published.values(), *{id(t.network): t.network for t in self.stand_ins.values()}.values()]


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
