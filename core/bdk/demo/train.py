"""One command per training of the demo world: `python -m bdk.demo.train clip|vae|decoder|doubt --out DIR`.

Pictures and checkpoints lie in DIR, the weights a user loads in DIR/export. A killed training resumes. The decoder is
trained twice: with the tokens of pictures and captions, then (`doubt`) with tokens as a brain would give them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bdk.demo import check
from bdk.demo.caches import rows_of, training_latents, training_tokens
from bdk.demo.clip import TinyClip
from bdk.demo.clip_net import ClipNet
from bdk.demo.dataset import training_captions, training_pictures
from bdk.demo.doubt import Doubt
from bdk.demo.files import read_card, read_weights, write_weights
from bdk.demo.fit import BatchLoss, Fit
from bdk.demo.vae import DemoVae
from bdk.demo.vae_net import CHANNELS, SIDE, VaeNet

if TYPE_CHECKING:
    from bdk.demo.unet_net import DecoderNet

SCENES = 60_000
_CAPTION_SHARES = torch.tensor([0.5, 0.16, 0.16, 0.13, 0.05])
"""How often each caption form is shown; the fullest one most."""
_GUIDE_SHARES = torch.tensor([0.6, 0.18, 0.17, 0.05])
"""How often the decoder is trained with both guides, image alone, text alone, neither."""
_BLUR_SHARE = 0.25
"""How often noise is added to the image tokens in the first training."""
_DOUBT_SCENES = 24_000
_MODEL_SCENES = 4000
"""Scenes from which the statistics of the tokens are learned."""
_DECODER_NOTE = (
    "besides cross-attention it sees the 64 patch tokens as an 8 x 8 map, which Versatile Diffusion does not"
)


def _pictures(pictures: np.ndarray, rows: Tensor, device: str) -> Tensor:
    batch = torch.from_numpy(pictures[np.sort(rows.numpy())])
    return batch.to(device).permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)


def _command(network: str) -> str:
    """The command line that repeats this training; batches depend on the number of processes."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        return f"bdk demo train {network}"
    return f"torchrun --nproc_per_node {processes} -m bdk.demo.train {network}"


def _card(command: str, seed: int, batch: int, progress: dict, scores: dict, note: str) -> dict[str, object]:
    return {
        "command": _command(command),
        "seed": seed,
        "batch": batch,
        "training_scenes": SCENES,
        **progress,
        "held_out": {name: round(value, 4) for name, value in scores.items()},
        "note": note,
    }


def train_clip(
    out: Path | str, steps: int = 1100, device: str = "cpu", resume: bool = True, seed: int = 0, batch: int = 192
) -> dict[str, float]:
    """Train the tiny CLIP on pictures and captions; returns held-out scores.

    Args:
        out: folder for pictures, checkpoints and (in `export`) weights.
        steps: batches in all.
        device: where to compute.
        resume: go on from the last checkpoint in `out`.
        seed: of weights and batches.
        batch: pairs in a batch.
    """
    out = Path(out)
    pictures, numbers = training_pictures(out, SCENES), torch.from_numpy(training_captions(out, SCENES))
    torch.manual_seed(seed)
    net = ClipNet().to(memory_format=torch.channels_last)

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(SCENES, (batch,), generator=generator).sort().values
        form = torch.multinomial(_CAPTION_SHARES, batch, replacement=True, generator=generator)
        return net(_pictures(pictures, rows, device), numbers[rows, form].long().to(device))

    def export(scores: dict[str, float], progress: dict[str, float]) -> None:
        note = "65 image and 24 text tokens of 128; word-level tokenizer; English mostly, some German, French, Spanish"
        write_weights("clip", net.state_dict(), _card("clip", seed, batch, progress, scores, note), out / "export")

    fit = Fit(
        "clip", net, loss, lambda: check.clip_scores(TinyClip(net, device)), export, out, steps, 1.5e-3, seed, device
    )
    return fit.run(resume)


