"""The demo world as a data set: drawn scenes, five captions each, a simulated brain that never saw the tiny CLIP."""

from __future__ import annotations

import numpy as np

from bdk.data.brain_data import BrainData, DataDescription
from bdk.data.checks import fingerprint
from bdk.data.configs import DemoConfig
from bdk.data.images import ArrayImages

STAMP = "demo world (synthetic); galleries are stand-ins, not LAION"
SPACES = {"image": "demo-clip/image", "text": "demo-clip/text", "low": "demo-vae/latent"}
VOXELS = {"subj01": 1572, "subj02": 1428, "subj05": 1304, "subj07": 1268}


class Demo:
    """Drawn stimuli and simulated betas.

    Args:
        config: subject, sizes, seed and signal-to-noise ratio.
    """

    def __init__(self, config: DemoConfig) -> None:
        self.config = config

    def describe(self) -> DataDescription:
        """Sizes, from the options alone."""
        config = self.config
        return DataDescription(
            name="demo",
            subject=config.subject,
            voxels=config.voxels or VOXELS[config.subject],
            n_train=config.train,
            n_test=config.test,
            has_images=True,
            has_captions=True,
            spaces=SPACES,
            stamps={"data": STAMP},
            split_name="demo",
            trials=(config.train + config.test) * config.repeats,
            world={"name": "demo", "seed": config.seed},
        )

    def load(self) -> BrainData:
        """Draw the scenes and simulate the brain; the same options give the same bytes."""
        from bdk.demo.brain import simulate
        from bdk.demo.captions import captions
        from bdk.demo.scenes import render
        from bdk.demo.stimuli import stimuli

        config = self.config
        scenes = stimuli(config.train, config.test, config.seed, config.subject)
        pixels = np.stack([render(scene) for scene in scenes])
        betas = simulate(
            config.subject,
            pixels,
            scenes,
            repeats=config.repeats,
            snr_scale=config.snr,
            voxels=config.voxels or None,
            seed=config.seed,
        )
        split = np.array(["train"] * config.train + ["test"] * config.test)
        ids = tuple(f"scene-{scene.id}" for scene in scenes)
        return BrainData(
            name="demo",
            subject=config.subject,
            betas=betas.betas,
            trial_stimulus=np.asarray(betas.trial_stimulus, dtype=np.int64),
            trial_run=np.asarray(betas.trial_repeat, dtype=np.int64),
            stimulus_ids=ids,
            split=split,
            split_name="demo",
            images=ArrayImages(pixels),
            captions=tuple(captions(scene) for scene in scenes),
            rois=betas.rois,
            fingerprint=fingerprint(betas.betas, betas.trial_stimulus, pixels, split, *ids),
            stamps={"data": STAMP},
            world={"name": "demo", "seed": config.seed},
        )
