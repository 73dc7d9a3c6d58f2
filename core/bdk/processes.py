"""Several processes of one run, as torchrun starts them: one leads and writes, the others help it train.

Every process walks the same plan. The leader (rank 0) has or makes each step; in steps that train, the others are
called to help, and are dismissed when the training is over. Imports no torch before a run with several processes joins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bdk.errors import StepFailedError

PATIENCE = timedelta(days=14)
"""How long helpers wait for the leader's next word: it may paint for days."""


class AgreedError(StepFailedError):
    """A failure that every process meets at the same place, so that none waits for another."""


class Dismissed(Exception):
    """The training of this step is over; what remains is the leader's."""


class Crew:
    """The processes of this run.

    Args:
        rank: which of them this is.
        count: how many there are.
        local: which of those on this machine this is: decides its accelerator.
    """

    def __init__(self, rank: int = 0, count: int = 1, local: int = 0) -> None:
        self.rank, self.count, self.local = rank, count, local
        self._is_helped = False

    @property
    def leads(self) -> bool:
        """Whether this process makes the artifacts."""
        return self.rank == 0

    def join(self) -> None:
        """Meet the other processes; nothing to do where there is one, or a second time."""
        if self.count == 1:
            return
        import torch
        from torch import distributed

        if distributed.is_initialized():
            return
        if torch.cuda.is_available():
            torch.cuda.set_device(self.local % torch.cuda.device_count())
        backend = "cuda:nccl,cpu:gloo" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, rank=self.rank, world_size=self.count, timeout=PATIENCE)

    @contextmanager
    def together(self) -> Iterator[None]:
        """The length of a run: whoever is done first waits for the leader, since torchrun ends all when one ends badly.

        A process that failed alone (`SystemExit`) waits for nobody.
        """
        try:
            yield
        except Exception:
            self._part()
            raise
        self._part()

    def _part(self) -> None:
        if self.count > 1:
            from torch import distributed

            self.say()
            distributed.destroy_process_group()

    def say(self, word: Any = None) -> Any:
        """The leader's word (anything JSON can hold), on every process; what the others pass is of no matter."""
        if self.count == 1:
            return word
        import torch
        from torch import distributed

        self.join()
        text = json.dumps(word).encode() if self.leads else b""
        length = torch.tensor([len(text)])
        distributed.broadcast(length, 0)
        letters = (
            torch.frombuffer(bytearray(text), dtype=torch.uint8)
            if self.leads
            else torch.empty(int(length), dtype=torch.uint8)
        )
        distributed.broadcast(letters, 0)
        return json.loads(bytes(letters.tolist()))

    @contextmanager
    def helped(self, work: Path) -> Iterator[None]:
        """The leader, while it makes a step that trains: the others are called, and must not be left waiting.

        Args:
            work: folder with the step's checkpoints, for all.

        Raises:
            SystemExit: the leader alone failed before it dismissed its helpers; torchrun then ends them too.
        """
        if self.count == 1:
            yield
            return
        self.say({"help": str(work)})
        self._is_helped = True
        try:
            yield
        except AgreedError:
            raise
        except Exception as error:
            if self._is_helped:
                raise SystemExit(f"The leading process failed alone: {type(error).__name__}: {error}") from error
            raise
        finally:
            self._is_helped = False

    def help(self, label: str, work: Callable[[], None]) -> None:
        """One of the others, while it helps with a step.

        Raises:
            SystemExit: this process alone failed; torchrun then ends all of them.
        """
        try:
            work()
        except (Dismissed, AgreedError):
            return
        except Exception as error:
            raise SystemExit(f"Process {self.rank} failed in step {label}: {type(error).__name__}: {error}") from error

    def dismiss(self) -> None:
        """The training of a step is over: helpers leave it here, the leader goes on alone.

        Raises:
            Dismissed: in every process but the leader.
        """
        if not self.leads:
            raise Dismissed
        self._is_helped = False


@cache
def crew() -> Crew:
    """The processes of this run, from what torchrun put into the environment."""
    rank, count, local = (
        int(os.environ.get(name) or default) for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    return Crew(rank, count, local) if count > 1 and "MASTER_ADDR" in os.environ else Crew()