def train_vae(
    out: Path | str, steps: int = 2600, device: str = "cpu", resume: bool = True, seed: int = 0, batch: int = 48
) -> dict[str, float]:
    """Train the VAE on pictures; returns held-out scores. Arguments as in `train_clip`."""
    out = Path(out)
    pictures = training_pictures(out, SCENES)
    torch.manual_seed(seed)
    net = VaeNet().to(memory_format=torch.channels_last)
    probe = _pictures(pictures, torch.arange(512), device)

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(SCENES, (batch,), generator=generator)
        noise = torch.randn((batch, CHANNELS, SIDE, SIDE), generator=generator).to(device)
        return net.loss(_pictures(pictures, rows, device), noise)

    def score() -> dict[str, float]:
        latents = net.encoder(probe * 2 - 1)
        net.shift.copy_(latents.mean((0, 2, 3), keepdim=True))
        net.scale.copy_(latents.std((0, 2, 3), keepdim=True))
        return check.vae_scores(DemoVae(net, device))

    def export(scores: dict[str, float], progress: dict[str, float]) -> None:
        note = "f8, 8 x 8 x 8 latents, scaled to unit variance"
        write_weights("vae", net.state_dict(), _card("vae", seed, batch, progress, scores, note), out / "export")

    return Fit("vae", net, loss, score, export, out, steps, 1e-3, seed, device).run(resume)


