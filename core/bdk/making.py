"""What the maker of a step is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdk.artifacts import Artifact, Store
from bdk.components import Config
from bdk.plan import Step
from bdk.registry import Registry, build, config_class

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Making:
    """One step in the making.

    Args:
        step: what to make.
        inputs: finished steps by role.
        out: empty folder for the files of the artifact.
        work: folder for checkpoints; outlives a kill.
        store: for caches (`Store.scratch`).
        registry: what is installed.
        tell: takes progress events: ``{"event": "row", ...}`` for losses, ``{"event": "progress", "done", "total"}``.
    """

    step: Step
    inputs: Mapping[str, Artifact]
    out: Path
    work: Path
    store: Store
    registry: Registry
    tell: Tell

    @property
    def options(self) -> Mapping[str, Any]:
        """The step's options."""
        return self.step.options

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Tell how far the step is."""
        self.tell({"event": "progress", "key": self.step.key, "done": done, "total": total, "note": note})

    def row(self, row: Mapping[str, float]) -> None:
        """Tell a row of losses."""
        self.tell({"event": "row", "key": self.step.key, "row": dict(row)})

    def component(self, family: str, plain: Mapping[str, Any], context: object) -> Any:
        """Build a part from its plain options (as `Part.plain` wrote them)."""
        return build(self.registry.component(family, plain["use"]), self.config(family, plain), context)

    def config(self, family: str, plain: Mapping[str, Any]) -> Config:
        """The checked options of a part."""
        kind = config_class(self.registry.component(family, plain["use"]))
        return kind.model_validate({key: value for key, value in plain.items() if key in kind.model_fields})
