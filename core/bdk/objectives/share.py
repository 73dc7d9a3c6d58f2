"""One batch on several processes: each has its rows, all see the same loss, and chance is that of the whole batch.

With one process everything here is the identity. With several, a step equals that of one process up to rounding:

- what is drawn inside `Share.drawing` for a process's rows (noise, timesteps, dropout) is drawn for all rows from the
  same generator state, of which the process takes its own;
- `Share.everyone` gathers rows with gradients, so that every row is a negative of every other;
- `Share.mean` averages over all rows;
- gradients of the parameters are then summed over the processes (`bdk.training.loop`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bdk.processes import crew

RowsT = TypeVar("RowsT")


@dataclass(frozen=True)
class Share:
    """The rows of a batch that belong to one process: ``total`` split into ``count`` runs, as even as can be.

    Args:
        rank: which process.
        count: how many there are.
        total: rows of the whole batch.
    """

    rank: int = 0
    count: int = 1
    total: int = 0

    @classmethod
    def of(cls, total: int) -> Share:
        """This process's share of a batch."""
        return cls(crew().rank, crew().count, total)

    @property
    def sizes(self) -> list[int]:
        """Rows of each process; the first ones have one more where the batch cannot be split evenly."""
        least, more = divmod(self.total, self.count)
        return [least + (rank < more) for rank in range(self.count)]

    @property
    def own(self) -> slice:
        """Where this process's rows stand."""
        start = sum(self.sizes[: self.rank])
        return slice(start, start + self.sizes[self.rank])

    def mine(self, rows: RowsT) -> RowsT:
        """This process's rows of a tensor or array of all rows."""
        return rows if self.count == 1 else rows[self.own]  # type: ignore[index]

    def everyone(self, rows: Float[Tensor, "own ..."]) -> Float[Tensor, "total ..."]:
        """All rows, of which each process hands in its own. Gradients flow to one's own rows: the loss that is made of
        the gathered rows must be the same on every process."""
        return rows if self.count == 1 else _Gather.apply(rows, self)

    def mean(self, value: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The mean over all rows, of which each process hands in the mean over its own."""
        return value if self.count == 1 else _Mean.apply(value, self)

    def drawing(self) -> AbstractContextManager[Any]:
        """Inside, random tensors for one's own rows are one's own rows of random tensors for all."""
        return nullcontext() if self.count == 1 else _WholeDraws(self)


ALONE = Share()
"""The share of a run's only process."""


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, share: Share) -> Tensor:
        ctx.share = share
        padded = rows.new_zeros((max(share.sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(share.count)]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, share.sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.share.own], None


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, share: Share) -> Tensor:
        ctx.weight = share.sizes[share.rank] / share.total
        summed = value * ctx.weight
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.weight, None


_SIZED = {torch.rand, torch.randn, torch.randint}
"""Functions that are told a size."""
_ALIKE = {torch.rand_like, torch.randn_like, torch.randint_like}
_FILLING = {
    torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.bernoulli_, torch.Tensor.random_, torch.Tensor.exponential_
}  # fmt: skip
_DROPPING = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}


class _WholeDraws(TorchFunctionMode):
    """Draws for the whole batch what is asked for one's own rows: for tensors whose first axis is as long as those."""

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share, self.rows = share, share.sizes[share.rank]

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        options = dict(kwargs or {})
        if func in _SIZED:
            return self._sized(func, args, options)
        if func in _ALIKE and self._is_own(args[0]):
            return func(self._whole(args[0]), *args[1:], **options)[self.share.own]
        if func in _FILLING and self._is_own(args[0]):
            return args[0].copy_(func(self._whole(args[0]), *args[1:], **options)[self.share.own])
        if func is torch.bernoulli and self._is_own(args[0]):
            chances = self._whole(args[0]).zero_()
            chances[self.share.own] = args[0]
            return func(chances, *args[1:], **options)[self.share.own]
        if func in _DROPPING and self._is_own(args[0]):
            return self._dropped(func, *args, **options)
        return func(*args, **options)

    def _sized(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
        """``torch.randn(rows, 3)``, ``torch.randn((rows, 3))``, ``torch.randint(9, (rows,))``, or ``size=``."""
        place = next((i for i, value in enumerate(args) if isinstance(value, (tuple, list, torch.Size))), None)
        if "size" in options:
            size = tuple(options["size"])
        else:
            size = args if place is None else tuple(args[place])
        if not size or size[0] != self.rows or (place is None and func is torch.randint and "size" not in options):
            return func(*args, **options)
        whole = (self.share.total, *size[1:])
        if "size" in options:
            options["size"] = whole
        elif place is None:
            args = whole
        else:
            args = (*args[:place], whole, *args[place + 1 :])
        return func(*args, **options)[self.share.own]

    def _dropped(
        self, func: Callable[..., Any], values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or not p:
            return func(values, p, training, inplace)
        if func not in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d):  # these depend on the values too
            whole = self._whole(values).zero_()
            whole[self.share.own] = values
            return func(whole, p, training)[self.share.own]
        kept = func(torch.ones_like(self._whole(values)), p, training)[self.share.own]
        return values * kept

    def _is_own(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor) and tensor.ndim > 0 and len(tensor) == self.rows

    def _whole(self, tensor: Tensor) -> Tensor:
        return torch.empty((self.share.total, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