def train_decoder(
    out: Path | str,
    steps: int = 1500,
    device: str = "cpu",
    resume: bool = True,
    seed: int = 0,
    batch: int = 96,
    frozen: Path | str | None = None,
) -> dict[str, float]:
    """Train the dual-guided UNet under a frozen CLIP and VAE; returns held-out scores.

    Args:
        frozen: folder of the CLIP and VAE weights; by default the shipped ones.
        batch: scenes in a batch; under torchrun, over all processes.

    The other arguments are those of `train_clip`.
    """
    from bdk.demo.unet_net import DecoderNet

    torch.manual_seed(seed)
    net, out = DecoderNet(), Path(out)
    world = _FrozenWorld(None if frozen is None else Path(frozen), device)
    draw = _DecoderBatches(out, world, batch // int(os.environ.get("WORLD_SIZE", "1")))

    def export(scores: dict[str, float], progress: dict[str, float]) -> None:
        card = _card("decoder", seed, batch, progress, scores, _DECODER_NOTE)
        write_weights("unet", net.state_dict(), card, out / "export")

    fit = Fit("unet", net, draw.of(net), world.scores(net), export, out, steps, 6e-4, seed, device)
    fit.average, fit.score_every = 0.998, 300
    return fit.run(resume)


def train_doubt(
    out: Path | str,
    steps: int = 2500,
    device: str = "cpu",
    resume: bool = True,
    seed: int = 0,
    batch: int = 64,
    frozen: Path | str | None = None,
) -> dict[str, float]:
    """Go on training the decoder with tokens as a brain would give them (`bdk.demo.doubt`); returns held-out scores.

    It begins with the weights that `train_decoder` left in `out`/export and leaves its own in `out`/doubt. Arguments
    as there.

    Raises:
        FileNotFoundError: `train_decoder` has not been run in that folder.
    """
    from bdk.demo.unet_net import DecoderNet

    out = Path(out)
    net = read_weights("unet", DecoderNet(), out / "export").train().requires_grad_(True)
    first = {name: read_card("unet", out / "export")[name] for name in ("command", "seed", "batch", "steps", "seconds")}
    world = _FrozenWorld(None if frozen is None else Path(frozen), device)
    draw = _DoubtfulBatches(out, world, batch)

    def export(scores: dict[str, float], progress: dict[str, float]) -> None:
        note = "begun with the weights of `first`, then trained on tokens blurred as estimates from a brain are; "
        card = _card("doubt", seed, batch, progress, scores, note + _DECODER_NOTE)
        card |= {"training_scenes": _DOUBT_SCENES, "first": first}
        write_weights("unet", net.state_dict(), card, out / "doubt")

    fit = Fit("doubt", net, draw.of(net), world.scores(net), export, out, steps, 4e-4, seed, device)
    fit.warmup, fit.average, fit.save_every, fit.score_every = 30, 0.99, 80, 320
    return fit.run(resume)


class _FrozenWorld:
    """The CLIP and VAE under which the decoder is trained, and the scores of a decoder with them."""

    def __init__(self, folder: Path | None, device: str) -> None:
        self.folder, self.device = folder, device
        self.clip, self.vae = TinyClip.load(folder, device), DemoVae.load(folder, device)

    def scores(self, net: DecoderNet) -> Callable[[], dict[str, float]]:
        from bdk.demo.unet import DemoDiffusion

        return lambda: check.decoder_scores(DemoDiffusion(net, self.device), self.clip, self.vae)


class _DecoderBatches:
    """Draws scenes, captions, times, noise and absent guides, and asks the network for its loss."""

    scenes = SCENES

    def __init__(self, out: Path, world: _FrozenWorld, size: int) -> None:
        from bdk.demo.unet import scheduler

        self.tokens = training_tokens(out, self.scenes, world.folder, world.device)
        self.latents = training_latents(out, self.scenes, world.folder, world.device)
        self.numbers = torch.from_numpy(training_captions(out, self.scenes))
        self.clip, self.device, self.size, self.plan = world.clip, world.device, size, scheduler()

    def of(self, net: DecoderNet) -> BatchLoss:
        """The loss of a batch that is drawn with a generator."""
        return lambda generator: self._loss(net, generator)

    def _loss(self, net: DecoderNet, generator: torch.Generator) -> Tensor:
        rows = torch.randint(self.scenes, (self.size,), generator=generator)
        latents = rows_of(self.latents, rows, self.device)
        noise = torch.randn(latents.shape, generator=generator).to(self.device)
        times = torch.randint(1000, (self.size,), generator=generator).to(self.device)
        noisy = self.plan.add_noise(latents, noise, times)
        velocity = self.plan.get_velocity(latents, noise, times)
        return net.loss(noisy, times, velocity, *self._guides(rows, generator))

    def _guides(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        form = torch.multinomial(_CAPTION_SHARES, len(rows), replacement=True, generator=generator)
        text = self.clip.text_tokens_of(self.numbers[rows, form].long())
        image = self._blurred(rows_of(self.tokens, rows, self.device), generator)
        case = torch.multinomial(_GUIDE_SHARES, len(rows), replacement=True, generator=generator).to(self.device)
        return image * (case < 2)[:, None, None], text * ((case == 0) | (case == 2))[:, None, None]

    def _blurred(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        chosen = torch.rand((len(tokens), 1, 1), generator=generator) < _BLUR_SHARE
        amount = chosen * torch.rand((len(tokens), 1, 1), generator=generator) * 0.6
        noise = torch.randn(tokens.shape, generator=generator) * amount
        return tokens + noise.to(self.device) * tokens.std(dim=(1, 2), keepdim=True)


class _DoubtfulBatches(_DecoderBatches):
    """The same with doubt cast on both guides; the text guide is the mean over a scene's captions, as it is decoded."""

    scenes = _DOUBT_SCENES

    def __init__(self, out: Path, world: _FrozenWorld, size: int) -> None:
        super().__init__(out, world, size)
        rows = torch.arange(_MODEL_SCENES)
        self.image = Doubt.of(rows_of(self.tokens, rows, "cpu"))
        self.text = Doubt.of(torch.cat([self._text(part) for part in rows.split(250)]))

    def _text(self, rows: Tensor) -> Tensor:
        return self.clip.text_tokens_of(self.numbers[rows].flatten(0, 1).long()).unflatten(0, (len(rows), -1)).mean(1)

    def _guides(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        form = torch.multinomial(_CAPTION_SHARES, len(rows), replacement=True, generator=generator)
        single = self.clip.text_tokens_of(self.numbers[rows, form].long())
        alone = torch.rand((len(rows), 1, 1), generator=generator) < 0.25
        text = torch.where(alone, single, self.text.cast(self._text(rows), generator))
        image = self.image.cast(rows_of(self.tokens, rows, "cpu"), generator)
        case = torch.multinomial(_GUIDE_SHARES, len(rows), replacement=True, generator=generator)
        image, text = image * (case < 2)[:, None, None], text * ((case == 0) | (case == 2))[:, None, None]
        return image.to(self.device), text.to(self.device)


TRAINERS = {"clip": train_clip, "vae": train_vae, "decoder": train_decoder, "doubt": train_doubt}
"""By the name that ``bdk demo train`` takes."""


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=list(TRAINERS))
    parser.add_argument("--out", required=True, type=Path, help="folder for pictures, checkpoints and weights")
    parser.add_argument("--steps", type=int, help="batches in all; the default makes the shipped weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever checkpoint is there")
    parser.add_argument(
        "--frozen", type=Path, help="decoder and doubt: folder of the CLIP and VAE weights; default the shipped ones"
    )
    options = parser.parse_args()
    given = {name: value for name in ("steps", "frozen") if (value := getattr(options, name))}
    TRAINERS[options.network](options.out, device=options.device, seed=options.seed, resume=not options.fresh, **given)


if __name__ == "__main__":
    _main()
