"""Stimuli and their reconstructions, as metrics ask for them: in batches of pixels, or as features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bdk.errors import DataError
from bdk.metrics.feature_cache import FeatureCache, Spool, feature_key
from bdk.metrics.feature_network import FeatureNetwork
from bdk.metrics.presets import Preset, Resize
from bdk.metrics.resize import first_steps, resize
from bdk.metrics.sources import Pictures, Repeated, as_candidates, as_pictures

PIXEL_BATCH = 8
"""Pictures of either side in memory for pixel metrics."""
NETWORK_BATCH = 16
"""Pictures in memory for a network."""


class Prepared:
    """Pictures after a preset's first steps; those that are slow to read are kept in a file.

    Args:
        pictures: any source.
        preset: the recipe.
        cache: holds the file.
    """

    def __init__(self, pictures: Pictures, preset: Preset, cache: FeatureCache) -> None:
        self.pictures, self.preset = pictures, preset
        self._kept: dict[tuple[int, Resize], Spool] = {}
        self._cache = cache

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, start: int, stop: int) -> Float[Tensor, "B 3 H W"]:
        """Pictures ``start`` to ``stop`` as PixCorr and SSIM see them."""
        return self._at(self.preset.pixel_size, self.preset.pixel_resize, start, stop)

    def inputs(self, network: FeatureNetwork, start: int, stop: int) -> Float[Tensor, "B 3 h w"]:
        """Pictures ``start`` to ``stop`` as a network sees them."""
        if network.own_steps:
            images = (self.pictures.picture(index)[None] for index in range(start, stop))
            return torch.cat([network.prepare(image, self.preset) for image in images])
        return self._at(self.preset.size_for(network.name), self.preset.feature_resize, start, stop)

    def _at(self, size: int, how: Resize, start: int, stop: int) -> Float[Tensor, "B 3 size size"]:
        if self.preset.base is not None:
            return resize(self._remembered(self.preset.base, "bilinear", start, stop), size, how)
        return self._remembered(size, how, start, stop)

    def _remembered(self, size: int, how: Resize, start: int, stop: int) -> Float[Tensor, "B 3 size size"]:
        if not self.pictures.costly:
            return self._read(size, how, start, stop)
        slot = (size, how)
        if slot not in self._kept:
            dtype = np.uint8 if self.preset.eight_bit else np.float32
            self._kept[slot] = self._cache.spool(len(self), (3, size, size), dtype)
        spool = self._kept[slot]
        if not spool.has(start, stop):
            read = self._read(size, how, start, stop).numpy()
            spool.write(start, np.rint(read * 255) if self.preset.eight_bit else read)
        kept = torch.from_numpy(spool.read(start, stop)).float()
        return kept / 255 if self.preset.eight_bit else kept

    def _read(self, size: int, how: Resize, start: int, stop: int) -> Float[Tensor, "B 3 size size"]:
        images = (self.pictures.picture(index)[None] for index in range(start, stop))
        return torch.cat([resize(first_steps(image, self.preset), size, how) for image in images])


class ImagePairs:
    """N stimuli, and S reconstructions of each.

    Args:
        stimuli: anything `bdk.metrics.sources.as_pictures` takes.
        reconstructions: N pictures, or N x S x 3 x H x W.
        preset: the recipe.
        cache: where features are kept.

    Raises:
        DataError: the two sides do not match in number.
    """

    def __init__(self, stimuli: Any, reconstructions: Any, preset: Preset, cache: FeatureCache) -> None:
        stimuli = as_pictures(stimuli, "stimuli")
        reconstructions, self.candidates = as_candidates(reconstructions)
        if len(reconstructions) != len(stimuli) * self.candidates:
            raise DataError(
                f"There are {len(stimuli)} stimuli and {len(reconstructions)} reconstructions.",
                mend="Every stimulus needs one reconstruction, or all of them the same number of candidates.",
            )
        self.preset, self.cache = preset, cache
        self.stimuli = Prepared(stimuli, preset, cache)
        self.reconstructions = Prepared(reconstructions, preset, cache)
        self._fingerprints: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.stimuli)

    def pixel_batches(self) -> Iterator[tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B S 3 H W"]]]:
        """Stimuli and reconstructions at the size of the pixel metrics."""
        s = self.candidates
        step = max(2, PIXEL_BATCH // s)
        for start in range(0, len(self), step):
            stop = min(start + step, len(self))
            stimuli = self.stimuli.pixels(start, stop)
            flat = self.reconstructions.pixels(start * s, stop * s)
            yield stimuli, flat.unflatten(0, (stop - start, s))

    def features(self, network: FeatureNetwork, layer: str) -> tuple[np.ndarray, np.ndarray]:
        """Features of stimuli, N x d, and of reconstructions, N x d or N x S x d, as memory maps."""
        stimuli = self._features_of(self.stimuli, network)[layer]
        reconstructions = self._features_of(self.reconstructions, network)[layer]
        if self.candidates > 1:
            reconstructions = reconstructions.reshape(len(self), self.candidates, -1)
        return stimuli, reconstructions

    def _features_of(self, side: Prepared, network: FeatureNetwork) -> Mapping[str, np.ndarray]:
        if isinstance(side.pictures, Repeated):
            once = self._features_of(Prepared(side.pictures.single, self.preset, self.cache), network)
            return {layer: np.broadcast_to(row, (len(side), row.shape[1])) for layer, row in once.items()}
        how = network.preprocessing(self.preset)
        pictures = self._fingerprint(side)
        keys = {x: feature_key(network.name, network.weights_sha256, x, how, pictures) for x in network.layers}
        return self.cache.make(keys, len(side), lambda: _extract(side, network))

    def _fingerprint(self, side: Prepared) -> str:
        if id(side.pictures) not in self._fingerprints:
            self._fingerprints[id(side.pictures)] = side.pictures.fingerprint()
        return self._fingerprints[id(side.pictures)]


def _extract(side: Prepared, network: FeatureNetwork) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
    for start in range(0, len(side), NETWORK_BATCH):
        images = side.inputs(network, start, min(start + NETWORK_BATCH, len(side)))
        yield start, {layer: block.numpy() for layer, block in network.features(images).items()}
