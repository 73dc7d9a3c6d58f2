"""The demo world's decoder, ready to use: latents sampled under an image guide, a text guide, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor

from bdk.demo.clip_net import WIDTH
from bdk.demo.files import read_weights
from bdk.demo.tokenizer import CONTEXT
from bdk.demo.unet_net import IMAGE_TOKENS, DecoderNet
from bdk.demo.vae_net import CHANNELS, SIDE

_BATCH = 128


def scheduler() -> Any:
    """v-prediction over 1000 steps whose last one is pure noise (zero terminal SNR, Lin et al. 2023)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


class DemoDiffusion:
    """A frozen dual-guided latent diffusion model."""

    def __init__(self, net: DecoderNet, device: str = "cpu") -> None:
        self.net = net.to(device).eval()
        self.device = device

    @classmethod
    def load(cls, weights_dir: Path | str | None = None, device: str = "cpu") -> DemoDiffusion:
        """The shipped weights, or those in `weights_dir`."""
        return cls(read_weights("unet", DecoderNet(), weights_dir), device)

    @torch.no_grad()
    def sample(
        self,
        image_tokens: Float[Tensor, "B 65 128"] | None,
        text_tokens: Float[Tensor, "B 24 128"] | None,
        n: int = 1,
        generator: torch.Generator | None = None,
        steps: int = 20,
        guidance: float = 1.0,
        mix: float = 0.5,
        start_latents: Float[Tensor, "B 8 8 8"] | None = None,
        strength: float = 1.0,
    ) -> Float[Tensor, "B*n 8 8 8"]:
        """Sample `n` latents for every stimulus; those of one stimulus stand together.

        Args:
            image_tokens: image guide, or None for the text guide alone.
            text_tokens: text guide, or None for the image guide alone.
            n: samples per stimulus.
            generator: source of all randomness (a CPU generator).
            steps: DDIM steps from pure noise; img2img takes the last `strength` share of them.
            guidance: scale of classifier-free guidance; 1 is none, and costs half.
            mix: text's share in the cross-attention, 0..1.
            start_latents: latents to start img2img from, one per stimulus.
            strength: share of the way that is noised and sampled again; 1 ignores `start_latents`.

        Raises:
            ValueError: if there is neither guide.
        """
        image, text = _both_guides(image_tokens, text_tokens)
        image, text = (tokens.to(self.device).float().repeat_interleave(n, dim=0) for tokens in (image, text))
        noise = torch.randn((len(image), CHANNELS, SIDE, SIDE), generator=generator).to(self.device)
        start = None if start_latents is None else start_latents.to(self.device).float().repeat_interleave(n, dim=0)
        self.net.set_mix(mix)
        parts = []
        for i in range(0, len(image), _BATCH):
            part = slice(i, i + _BATCH)
            begun = None if start is None else start[part]
            parts.append(self._denoise(noise[part], image[part], text[part], steps, guidance, begun, strength))
        return torch.cat(parts).cpu()

    def _denoise(
        self,
        noise: Tensor,
        image: Tensor,
        text: Tensor,
        steps: int,
        guidance: float,
        start: Tensor | None,
        strength: float,
    ) -> Float[Tensor, "B 8 8 8"]:
        plan = scheduler()
        plan.set_timesteps(steps)
        times, latents = plan.timesteps, noise
        if start is not None and strength < 1:
            times = times[min(steps - 1, round(steps * (1 - strength))) :]
            latents = plan.add_noise(start, noise, times[:1])
        for time in times:
            velocity = self._velocity(latents, time, image, text, guidance)
            latents = plan.step(velocity, time, latents).prev_sample
        return latents

    def _velocity(self, latents: Tensor, time: Tensor, image: Tensor, text: Tensor, guidance: float) -> Tensor:
        times = time.to(latents.device).expand(len(latents))
        guided = self.net(latents, times, image, text)
        if guidance == 1:
            return guided
        unguided = self.net(latents, times, torch.zeros_like(image), torch.zeros_like(text))
        return unguided + guidance * (guided - unguided)


def _both_guides(image: Tensor | None, text: Tensor | None) -> tuple[Tensor, Tensor]:
    given = image if image is not None else text
    if given is None:
        raise ValueError("The decoder needs a guide: image tokens, text tokens, or both.")
    no_image, no_text = torch.zeros(len(given), IMAGE_TOKENS, WIDTH), torch.zeros(len(given), CONTEXT, WIDTH)
    return no_image if image is None else image, no_text if text is None else text
