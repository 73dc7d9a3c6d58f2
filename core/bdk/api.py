"""The kit from Python: parts alone, whole runs, and what a run left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdk import registry as registries
from bdk.artifacts import Artifact, Store
from bdk.contexts import DecoderContext, EncoderContext, FusionContext, PriorContext
from bdk.errors import BdkError, SpecError
from bdk.registry import Registry, build, config_class
from bdk.spaces import Space


def names(family: str) -> list[str]:
    """Names on offer in a family: ``encoder``, ``prior``, ``retriever``, ``fusion`` or ``decoder``."""
    return registries.load().names(family)


def create(family: str, name: str, *, space: str | Space = "", voxels: int = 0, k: int = 4, **options: Any) -> Any:
    """Build one part by itself.

    Args:
        family: its family.
        name: its name.
        space: the space it works in, or its id (encoders, priors, fusion).
        voxels: V (encoders).
        k: neighbours of each estimate (fusion).
        **options: its options, as in a spec.

    Returns:
        An ``nn.Module`` (encoders, priors, fusion) or a callable (decoders).

    Raises:
        BdkError: an unknown name or option, or a context that the part needs and was not given.
    """
    registry = registries.load()
    info = registry.component(family, name)
    kind = config_class(info)
    for key in options:
        if key not in kind.model_fields:
            from bdk.spec.grammar import unknown

            raise unknown(f"option of {family} {name}", key, kind.model_fields, where="bdk.create")
    return build(info, kind.model_validate(options), _context(family, registry, space, voxels, k, kind, options))


def _context(
    family: str, registry: Registry, space: str | Space, voxels: int, k: int, kind: Any, options: dict[str, Any]
) -> object:
    if family == "decoder":
        wanted = kind.model_validate(options).spaces()
        return DecoderContext({guide: registry.space(id) for guide, id in wanted.items()})
    if family == "retriever":
        raise BdkError("Retrievers are built by a run, which knows their gallery's cache.", mend="Use bdk.run.")
    found = registry.space(space) if isinstance(space, str) else space
    if family == "encoder":
        if voxels < 1:
            raise SpecError("An encoder needs to know its voxels.", where="bdk.create", mend="Pass voxels=15724.")
        return EncoderContext(voxels, found)
    return PriorContext(found) if family == "prior" else FusionContext(found, k)


def run(
    *specs: str, out: str | Path | None = None, store: str | Path | None = None, quick: bool = False, **options: Any
) -> Run:
    """Run specs as ``bdk run`` does.

    Args:
        *specs: bundled names or paths.
        out: run folder.
        store: artifact store.
        quick: scale down.
        **options: overrides; a dot is written as two underscores: ``encoder="mlp", stage1__steps=100``.

    Returns:
        The (first) run, loaded.
    """
    from bdk.runs import execute

    overrides = [(key.replace("__", "."), _text(value)) for key, value in options.items()]
    finished = execute(specs, out=out, store=store, overrides=overrides, quick=quick)
    return load(next(iter(finished.folders.values())), store=store)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Run:
    """A run folder, or a sweep's folder of them.

    Args:
        folder: where it is.
        store: where its artifacts are.
    """

    folder: Path
    store: Store

    @property
    def card(self) -> dict[str, Any]:
        """``run.json``: versions, keys, seeds, stamps, timings, citations.

        Raises:
            BdkError: this is the folder of a sweep, or of a run that failed.
        """
        path = self.folder / "run.json"
        if not path.is_file():
            rows = ", ".join(str(self.folder / name) for name in self.variants)
            what = "the folder of a sweep" if rows else "no folder of a finished run"
            raise BdkError(f"{self.folder} is {what}.", mend=f"Name one of its rows: {rows}." if rows else "")
        return json.loads(path.read_text())

    @property
    def spec(self) -> dict[str, Any]:
        """The resolved spec."""
        import tomllib

        return tomllib.loads((self.folder / "spec.toml").read_text())

    @property
    def variants(self) -> dict[str, Run]:
        """The rows of a sweep by name; empty for a single run."""
        found = sorted(p.parent for p in self.folder.rglob("run.json") if p.parent != self.folder)
        return {str(p.relative_to(self.folder)): Run(p, self.store) for p in found}

    @property
    def metrics(self) -> Any:
        """Scores as a data frame: one row a metric (and, for a sweep, a variant)."""
        import pandas as pd

        frames = [_frame(name, member.folder) for name, member in (self.variants or {"": self}).items()]
        return pd.concat(frames, ignore_index=True)

    def artifact(self, role: str) -> Artifact:
        """An artifact by its role, such as ``estimate.image``.

        Raises:
            BdkError: the run has no such step, or the store no longer holds it.
        """
        keys = self.card["keys"]
        if role not in keys:
            raise BdkError(f"This run has no step {role!r}.", mend=f"It has: {', '.join(keys)}.")
        return self.store.need(keys[role], role)

    @property
    def images(self) -> dict[str, Path]:
        """Path of each reconstruction by stimulus id."""
        return {path.stem: path for path in sorted((self.folder / "images").glob("*.png"))}


def _frame(name: str, folder: Path) -> Any:
    import pandas as pd

    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    return pd.DataFrame([{"variant": name, "metric": key, **entry} for key, entry in metrics.items()])


def load(folder: str | Path, *, store: str | Path | None = None) -> Run:
    """A run folder that ``bdk run`` wrote.

    Raises:
        BdkError: there is no run there.
    """
    path = Path(folder)
    if not any((path / name).is_file() for name in ("run.json", "table.csv", "metrics.json")):
        raise BdkError(f"{path} is no run folder.", mend="It should hold run.json or table.csv; see `bdk run --out`.")
    return Run(path, Store(store))
