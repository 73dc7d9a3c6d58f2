"""Small worlds in which the truth is known, so that a useful part can be told from an idle one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bdk.spaces import Space
from bdk.testing.cases import numbers

HIDDEN = 4
"""Causes behind every stimulus: what betas and tokens have in common."""
TRAIN, TEST = 256, 64


class Brain(NamedTuple):
    """Betas that know their targets, up to noise."""

    betas: Tensor
    targets: Tensor
    test_betas: Tensor
    test_targets: Tensor


class Conditions(NamedTuple):
    """Targets and conditions that know them, in other words and up to noise."""

    conditions: Tensor
    targets: Tensor
    test_conditions: Tensor
    test_targets: Tensor


class Retrieved(NamedTuple):
    """Targets, noisy estimates of them, and neighbours that are noisy in other ways."""

    estimates: Tensor
    neighbours: Tensor
    present: Tensor
    targets: Tensor


def brain(voxels: int, space: Space) -> Brain:
    """Betas = causes x random weights + noise of half their size; targets = causes x other weights."""
    causes, targets = _targets(space, TRAIN + TEST)
    betas = causes @ numbers(HIDDEN, voxels, seed=11) * HIDDEN**-0.5
    betas = betas + 0.5 * numbers(*betas.shape, seed=12)
    return Brain(betas[:TRAIN], targets[:TRAIN], betas[TRAIN:], targets[TRAIN:])


def conditions(space: Space) -> Conditions:
    """Conditions are the targets with their numbers mixed by a fixed rotation, plus noise a third of their size."""
    _, targets = _targets(space, TRAIN + TEST)
    rotation = torch.linalg.qr(numbers(space.dim, space.dim, seed=21)).Q
    mixed = targets @ rotation
    mixed = mixed + mixed.std() / 3 * numbers(*mixed.shape, seed=22)
    return Conditions(mixed[:TRAIN], targets[:TRAIN], mixed[TRAIN:], targets[TRAIN:])


def retrieved(space: Space, k: int) -> tuple[Retrieved, Retrieved]:
    """Training and test stimuli; estimates and neighbours each have noise of the target's own size."""
    _, targets = _targets(space, TRAIN + TEST)
    spread = targets.std()
    estimates = targets + spread * numbers(*targets.shape, seed=31)
    shape = (len(targets), k, space.tokens, space.dim)
    neighbours = targets[:, None] + spread * numbers(*shape, seed=32)
    present = torch.rand(len(targets), k, generator=torch.Generator().manual_seed(33)) > 0.2
    parts = (slice(TRAIN), slice(TRAIN, None))
    train, test = (Retrieved(estimates[p], neighbours[p], present[p], targets[p]) for p in parts)
    return train, test


def _targets(space: Space, rows: int) -> tuple[Tensor, Tensor]:
    """Causes, and tokens that follow from them; in the scale that the space declares."""
    causes = numbers(rows, HIDDEN, seed=41)
    flat = causes @ numbers(HIDDEN, space.size, seed=42)
    targets = flat.reshape(rows, space.tokens, space.dim) * (HIDDEN * space.dim) ** -0.5
    if space.norm == "cls":
        targets = targets / targets[:, :1].norm(dim=-1, keepdim=True)
    return causes, targets


def error(guess: Tensor, truth: Tensor) -> float:
    """Mean squared error."""
    return float((guess - truth).square().mean())


def identified(guess: Tensor, truth: Tensor) -> float:
    """Share of pairs in which a guess correlates more with its own truth than with another stimulus's."""
    near = torch.corrcoef(torch.cat([_centred(guess), _centred(truth)]))[: len(guess), len(guess) :]
    wins = near.diagonal()[:, None] > near
    return float(wins.sum() / (len(guess) * (len(guess) - 1)))


def _centred(tokens: Tensor) -> Tensor:
    return (tokens - tokens.mean(0)).flatten(1)
