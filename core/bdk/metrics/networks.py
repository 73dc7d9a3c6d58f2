"""Which feature network fills which column of the table, and with which weights.

A network comes from the local weights manifest, never from the internet and never in silence from elsewhere: where
its weights are missing, the metric is missing, and says how to get them. On the demo world labelled stand-ins take
the places of two columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bdk.errors import MissingExtraError, WeightsMissingError
from bdk.metrics import architectures, stand_ins
from bdk.metrics.feature_network import FeatureNetwork
from bdk.metrics.presets import Preset
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
        taps = {}
        for column, build in (("clip", stand_ins.tiny_clip), ("eff", stand_ins.efficientnet_lite0)):
            try:
                taps[column] = Tap(build(device), LAYERS[column])
            except (WeightsMissingError, MissingExtraError) as error:
                missing[column] = f"{error.what} {error.mend}"
        return cls(stand_ins=taps, missing=missing)

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
