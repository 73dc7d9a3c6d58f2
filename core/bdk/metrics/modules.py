"""The metrics as torchmetrics classes, over the functions beside this file.

Used alone, they are fed batches of pictures and computed like any torchmetrics metric. In a run, `score_images` feeds
the pixel metrics all batches at once and hands the feature metrics cached features, so that no picture is read or
embedded twice. A metric of one's own derives from `ImageMetric` and is offered through the ``bdk_metrics`` hook.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from bdk.metrics.identification import correlation_distance, two_way
from bdk.metrics.networks import NetworkSet, Tap
from bdk.metrics.pixcorr import pixcorr
from bdk.metrics.presets import Preset, SsimVariant, preset_named
from bdk.metrics.resize import first_steps, resize
from bdk.metrics.retrieval import retrieve
from bdk.metrics.score import Measurement
from bdk.metrics.ssim import ssim

CHANCE_PAIRS = 64
"""Wrong pairs from which the chance level of a pixel metric is estimated."""


class ImageMetric(Metric):
    """Base of metrics that compare reconstructions with stimuli, picture by picture.

    Args:
        preset: recipe for the preprocessing.
        networks: the networks at hand; pixel metrics need none.
    """

    wants: ClassVar[Literal["pixels", "features"]] = "pixels"
    """``pixels``: fed batches at the preset's pixel size; ``features``: given a network's features."""
    full_state_update = False
    last_step: str = ""
    """What happens to the pixels after the preset's steps, for the record."""
    measured: list[Tensor]
    shuffled: list[Tensor]

    def __init__(self, preset: str | Preset = "mindeye", networks: NetworkSet | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.preset = preset_named(preset)
        self.networks = networks
        self.add_state("measured", default=[], dist_reduce_fx="cat")
        self.add_state("shuffled", default=[], dist_reduce_fx="cat")

    def per_pair(self, stimuli: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
        """B numbers for B pairs of pictures at the preset's pixel size; NaN where not defined."""
        raise NotImplementedError("a pixel metric says how it compares two pictures")

    def update(self, reconstructions: Float[Tensor, "B 3 H W"], stimuli: Float[Tensor, "B 3 H W"]) -> None:
        """Take a batch of pictures, values 0..1, any size."""
        size, how = self.preset.pixel_size, self.preset.pixel_resize
        sides = (x.float().cpu().clamp(0, 1) for x in (stimuli, reconstructions))
        ready = [resize(first_steps(x, self.preset), size, how) for x in sides]
        self.take(ready[0], ready[1][:, None])

    def take(self, stimuli: Float[Tensor, "B 3 H W"], reconstructions: Float[Tensor, "B S 3 H W"]) -> None:
        """Take a batch that has the preset's pixel size already, with S candidates per stimulus."""
        truth = stimuli.numpy()
        candidates = [reconstructions[:, s].numpy() for s in range(reconstructions.shape[1])]
        own = np.stack([self.per_pair(truth, candidate) for candidate in candidates], axis=1)
        _extend(self.measured, own)
        if len(truth) > 1 and sum(map(len, self.shuffled)) < CHANCE_PAIRS:
            # each reconstruction beside another stimulus of the batch: what chance looks like
            wrong = self.per_pair(np.roll(truth, 1, axis=0), candidates[0])
            _extend(self.shuffled, wrong)

    def compute(self) -> Tensor:
        """The metric's value."""
        return torch.tensor(self.measure().value)

    def measure(self) -> Measurement:
        """The value with what intervals and tests need. An undefined pair counts as 0, and is counted in the note."""
        own = torch.cat(list(self.measured)).numpy()
        undefined = int(np.isnan(own).sum())
        apart = np.nan_to_num(own)
        per_stimulus = apart.mean(axis=1)
        note = (
            f"{undefined} pairs hold a flat picture, for which it is not defined; they count as 0" if undefined else ""
        )
        wrong = torch.cat(list(self.shuffled)).numpy() if self.shuffled else np.array([])
        chance = float(np.nan_to_num(wrong).mean()) if wrong.size else None
        candidates = apart if apart.shape[1] > 1 else None
        value = float(per_stimulus.mean())
        return Measurement(value, per_stimulus, chance=chance, note=note, per_candidate=candidates)


def _extend(state: list[Tensor], numbers: np.ndarray) -> None:
    """Append numbers to a state that stays one tensor.

    Many small tensors, each made between two large temporary ones, would keep the freed memory of those apart.
    """
    state[:] = [torch.cat([*state, torch.from_numpy(numbers)])]


class PixCorr(ImageMetric):
    """Mean correlation of pixels; see `bdk.metrics.pixcorr`."""

    def per_pair(self, stimuli: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
        return pixcorr(stimuli, reconstructions)


class Ssim(ImageMetric):
    """Mean structural similarity, in the preset's variant; see `bdk.metrics.ssim`."""

    variant: ClassVar[SsimVariant | None] = None

    @property
    def last_step(self) -> str:  # type: ignore[override]
        """Which of the two numbers called SSIM."""
        return f" > luma > SSIM {self.variant or self.preset.ssim}"

    def per_pair(self, stimuli: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
        return ssim(stimuli, reconstructions, self.variant or self.preset.ssim)


class Ssim2d(Ssim):
    """Structural similarity with a two-dimensional window, whatever the preset says."""

    variant = "2d"


class SsimColumns(Ssim):
    """Mean one-dimensional structural similarity of columns, whatever the preset says."""

    variant = "columns"


class FeatureMetric(ImageMetric):
    """Base of metrics over the features of a network.

    Raises:
        WeightsMissingError: at the first use, if the network's weights are not on this machine.
    """

    wants = "features"
    column: ClassVar[str]
    stimulus_features: list[Tensor]
    reconstruction_features: list[Tensor]

    def __init__(self, preset: str | Preset = "mindeye", networks: NetworkSet | None = None, **kwargs: Any) -> None:
        super().__init__(preset, networks, **kwargs)
        self.add_state("stimulus_features", default=[], dist_reduce_fx="cat")
        self.add_state("reconstruction_features", default=[], dist_reduce_fx="cat")

    @property
    def tap(self) -> Tap:
        """The network and layer it reads."""
        self.networks = self.networks or NetworkSet.from_manifest()
        return self.networks.tap(self.column, self.preset)

    def from_features(self, stimuli: np.ndarray, reconstructions: np.ndarray) -> Measurement:
        """The measurement from N x d and N x d (or N x S x d) features."""
        raise NotImplementedError("a feature metric says how it compares features")

    def update(self, reconstructions: Float[Tensor, "B 3 H W"], stimuli: Float[Tensor, "B 3 H W"]) -> None:
        """Embed a batch of pictures, values 0..1, any size."""
        tap = self.tap
        for state, images in (
            (self.stimulus_features, stimuli),
            (self.reconstruction_features, reconstructions),
        ):
            ready = tap.network.prepare(images.float().cpu().clamp(0, 1), self.preset)
            state.append(tap.network.features(ready)[tap.layer])

    def measure(self) -> Measurement:
        """The value with what intervals and tests need."""
        sides = self.stimulus_features, self.reconstruction_features
        stimuli, reconstructions = (torch.cat(list(side)).numpy() for side in sides)
        return self.from_features(stimuli, reconstructions)


class TwoWay(FeatureMetric):
    """Two-way identification; see `bdk.metrics.identification`."""

    def from_features(self, stimuli: np.ndarray, reconstructions: np.ndarray) -> Measurement:
        return two_way(stimuli, reconstructions)


class Distance(FeatureMetric):
    """Correlation distance; see `bdk.metrics.identification`."""

    def from_features(self, stimuli: np.ndarray, reconstructions: np.ndarray) -> Measurement:
        return correlation_distance(stimuli, reconstructions)


class Alex2(TwoWay):
    """Two-way identification by AlexNet's second convolution."""

    column = "alex2"


class Alex5(TwoWay):
    """Two-way identification by AlexNet's fifth convolution."""

    column = "alex5"


class Incep(TwoWay):
    """Two-way identification by Inception v3's averaged last maps."""

    column = "incep"


class Clip(TwoWay):
    """Two-way identification by CLIP's image embedding."""

    column = "clip"


class Eff(Distance):
    """Correlation distance of EfficientNet-B1's averaged last maps."""

    column = "eff"


class Swav(Distance):
    """Correlation distance of SwAV ResNet-50's averaged last maps."""

    column = "swav"


class Retrieval(Metric):
    """N-way retrieval of stimuli by brain embeddings, or the other way; see `bdk.metrics.retrieval`.

    Args:
        pool: candidates of each search, the right one among them.
        draws: random pools; None for the exact mean over all pools.
        seed: of the pools.
    """

    wants: ClassVar[str] = "embeddings"
    finds: ClassVar[Literal["image", "brain"]]
    full_state_update = False
    brain: list[Tensor]
    truth: list[Tensor]

    def __init__(
        self,
        preset: str | Preset = "mindeye",
        networks: NetworkSet | None = None,
        pool: int = 300,
        draws: int | None = 30,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.preset, self.pool, self.draws, self.seed = preset_named(preset), pool, draws, seed
        self.add_state("brain", default=[], dist_reduce_fx="cat")
        self.add_state("truth", default=[], dist_reduce_fx="cat")

    def update(self, brain: Float[Tensor, "B P"], truth: Float[Tensor, "B P"]) -> None:
        """Take embeddings decoded from the brain and those of the stimuli."""
        self.brain.append(brain.detach().float().cpu())
        self.truth.append(truth.detach().float().cpu())

    def compute(self) -> Tensor:
        """Top-1 accuracy, 0..1."""
        return torch.tensor(self.measure().value)

    def measure(self) -> Measurement:
        """The value with what intervals and tests need."""
        brain, truth = (torch.cat(list(side)).numpy() for side in (self.brain, self.truth))
        return retrieve(brain, truth, self.finds, pool=self.pool, draws=self.draws, seed=self.seed)


class ImageRetrieval(Retrieval):
    """Given the brain, find the image."""

    finds = "image"


class BrainRetrieval(Retrieval):
    """Given the image, find the brain."""

    finds = "brain"
