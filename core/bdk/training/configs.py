"""Options of the two trained stages. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bdk.components import Config
from bdk.objectives.configs import Stage1Objective, Stage2Objective


class TrainConfig(Config):
    """How long and how fast; the spec alone decides, whatever the number of processes."""

    steps: int = Field(0, ge=0, json_schema_extra={"quick": 40})
    """Optimiser steps; 0 takes ``epochs`` instead."""
    epochs: float = Field(180, gt=0)
    """Passes over the training stimuli, if ``steps`` is 0. BrainRAM: 180 (stage I), 120 (stage II)."""
    batch_size: int = Field(32, ge=1)
    """Stimuli of one step, over all processes. BrainRAM: 32 (stage I), 256 (stage II)."""
    lr: float = Field(2.5e-4, gt=0)
    """Learning rate (its peak, for one-cycle). BrainRAM: 2.5e-4; its released default is 3e-4."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Learning rate over time. BrainRAM: one-cycle (stage I), constant (stage II)."""
    weight_decay: float = Field(1e-2, ge=0)
    """AdamW's decay; biases and gains of normalisations are spared."""
    clip: float = Field(0.0, ge=0)
    """Largest gradient norm; 0 does not clip (neither does BrainRAM)."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints: what a kill can cost at most."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the forward pass; ``auto`` is bf16 on an accelerator that has it and fp32 on a CPU, always."""


class Stage1(TrainConfig, Stage1Objective):
    """Stage I: encoder and prior, one fit a guide."""

    prior_lr: float = Field(0.0, ge=0)
    """Learning rate of the prior (its peak, for one-cycle); 0 as published: the encoder's."""
    standardise: Literal["voxel", "sample", "none"] = "voxel"
    """Scale of the betas: ``voxel`` z-scores each voxel by the training stimuli (Brain-Diffuser), ``sample`` each
    stimulus across its voxels (BrainRAM's release), ``none`` leaves them."""
    weights: str = ""
    """Key of an imported checkpoint (`bdk import`), or its first digits; encoder and prior then take its weights and
    are not trained. On which stimuli they were trained elsewhere is not known: with ``estimates`` other than
    in-sample they may have seen the stimuli that are kept from stage I here."""
    estimates: Literal["in-sample", "holdout", "cross-fit", "none"] = "in-sample"
    """On which stimuli stage II will see estimates: those stage I was fitted on (the paper's way), a share kept from
    it, or all of them by k-fold. It decides what stage I is fitted on, so it is an option of stage I. ``none``: there
    is no stage II, and no estimates of training stimuli are made (16 samples of MindEye's 257 x 768 tokens for 8,859
    stimuli would take 112 GB)."""
    holdout: float = Field(0.2, gt=0, lt=1)
    """Share of the training stimuli kept from stage I when ``estimates = "holdout"``."""
    folds: int = Field(4, ge=2)
    """Folds when ``estimates = "cross-fit"``; stage I is then fitted folds + 1 times."""


class Stage2(TrainConfig, Stage2Objective):
    """Stage II: the fusion module; encoder and prior stay frozen."""

    epochs: float = Field(120, gt=0)
    """Passes over the training estimates, if ``steps`` is 0. BrainRAM: 120."""
    batch_size: int = Field(256, ge=1)
    """Estimates of one step. BrainRAM: 256."""
    schedule: Literal["one-cycle", "constant"] = "constant"
    """Learning rate over time. BrainRAM: constant."""
    neighbours: Literal["own", "pooled"] = "own"
    """Which neighbours each estimate is refined with: the K that were found with it (``own``; eq. 7 has one p and its
    K neighbours, and 4 samples with 4 neighbours each give the 4 reconstructions of the release), or those of all
    samples of its stimulus together, nearest first and each once (``pooled``: K is then samples x retriever.k, 16 for
    the paper's "4 priors per stimulus, each prior retrieved another 4 samples")."""
