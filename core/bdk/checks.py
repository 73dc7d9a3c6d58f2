"""What every component checks of its inputs: sizes, numbers, spaces. Says what, where and how to mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdk.errors import ComponentError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from bdk.spaces import Space


def require_betas(betas: Float[Tensor, "B V"], voxels: int, *, where: str) -> None:
    """Refuse betas that an encoder was not built for.

    Args:
        betas: response estimates, one row a stimulus.
        voxels: V, the voxel count of the context.
        where: the component, for the message.

    Raises:
        ComponentError: not two axes, another voxel count, or numbers that are not finite.
    """
    if betas.ndim != 2 or betas.shape[1] != voxels:
        raise ComponentError(
            f"The betas have shape {_shape(betas)}, but the encoder was built for (stimuli, {voxels} voxels).",
            where=where,
            mend=f"Give it the {voxels} voxels of the ROI it was fitted on, or fit it for this ROI.",
        )
    require_finite(
        betas, "The betas", where=where, mend="Drop or impute the voxels or trials named by `bdk data check`."
    )


def require_tokens(tokens: Float[Tensor, "B T D"], space: Space, what: str, *, where: str) -> None:
    """Refuse tokens of another size than a space's, or with numbers that are not finite.

    Args:
        tokens: one token sequence a stimulus.
        space: the space they must live in.
        what: what they are, such as ``The estimate``.
        where: the component, for the message.

    Raises:
        ComponentError: not three axes, another size, or numbers that are not finite.
    """
    if tokens.ndim != 3 or tuple(tokens.shape[1:]) != (space.tokens, space.dim):
        raise ComponentError(
            f"{what} has shape {_shape(tokens)}, but space {space.id!r} has (stimuli, {space.tokens}, {space.dim}).",
            where=where,
            mend="Use parts that were fitted for the same space; `bdk plan` shows the space of each.",
        )
    require_finite(
        tokens, what, where=where, mend="Look at the step that made it; its inputs or its training diverged."
    )


def require_alike(found: Float[Tensor, "B T D"], target: Float[Tensor, "B T D"], what: str, *, where: str) -> None:
    """Refuse tokens that cannot be compared with the targets: of another space.

    Args:
        found: what a part made.
        target: true tokens; they may be of more stimuli.
        what: what ``found`` is, such as ``The refined tokens``.
        where: what compares them, for the message.

    Raises:
        ComponentError: another number of tokens, or of numbers per token.
    """
    if found.shape[1:] != target.shape[1:]:
        raise ComponentError(
            f"{what} have shape {_shape(found)}, and the targets {_shape(target)}: two spaces.",
            where=where,
            mend="Use parts that were fitted for the same space; `bdk plan` shows the space of each.",
        )


def require_neighbours(
    neighbours: Float[Tensor, "B K T D"],
    present: Bool[Tensor, "B K"],
    estimate: Float[Tensor, "B T D"],
    k: int,
    *,
    where: str,
) -> None:
    """Refuse neighbours that do not belong to the estimates, or more or fewer than the K a fusion was built for.

    Numbers of missing neighbours (``present`` false) may be anything.

    Raises:
        ComponentError: another K, another size, another number of stimuli, or a present neighbour that is not finite.
    """
    want = (estimate.shape[0], k, *estimate.shape[1:])
    if neighbours.ndim == 4 and neighbours.shape[1] != k:
        raise ComponentError(
            f"It was built for K = {k} neighbours and was given {neighbours.shape[1]}.",
            where=where,
            mend=f"Set retriever.k = {k}, or fit it again with the other K (its branches belong to similarity ranks).",
        )
    if tuple(neighbours.shape) != want or tuple(present.shape) != want[:2]:
        raise ComponentError(
            f"The neighbours have shape {_shape(neighbours)} and the mask {_shape(present)}; "
            f"wanted {want} and {want[:2]}.",
            where=where,
            mend="Fetch the neighbours in the guide's own space, one row for each estimate.",
        )
    if neighbours.is_meta:
        return
    if not bool((neighbours.isfinite() | ~present[..., None, None]).all()):
        raise ComponentError(
            "A neighbour that is marked present holds numbers that are not finite.",
            where=where,
            mend="Mark it missing (present = false), or look at the retriever that fetched it.",
        )


def require_finite(tensor: Tensor, what: str, *, where: str, mend: str) -> None:
    """Refuse NaN and infinite numbers; names the first row that holds one.

    Raises:
        ComponentError: if any number is not finite.
    """
    if tensor.is_meta or bool(tensor.isfinite().all()):
        return
    bad = ~tensor.isfinite().flatten(1).all(1) if tensor.ndim > 1 else ~tensor.isfinite()
    rows = bad.nonzero().flatten().tolist()
    raise ComponentError(
        f"{what} {'hold' if what.endswith('s') else 'holds'} numbers that are not finite, in {len(rows)} of {len(bad)} rows (first: row {rows[0]}).",
        where=where,
        mend=mend,
    )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
