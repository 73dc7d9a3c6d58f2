"""StableUnCLIP: pictures from a pooled CLIP image vector that conditions Stable Diffusion's UNet as a class embedding.

Source: Ramesh et al. 2022; Stability AI's `stable-diffusion-2-1-unclip`, in diffusers' layout. The vector is scaled by
the model's own mean and deviation, noised to ``noise_level`` and joined with that level's sinusoidal code.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from bdk.contexts import DecoderContext
from bdk.targets.vae import load_vae
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from bdk_decoders.configs import UnclipConfig
from bdk_decoders.diffusion import guided, sample
from bdk_decoders.empty_prompt import empty_prompt
from bdk_decoders.folders import load_unet, model_folder, own_scheduler, paint, pixels_per_latent, placement
from bdk_decoders.guides import draw_noise, require_guides, require_size


class Unclip:
    """Sampling with a loop of our own: diffusers' pipeline insists on an image encoder that is never called here.

    Args:
        config: steps, guidance, noise level.
        context: space of the ``image`` guide: one vector in CLIP's own scale.

    Raises:
        WeightsMissingError: the folder, a part of it, or the empty caption's states are not there.
    """

    def __init__(self, config: UnclipConfig, context: DecoderContext) -> None:
        self.config, self.context = config, context
        self.device, self.dtype = placement(config)
        self.folder = model_folder(config)
        self.unet = load_unet(self.folder, self.device, self.dtype)
        self.vae = load_vae(self.folder / "vae", str(self.device), self.dtype)
        self.scale = load_file(self.folder / "image_normalizer" / "diffusion_pytorch_model.safetensors")
        self.prompt = empty_prompt(self.folder)["states"].to(self.device, self.dtype)

    def __call__(self, guides: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Float[Tensor, "B S 3 H W"]:
        require_guides(guides, decoder="unclip", required=self.config.required)
        require_size(guides["image"], self.context.spaces.get("image"), name="image", decoder="unclip")
        count, config = len(guides["image"]), self.unet.config
        side = self.config.side // pixels_per_latent(self.vae) or config.sample_size
        noise = draw_noise(count, n, (config.in_channels, side, side), generator, self.config.noise).flatten(0, 1)
        blur = draw_noise(count, n, guides["image"].shape[2:], generator, self.config.noise, 1).flatten(0, 1)
        vectors = self.noised(guides["image"][:, 0].float().repeat_interleave(n, dim=0), blur)
        rows = torch.arange(count * n).split(self.config.batch)
        return torch.cat([self._paint(noise[part], vectors[part]) for part in rows]).unflatten(0, (count, n))

    def noised(self, vectors: Float[Tensor, "N P"], noise: Float[Tensor, "N P"]) -> Float[Tensor, "N 2P"]:
        """Vectors noised in the model's normalised scale, joined with the code of the noise level."""
        from diffusers import DDPMScheduler
        from diffusers.models.embeddings import get_timestep_embedding

        level = torch.full((len(vectors),), self.config.noise_level)
        schedule = DDPMScheduler.from_pretrained(self.folder / "image_noising_scheduler", local_files_only=True)
        scaled = (vectors - self.scale["mean"]) / self.scale["std"]
        blurred = schedule.add_noise(scaled, noise, level) * self.scale["std"] + self.scale["mean"]
        code = get_timestep_embedding(level, vectors.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
        return torch.cat([blurred, code], dim=1)

    @torch.no_grad()
    def _paint(self, noise: Tensor, vectors: Tensor) -> Float[Tensor, "N 3 H W"]:
        noise, vectors = noise.to(self.device, self.dtype), vectors.to(self.device, self.dtype)

        def network(latents: Tensor, time: Tensor, labels: Tensor) -> Tensor:
            prompt = self.prompt.expand(len(latents), -1, -1)
            return self.unet(latents, time, encoder_hidden_states=prompt, class_labels=labels, return_dict=False)[0]

        predict = guided(network, (vectors,), (torch.zeros_like(vectors),), self.config.guidance)
        return paint(self.vae, sample(predict, own_scheduler(self.folder), noise, steps=self.config.steps))
