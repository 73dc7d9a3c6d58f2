"""Checks of spaces: the backbone computes what the space declares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdk.errors import BdkError
from bdk.registry import Registry, resolve
from bdk.spaces import Space
from bdk.testing.checking import Violation, check
from bdk.testing.subject import chance

CLOSE = 1e-3
_CAPTIONS = [("a red ball on grass",), ("two dogs", "dogs that run"), ("a street at night",)]


@dataclass
class Subject:
    """A space.

    Args:
        info: which.
        registry: what is installed.
        folder: not used.
        given: not used: a space has no options that a person decides.
    """

    info: Space
    registry: Registry
    folder: Path
    given: Any = None

    @cached_property
    def backbone(self) -> Any:
        """What computes it."""
        space = self.info
        owner = self.registry.owners.get(("spaces", space.id), "")
        return resolve(space.backbone, owner=owner)(space, device="cpu", **space.options)

    @property
    def stimuli(self) -> Any:
        """Three stimuli of its modality."""
        if self.info.modality == "text":
            return list(_CAPTIONS)
        return np.random.default_rng(71).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)

    @cached_property
    def tokens(self) -> torch.Tensor:
        """Their tokens."""
        return self.backbone.embed(self.stimuli)


@check("declaration-is-whole")
def declaration_is_whole(subject: Subject) -> None:
    """Its sizes are positive, it names a backbone, and its pooled space is known."""
    space = subject.info
    if space.tokens < 1 or space.dim < 1:
        raise Violation(f"{space.tokens} x {space.dim} is no size")
    if space.modality not in ("image", "text", "latent") or space.norm not in ("cls", "pooled", "none"):
        raise Violation(f"modality {space.modality!r} or norm {space.norm!r} is no word of bdk.spaces.Space")
    if not space.backbone:
        raise Violation("it names no backbone, so its targets cannot be computed")
    if space.pooled and space.pooled not in subject.registry.spaces:
        raise Violation(f"its pooled space {space.pooled!r} is offered by nobody")


@check("embeds", after=("declaration-is-whole",))
def embeds(subject: Subject) -> None:
    """The backbone turns stimuli into float32 tokens of the declared size, all finite."""
    wanted = (3, subject.info.tokens, subject.info.dim)
    tokens = subject.tokens
    if tuple(tokens.shape) != wanted or tokens.dtype != torch.float32 or tokens.device.type != "cpu":
        raise Violation(
            f"embed gives {tokens.dtype} {tuple(tokens.shape)} on {tokens.device}, wanted float32 {wanted} on the CPU"
        )
    if not bool(torch.isfinite(tokens).all()):
        raise Violation("embed gives NaN or infinity")
    if bool((tokens[0] == tokens[1]).all()):
        raise Violation("different stimuli have the same tokens")


EMBEDDED = ("embeds",)


@check("norm-is-as-declared", after=EMBEDDED)
def norm_is_as_declared(subject: Subject) -> None:
    """With norm `cls` the first token of every stimulus has length 1."""
    lengths = subject.tokens[:, 0].norm(dim=-1)
    if subject.info.norm == "cls" and float((lengths - 1).abs().max()) > CLOSE:
        raise Violation(f"norm is cls, but first tokens have lengths {[round(float(x), 3) for x in lengths]}")


@check("stimuli-do-not-mix", after=EMBEDDED)
def stimuli_do_not_mix(subject: Subject) -> None:
    """A stimulus alone has the tokens it has among others."""
    alone = subject.backbone.embed(subject.stimuli[1:2])
    if not torch.allclose(alone[0], subject.tokens[1], atol=CLOSE):
        raise Violation("a stimulus alone has other tokens than among others")


@check("chance-has-no-say", after=EMBEDDED)
def chance_has_no_say(subject: Subject) -> None:
    """Embedding twice gives the same."""
    with chance(4):
        again = subject.backbone.embed(subject.stimuli)
    if not torch.equal(again, subject.tokens):
        raise Violation("embedded again, the same stimuli have other tokens")


def _without_key(subject: Subject) -> str:
    return "" if subject.info.pooled else "the space has no pooled key"


@check("keys-have-unit-length", applies=_without_key, after=EMBEDDED)
def keys_have_unit_length(subject: Subject) -> None:
    """Pooled keys have the size of the pooled space, and length 1."""
    keys = subject.backbone.pooled(subject.stimuli)
    size = subject.registry.space(subject.info.pooled).size
    if tuple(keys.shape) != (3, size):
        raise Violation(f"pooled gives {tuple(keys.shape)}, wanted (3, {size})")
    if float((keys.norm(dim=1) - 1).abs().max()) > CLOSE:
        raise Violation("pooled keys are not of unit length")


@check("wrong-stimuli-are-refused", after=EMBEDDED)
def wrong_stimuli_are_refused(subject: Subject) -> None:
    """Captions for a space of pictures, or pictures for one of text, are refused with an error of the project's."""
    wrong: Any = np.zeros((1, 8, 8, 3), np.uint8) if subject.info.modality == "text" else list(_CAPTIONS)
    try:
        subject.backbone.embed(wrong)
    except BdkError:
        return
    except Exception as error:
        raise Violation(
            f"it raised {type(error).__name__}: {error}; `bdk.targets.backbones` has what refuses it"
        ) from error
    raise Violation("it embedded stimuli of the other kind")


CHECKS = [
    declaration_is_whole,
    embeds,
    norm_is_as_declared,
    stimuli_do_not_mix,
    chance_has_no_say,
    keys_have_unit_length,
    wrong_stimuli_are_refused,
]
