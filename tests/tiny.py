"""The smallest run that still goes through every step."""

from __future__ import annotations

DEFAULTS = """
extends = "brainram"
name = "tiny"

[when.demo.data]
train = 40
test = 12
voxels = 64
[when.demo.stage1]
steps = 4
batch_size = 8
checkpoint_every = 2
lr = 1e-3
prior_lr = 0.0
holdout = 0.2
[when.demo.stage2]
steps = 3
batch_size = 4
lr = 1e-4
[when.demo.select]
candidates = 2
[when.demo.defaults.encoder.mamba]
hidden = 16
blocks = 1
projector_width = 8
[when.demo.defaults.encoder.mlp]
hidden = 16
blocks = 1
projector_width = 8
[when.demo.defaults.encoder.ridge]
alphas = [100.0]
[when.demo.defaults.encoder.conv1d-resnet]
channels = 4
blocks = 1
squeeze = 4
[when.demo.defaults.prior.diffusion]
samples = 2
depth = 1
heads = 1
dim_head = 8
sampler = "dpm-2"
[when.demo.defaults.prior.unet]
samples = 2
width = 8
levels = 1
heads = 1
sampler = "dpm-2"
[when.demo.defaults.retriever.laion2b]
n = 60
k = 2
[when.demo.defaults.retriever.laion400m]
n = 60
k = 2
"""
"""A spec file for tiny runs, to be extended."""


def spec(folder, text: str = "", name: str = "tiny.toml") -> str:
    """Write a tiny spec with more text (variants, a grid) and return its path."""
    path = folder / name
    path.write_text(DEFAULTS + text)
    return str(path)


PAINTER = [("decoder.steps", "2")]
"""Overrides for runs that paint with the demo decoder."""
UNPAINTED = [("decoder", "none")]
"""Overrides for runs that stop before pictures."""
