"""A generator that a user exported: LAFITE, IC-GAN and others that no maintained library offers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from bdk.contexts import DecoderContext
from bdk.devices import device as default_device
from bdk.errors import ComponentError, WeightsMissingError
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from bdk_decoders.configs import TorchscriptConfig
from bdk_decoders.guides import draw_noise, require_guides, require_size


class Torchscript:
    """Runs ``generator([noise,] guide, ..) -> B x 3 x H x W``.

    Args:
        config: file, checksum, guides in order, length of the noise, range of the output.
        context: spaces of the guides.

    Raises:
        WeightsMissingError: no file is named, it is not there, or its checksum is another.
    """

    def __init__(self, config: TorchscriptConfig, context: DecoderContext) -> None:
        self.config, self.context = config, context
        self.device = default_device() if config.device == "auto" else torch.device(config.device)
        self.generator = _load(config, self.device)

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        """Pictures; without noise all samples of a stimulus are the same.

        Raises:
            ComponentError: a guide is missing, or the generator returned something that is no picture.
        """
        names = list(self.config.guides)
        require_guides(guides, decoder="torchscript", required=names)
        for name in names:
            require_size(guides[name], self.context.spaces.get(name), name=name, decoder="torchscript")
        count = len(guides[names[0]])
        noise = draw_noise(count, n, (self.config.noise_dim,), generator, self.config.noise).flatten(0, 1)
        pictures = []
        for rows in torch.arange(count * n).split(self.config.batch):
            inputs = [noise[rows] * self.config.truncation] if self.config.noise_dim else []
            inputs += [self._condition(guides[name][rows // n].float()) for name in names]
            pictures.append(self._paint(inputs))
        return torch.cat(pictures).unflatten(0, (count, n))

    def _condition(self, guide: Float[Tensor, "B T D"]) -> Tensor:
        """A guide as the generator takes it: one token as a vector, of unit length if that is wanted."""
        tokens = F.normalize(guide, dim=-1) if self.config.unit else guide
        return tokens[:, 0] if tokens.shape[1] == 1 else tokens

    @torch.no_grad()
    def _paint(self, inputs: list[Tensor]) -> Float[Tensor, "N 3 H W"]:
        pictures = self.generator(*[tensor.to(self.device) for tensor in inputs]).float().cpu()
        if pictures.ndim != 4 or pictures.shape[:2] != (len(inputs[0]), 3):
            raise ComponentError(
                f"The exported generator returned {tuple(pictures.shape)}; {len(inputs[0])} x 3 x H x W was expected.",
                where=self.config.path,
            )
        return (pictures / 2 + 0.5 if self.config.output == "-1..1" else pictures).clamp(0, 1)


def _load(config: TorchscriptConfig, place: torch.device) -> torch.jit.ScriptModule:
    path = Path(config.path)
    if not config.path or not path.is_file():
        raise WeightsMissingError(
            f"There is no exported generator at {config.path!r}." if config.path else "No exported generator is named.",
            where="decoder.path",
            mend="Export yours once: torch.jit.trace(generator, example_inputs).save(FILE), and name FILE.",
        )
    if config.sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != config.sha256:
        raise WeightsMissingError("The exported generator has another checksum than the spec says.", where=str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(str(path), map_location=place).eval()
