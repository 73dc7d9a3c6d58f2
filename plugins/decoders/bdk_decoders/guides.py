"""What every decoder checks of its guides, and how it draws its noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from bdk.errors import ComponentError
from bdk.objectives.randomness import restarted
from bdk.spaces import Space
from jaxtyping import Float
from torch import Tensor


def require_guides(
    guides: Mapping[str, Tensor], *, decoder: str, required: Sequence[str] = (), any_of: Sequence[str] = ()
) -> None:
    """Refuse a call without the guides a decoder needs.

    Args:
        guides: what was handed in.
        decoder: named in the error.
        required: all of these must be there.
        any_of: at least one of these must be there, if any is named.

    Raises:
        ComponentError: one is missing, or their batch sizes differ.
    """
    missing = [name for name in required if name not in guides]
    if missing or (any_of and not any(name in guides for name in any_of)):
        wanted = ", ".join(map(repr, missing)) if missing else f"at least one of {', '.join(map(repr, any_of))}"
        raise ComponentError(
            f"The decoder {decoder!r} needs {wanted}, and was given {', '.join(map(repr, guides)) or 'no guide'}.",
            where="guides",
            mend="Add the guide to `guides` in the spec, or choose another decoder.",
        )
    sizes = {name: len(guide) for name, guide in guides.items()}
    if len(set(sizes.values())) > 1:
        raise ComponentError(f"The guides are of different numbers of stimuli: {sizes}.", where=f"decoder {decoder!r}")


def require_size(guide: Tensor, space: Space | None, *, name: str, decoder: str) -> None:
    """Refuse a guide of another size than its space's.

    Raises:
        ComponentError: both sizes are named.
    """
    if space is not None and tuple(guide.shape[1:]) != (space.tokens, space.dim):
        raise ComponentError(
            f"The guide {name!r} is {tuple(guide.shape[1:])}, but its space is {space}.", where=f"decoder {decoder!r}"
        )


def as_latents(tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B D h w"]:
    """Tokens of a latent image, row by row, as channels over a square.

    Raises:
        ComponentError: the tokens do not fill a square.
    """
    side = round(tokens.shape[1] ** 0.5)
    if side * side != tokens.shape[1]:
        raise ComponentError(f"{tokens.shape[1]} positions of a latent image do not fill a square.", where="guide low")
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], side, side)


def draw_noise(
    stimuli: int,
    n: int,
    shape: Sequence[int],
    generator: torch.Generator,
    how: Literal["shared", "independent"],
    stream: int = 0,
) -> Float[Tensor, "B S ..."]:
    """Standard normal numbers for every sample of every stimulus.

    Args:
        stimuli: B.
        n: S, samples a stimulus.
        shape: of one sample's noise.
        generator: the only source of randomness; draws are made on its device.
        how: ``shared``: sample s of every stimulus gets the same numbers, in this batch and in every other with a
            generator of that seed; ``independent``: each its own.
        stream: tells apart the draws of one decoder where they are shared.
    """
    shared = how == "shared"
    source = restarted(generator, stream) if shared else generator
    noise = torch.randn((1 if shared else stimuli, n, *shape), generator=source, device=source.device)
    return noise.expand(stimuli, *noise.shape[1:])
