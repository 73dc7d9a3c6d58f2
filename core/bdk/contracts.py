"""Holds what a built component returns to its contract: shapes, and finite numbers. Names who broke it.

A stranger's module that returns another shape would otherwise fail far away, or be broadcast and never be noticed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bdk.components import ComponentInfo
from bdk.errors import BdkError, ComponentError

Check = Callable[[Any, tuple[Any, ...], Any], None]
"""(what was returned, what was given, the context); raises `Broken`."""


HUGE = 1e6
"""Weights beyond this come of a training that diverged."""


class Broken(Exception):
    """What is wrong with a returned value, as a sentence's end."""


class NotFinite(Broken):
    """NaN or infinity among the numbers returned."""


def watched(component: Any, info: ComponentInfo, context: Any) -> Any:
    """The same object, whose calls are checked from now on.

    Its class is replaced by a subclass of the same name, so that its state, its copies and ``isinstance`` stay as
    they were. NaN from weights that left all bounds is passed on: then the training diverged, which the training
    loop tells.

    Args:
        component: what the constructor returned.
        info: who it is, for messages.
        context: what it was built with.
    """
    kind = type(component)
    named = f"{info.family} {info.name!r} ({info.distribution or 'not packaged'})"
    methods = {
        name: _checked(getattr(kind, name), check, named, context)
        for name, check in _methods(info.family, component).items()
        if callable(getattr(kind, name, None))
    }
    try:
        component.__class__ = type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__})
    except TypeError:  # a class of a layout of its own, such as one with slots or written in C
        return component
    return component


def _methods(family: str, component: Any) -> dict[str, Check]:
    call = "forward" if isinstance(component, torch.nn.Module) else "__call__"
    table: dict[str, dict[str, Check]] = {
        "encoder": {call: _encoded, "solve": _solved},
        "prior": {"sample": _sampled, "loss": _prior_loss},
        "retriever": {"search": _found, "fetch": _fetched},
        "fusion": {call: _refined},
        "decoder": {call: _painted},
    }
    return table[family]


def _checked(method: Any, check: Check, named: str, context: Any) -> Any:
    signature = inspect.signature(method)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = args
        try:
            bound = signature.bind(self, *args, **kwargs)
            given = (*bound.args[1:], *bound.kwargs.values())
            returned = method(self, *args, **kwargs)
            check(returned, given, context)
        except Broken as fault:
            if isinstance(fault, NotFinite) and _diverged(self):
                return returned
            raise ComponentError(f"{named} {fault}, given {_shapes(given)}.", mend=_MEND) from None
        except (BdkError, OSError, MemoryError, torch.cuda.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise ComponentError(
                f"{named} failed: {type(error).__name__}: {error} (given {_shapes(given)}).", mend=_MEND
            ) from error
        return returned

    call.__doc__, call.__wrapped__ = method.__doc__, method  # type: ignore[attr-defined]
    return call


_MEND = "`bdk plugin check` on its package says which of its contracts it breaks."


def _encoded(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    space, rows = context.space, len(given[0])
    for name in ("tokens", "contrast"):
        if not hasattr(returned, name):
            raise Broken(f"returned {type(returned).__name__}, which has no {name}; bdk.interfaces.Encoded is expected")
        require(getattr(returned, name), (rows, space.tokens, space.dim), name)


def _solved(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    """Nothing is asked of what it returns; its errors are told as those of the other methods."""


def _prior_loss(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    if not (hasattr(returned, "loss") and hasattr(returned, "prediction")):
        raise Broken(f"returned {type(returned).__name__} as its loss; bdk.interfaces.PriorLoss is expected")
    require(returned.loss, (), "loss")
    require(returned.prediction, tuple(given[0].shape), "prediction")


def _sampled(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    require(returned, (len(given[0]), int(given[1]), context.space.tokens, context.space.dim), "samples")


def _refined(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    require(returned, tuple(given[0].shape), "refined tokens")


def _found(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    if not (hasattr(returned, "ids") and hasattr(returned, "scores")):
        raise Broken(f"returned {type(returned).__name__} from search; bdk.interfaces.Neighbours is expected")
    for name in ("ids", "scores"):
        require(getattr(returned, name), (len(given[0]), int(given[1])), name, finite=False)
    if bool(returned.scores.isnan().any()):
        raise Broken("returned scores that are NaN")


def _fetched(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    space = context.spaces.get(given[1])
    if space is not None:
        require(returned, (*given[0].shape, space.tokens, space.dim), "neighbours' tokens", finite=False)


def _painted(returned: Any, given: tuple[Any, ...], context: Any) -> None:
    rows = len(next(iter(given[0].values())))
    if not isinstance(returned, Tensor) or returned.ndim != 5:
        raise Broken(f"returned pictures {_shape(returned)}, wanted (stimuli, samples, 3, height, width)")
    require(returned, (rows, int(given[1]), 3, *returned.shape[3:]), "pictures")


def require(returned: Any, shape: tuple[int, ...], what: str, *, finite: bool = True) -> None:
    """Refuse anything but a tensor of that shape whose numbers are finite.

    Raises:
        Broken: what was returned instead.
        NotFinite: some numbers are not.
    """
    if not isinstance(returned, Tensor) or tuple(returned.shape) != shape:
        raise Broken(f"returned {what} {_shape(returned)}, wanted {shape}")
    if finite and not returned.is_meta and not bool(torch.isfinite(returned).all()):
        bad = int((~torch.isfinite(returned)).sum())
        raise NotFinite(f"returned {what} {shape} with {bad} numbers that are NaN or infinite")


def _diverged(part: Any) -> bool:
    """Whether its weights left all bounds, so that its numbers are no fault of its own."""
    weights = part.parameters() if isinstance(part, torch.nn.Module) else ()
    return not all(bool((weight.detach().abs() < HUGE).all()) for weight in weights)


def _shape(value: Any) -> str:
    return f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def _shapes(given: tuple[Any, ...]) -> str:
    """Shapes of the tensors among what was given, guides of a mapping included."""
    named = [value for value in given if isinstance(value, (Tensor, dict))]
    parts = [
        str(tuple(value.shape))
        if isinstance(value, Tensor)
        else ", ".join(f"{name} {tuple(part.shape)}" for name, part in value.items())
        for value in named
    ]
    return ", ".join(parts) or "nothing"
