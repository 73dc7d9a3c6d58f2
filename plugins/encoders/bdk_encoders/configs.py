"""Options of the encoders. Imports no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from bdk.components import Config
from pydantic import Field, model_validator


class RoiConfig(Config):
    """What every encoder can be told: which part of the brain it sees."""

    roi: tuple[str, ...] = ()
    """Named ROIs whose voxels it sees, such as ``["ventral"]``; empty: all voxels (Takagi reads the latent image
    from early and the text from ventral cortex, which is this option set for one guide)."""


class BackboneConfig(RoiConfig):
    """Options shared by the two encoders with MindEye's frame: one linear layer in, residual blocks, one out."""

    hidden: int = Field(default=4096, ge=1)
    """Hidden units; MindEye's and BrainRAM's 4096. Small data wants less: 512 for 1,500 voxels."""

    blocks: int = Field(default=4, ge=0)
    """Residual blocks; 4 in both published encoders."""

    dropout_in: float = Field(default=0.5, ge=0, lt=1)
    """Share of hidden units dropped after the first layer; MindEye's .5, against overfitting to voxels."""

    dropout: float = Field(default=0.15, ge=0, lt=1)
    """Share of hidden units dropped in each block; MindEye's .15."""

    head_scale: float = Field(default=1.0, gt=0)
    """Factor on the initial weights of the last layer; 1 is torch's own. Its first words are then ten times longer
    than tokens of unit length, and unlearning them takes a short training most of its steps: .1 for those."""

    projector: bool = True
    """Whether the contrastive loss scores a projection of the tokens (published) or the tokens themselves."""

    projector_width: int = Field(default=2048, ge=1)
    """Hidden units of the projector, per token; MindEye's 2048."""


class MlpConfig(BackboneConfig):
    """Options of `mlp`, MindEye's BrainNetwork."""


class MambaConfig(BackboneConfig):
    """Options of `mamba`, BrainRAM's encoder: MindEye's frame with Mamba blocks."""

    token_width: int = Field(default=1, ge=1)
    """Hidden units taken together as one element of the scanned sequence; BrainRAM's release takes 1, so that its
    4096 units are a sequence of 4096 scalars in an arbitrary order. Must divide ``hidden``."""

    d_model: int = Field(default=0, ge=0)
    """Numbers per sequence element inside the Mamba block; 0: ``token_width``, as in the release, whose elements enter
    as they are. Another number lifts each element to it by a linear layer, and brings it back by another."""

    state: int = Field(default=16, ge=1)
    """Numbers of state per channel (mamba's d_state); 16 in the release."""

    conv: int = Field(default=4, ge=1)
    """Width of the causal convolution (mamba's d_conv), in sequence elements; 4 in the release."""

    expand: int = Field(default=2, ge=1)
    """Channels of the scan per channel of the sequence (mamba's expand); 2 in the release."""

    kernel: Literal["auto", "torch", "compiled", "cuda"] = "auto"
    """Who scans: ``cuda`` (mamba_ssm's kernels), ``compiled`` (numba, CPU), ``torch`` (anywhere), or ``auto``: the
    first of these that can. All give the same numbers to 5e-6."""

    @model_validator(mode="after")
    def _width_divides(self) -> MambaConfig:
        if self.hidden % self.token_width:
            raise ValueError(f"token_width {self.token_width} does not divide hidden {self.hidden}")
        return self


class RidgeConfig(RoiConfig):
    """Options of `ridge`: one linear map per token, solved in closed form."""

    alphas: tuple[float, ...] = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)
    """Penalties to choose from by cross-validation, one choice per token; a single value is taken as given.
    Brain-Diffuser fixes 60,000 (image) and 100,000 (text) for 15,724 z-scored voxels."""

    folds: int = Field(default=5, ge=2)
    """Folds of the cross-validation, over stimuli in the order given (no shuffling: neighbours in time stay
    together)."""

    standardize: bool = True
    """Whether to z-score each voxel with the mean and deviation (ddof 1) of the training stimuli, as Brain-Diffuser
    does. A voxel that never varies is left out."""

    renorm: Literal["none", "train_pred", "test_set"] = "none"
    """Shrunken predictions can be brought back to the spread of the training targets: per number, from the mean and
    deviation of the ``test_set`` (Brain-Diffuser: statistics of all test predictions, so a stimulus alone cannot be
    predicted and results depend on the company), or of the predictions for the training stimuli (``train_pred``)."""

    @model_validator(mode="after")
    def _alphas_are_positive(self) -> RidgeConfig:
        if not self.alphas or min(self.alphas) <= 0:
            raise ValueError("alphas must name at least one penalty, all above zero")
        return self


class Conv1dResnetConfig(RoiConfig):
    """Options of `conv1d-resnet`, Mind Reader's mapper, widened from one vector to a token sequence."""

    channels: int = Field(default=64, ge=1)
    """Channels of the residual blocks; 64 in Mind Reader."""

    blocks: int = Field(default=4, ge=0)
    """Residual blocks; 4 in Mind Reader."""

    squeeze: int = Field(default=128, ge=1)
    """Positions kept of the convolved voxel axis; 128 in Mind Reader."""

    pad_to: int = Field(default=32, ge=2, multiple_of=2)
    """Voxels are padded with zeros to a multiple of this; 32 brings 15,724 to Mind Reader's 15,744."""

    clamp: float = Field(default=0.0, ge=0)
    """Largest absolute value of a predicted number; 0: no limit. Mind Reader cuts at 1.5."""


class LatentUpsamplerConfig(RoiConfig):
    """Options of `latent-upsampler`, MindEye's low-level encoder, for guides of latents."""

    small: ClassVar[dict[str, int]] = {"hidden": 32, "blocks": 1, "channels": 8}

    hidden: int = Field(default=4096, ge=1)
    """Hidden units; MindEye's 4096."""

    blocks: int = Field(default=4, ge=0)
    """Residual blocks; 4 in MindEye."""

    dropout_in: float = Field(default=0.5, ge=0, lt=1)
    """Share of hidden units dropped after the first layer; MindEye's .5."""

    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of hidden units dropped in each block; MindEye's .25."""

    channels: int = Field(default=64, ge=1)
    """Channels of the coarse map, a quarter of the latent's side, that is upsampled; 64 in MindEye. Above 32 a
    multiple of 32, for the group normalisation."""
