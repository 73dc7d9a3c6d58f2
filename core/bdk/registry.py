"""Finds what is installed: entry points one by one, parts by (family, name), near names for typos."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.metadata
import importlib.util
import io
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from bdk import hookspecs
from bdk.components import FAMILIES, ComponentInfo, Config, DatasetInfo, MetricInfo, SpecInfo
from bdk.errors import BdkError, MissingExtraError, PluginError, UnknownNameError
from bdk.spaces import Space

ENTRY_POINT_GROUP = "bdk"
OWN = "brain-decoding-kit"
HEAVY = ("torch", "timm", "open_clip", "diffusers", "faiss", "torchmetrics", "transformers")
"""Packages that no plugin may import at its door: each takes seconds, and every command would pay for it."""
SLOW = 1.0
"""Seconds of import from which a plugin is named as slow."""


@dataclass(frozen=True)
class Plugin:
    """One entry point, or one file or module that was tried without packaging; sound or broken.

    Args:
        distribution: who offers it, with its version.
        entry_point: its name in the entry-point group, or the file or module.
        module: what is imported; empty for a file.
    """

    distribution: str
    entry_point: str
    module: str = ""


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be taken in, and why.

    Args:
        distribution: who offers it, with its version.
        entry_point: its name in the entry-point group, or the file or module it was tried from.
        reason: one line.
        trace: the traceback.
        cause: ``import`` (its module raises), ``exit`` (its module ends the process), ``api`` (it wants another
            version of the hooks), ``offer`` (its hooks return what they may not) or ``duplicate`` (a name is taken).
    """

    distribution: str
    entry_point: str
    reason: str
    trace: str = ""
    cause: Literal["import", "exit", "api", "offer", "duplicate"] = "import"


@dataclass(frozen=True)
class Notice:
    """A plugin that works, but makes itself felt while it is imported: ``slow``, ``noisy`` or ``heavy``."""

    distribution: str
    entry_point: str
    kind: Literal["slow", "noisy", "heavy"]
    what: str


@dataclass
class Registry:
    """Everything on offer, by name."""

    components: dict[tuple[str, str], ComponentInfo] = field(default_factory=dict)
    datasets: dict[str, DatasetInfo] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    metrics: dict[str, MetricInfo] = field(default_factory=dict)
    specs: dict[str, SpecInfo] = field(default_factory=dict)
    citations: dict[str, str] = field(default_factory=dict)
    plugins: list[Plugin] = field(default_factory=list)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def names(self, family: str) -> list[str]:
        """Names on offer in one family, sorted."""
        if family not in FAMILIES:
            raise UnknownNameError(f"There is no family {family!r}.", mend=f"Families: {', '.join(FAMILIES)}.")
        return sorted(name for fam, name in self.components if fam == family)

    def component(self, family: str, name: str, *, where: str = "") -> ComponentInfo:
        """The part of that name.

        Raises:
            UnknownNameError: nothing offers it; near names and broken plugins are named.
        """
        if (family, name) not in self.components:
            raise self._unknown(family, name, self.names(family), where)
        return self.components[family, name]

    def dataset(self, name: str, *, where: str = "") -> DatasetInfo:
        """The data set of that name."""
        return self._find("data set", self.datasets, name, where)

    def space(self, id: str, *, where: str = "") -> Space:
        """The space of that id."""
        return self._find("space", self.spaces, id, where)

    def metric(self, name: str, *, where: str = "") -> MetricInfo:
        """The metric of that name."""
        return self._find("metric", self.metrics, name, where)

    def spec(self, name: str, *, where: str = "") -> SpecInfo:
        """The bundled spec of that name."""
        return self._find("bundled spec", self.specs, name, where)

    def _find(self, noun: str, table: dict[str, Any], name: str, where: str) -> Any:
        if name not in table:
            raise self._unknown(noun, name, sorted(table), where)
        return table[name]

    def _unknown(self, noun: str, name: str, known: list[str], where: str) -> UnknownNameError:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        broken = "".join(f"\n(plugin {b.distribution} is broken: {b.reason})" for b in self.broken)
        return UnknownNameError(
            f"There is no {noun} {name!r}.", where=where, mend=f"{hint}Known: {', '.join(known) or 'none'}.{broken}"
        )


def resolve(target: str, *, owner: str = "", requires: Iterable[tuple[str, str]] = ()) -> Any:
    """Import the object that a ``module:Name`` target names.

    Raises:
        MissingExtraError: an optional package of ``requires`` is not installed.
        PluginError: the module fails to import or has no such name; the owner is named.
    """
    for package, extra in requires:
        if importlib.util.find_spec(package) is None:
            mend = f'pip install "brain-decoding-kit[{extra}]"' if " " not in extra else extra
            raise MissingExtraError(f"{target} needs the package {package!r}.", where=owner, mend=mend)
    module_name, _, name = target.partition(":")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return getattr(importlib.import_module(module_name), name)
    except BdkError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{target} cannot be loaded: {type(error).__name__}: {error}",
            where=f"plugin {owner}" if owner else "",
            mend="Repair or uninstall that package, or install what it needs; `bdk plugin check` shows more.",
        ) from error


def config_class(info: ComponentInfo | DatasetInfo) -> type[Config]:
    """The options class of a part."""
    return resolve(info.config, owner=owner_of(info))


def build(info: ComponentInfo, config: Config, context: object) -> Any:
    """Make a component: ``Target(config, context)``. What it returns later is held to its contract, see
    `bdk.contracts`; what it prints goes to stderr.

    Raises:
        PluginError: its constructor failed; plugin, distribution and version are named.
    """
    target = resolve(info.target, owner=owner_of(info), requires=info.requires)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            made = target(config, context)
    except BdkError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{info.family} {info.name!r} cannot be built: {type(error).__name__}: {error}", where=owner_of(info)
        ) from error
    return importlib.import_module("bdk.contracts").watched(made, info, context)


def owner_of(info: Any) -> str:
    """``distribution version`` of whoever offers a part."""
    return info.distribution or "an unpackaged plugin"


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Keep what a plugin prints while it is imported out of our own output; yields what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


def load(extra: Iterable[str] = ()) -> Registry:
    """Everything installed, plus plugin files or modules named in ``extra`` and in ``BDK_PLUGINS``.

    ``BDK_DISABLE_PLUGINS`` (distribution or entry-point names, comma separated; ``all`` for every foreign one) is
    honoured. With ``BDK_STRICT_PLUGINS=1`` a broken plugin is an error instead of an entry in ``broken``. Loading is
    done once per process for a given set of extras.

    Raises:
        PluginError: a plugin is broken, and ``BDK_STRICT_PLUGINS`` is set.
    """
    named = [*extra, *filter(None, os.environ.get("BDK_PLUGINS", "").split(os.pathsep))]
    strict = os.environ.get("BDK_STRICT_PLUGINS", "") not in ("", "0")
    return _load(tuple(dict.fromkeys(named)), os.environ.get("BDK_DISABLE_PLUGINS", ""), strict)


def forget() -> None:
    """Forget what was loaded, so that the next `load` sees packages that were installed meanwhile."""
    _load.cache_clear()
    importlib.invalidate_caches()


@cache
def _load(extra: tuple[str, ...], disabled: str, strict: bool) -> Registry:
    registry = Registry()
    off = {name.strip() for name in disabled.split(",") if name.strip()}
    for point, distribution, version in _points():
        if distribution in off or point.name in off or ("all" in off and distribution != OWN):
            continue
        _take(registry, Plugin(f"{distribution} {version}", point.name, point.module), point.load)
    for name in extra:
        _take(registry, Plugin(f"{name} (not packaged)", name), lambda name=name: _import_extra(name))
    if strict and registry.broken:
        first = registry.broken[0]
        raise PluginError(
            f"Plugin {first.entry_point!r} is broken: {first.reason}",
            where=first.distribution,
            mend="Repair or uninstall it, or unset BDK_STRICT_PLUGINS.",
        )
    return registry


def _points() -> list[tuple[importlib.metadata.EntryPoint, str, str]]:
    """Entry points with distribution and version, our own first. Each distribution's metadata is read once."""
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    distributions = {id(point.dist): point.dist.metadata for point in points if point.dist}
    named = {key: (metadata["Name"], metadata["Version"]) for key, metadata in distributions.items()}
    found = [(point, *named.get(id(point.dist), ("unknown", ""))) for point in points]
    return sorted(found, key=lambda entry: (entry[1] != OWN, entry[1], entry[0].name))


def _import_extra(name: str) -> ModuleType:
    path = Path(name)
    if path.suffix != ".py":
        return importlib.import_module(name)
    if not path.is_file():
        raise PluginError(f"There is no plugin file {name}.", mend="--plugin takes a .py file or a module name.")
    module_name = f"bdk_plugin_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(module_name, path)
    assert module_spec and module_spec.loader
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    module_spec.loader.exec_module(module)
    return module


def _take(registry: Registry, found: Plugin, importer: Any) -> None:
    """Take one plugin in whole, or not at all."""
    registry.plugins.append(found)
    cause: Any = "import"
    before, started = set(sys.modules), time.perf_counter()
    try:
        with _quiet() as said:
            plugin = importer()
            cause = "api"
            _check_api(plugin)
            cause = "offer"
            offers = _offers(plugin)
        cause = "duplicate"
        _check_unique(registry, offers, found.distribution)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - nothing that a stranger's package does may end the command
        cause = "exit" if isinstance(error, SystemExit) else cause
        reason = error.what if isinstance(error, BdkError) else f"{type(error).__name__}: {error}"
        registry.broken.append(Broken(found.distribution, found.entry_point, reason, traceback.format_exc(), cause))
        return
    took, heavy = time.perf_counter() - started, [package for package in HEAVY if package in set(sys.modules) - before]
    registry.notices += _notices(found, said.getvalue(), took, heavy)
    for kind, key, value in offers:
        registry.owners[kind, str(key)] = found.distribution
        getattr(registry, kind)[key] = (
            replace(value, distribution=found.distribution) if hasattr(value, "distribution") else value
        )


def _notices(found: Plugin, said: str, took: float, heavy: list[str]) -> Iterator[Notice]:
    distribution, name = found.distribution, found.entry_point
    if heavy and found.module:
        yield Notice(
            distribution, name, "heavy", f"imports {', '.join(heavy)} at its door, so every command waits for it"
        )
    elif took >= SLOW:
        yield Notice(distribution, name, "slow", f"took {took:.1f} s to import")
    if said.strip():
        yield Notice(distribution, name, "noisy", f"prints while it is imported: {said.strip()[:200]!r}")


def _check_api(plugin: Any) -> None:
    window = getattr(plugin, "bdk_api", None)
    if window is None:
        return
    try:
        fits = Version(hookspecs.API_VERSION) in SpecifierSet(window)
    except InvalidSpecifier as error:
        raise PluginError(f"It states an unreadable bdk_api: {window!r}.") from error
    if not fits:
        raise PluginError(f"It wants plugin API {window}; this is {hookspecs.API_VERSION}.")


def _offers(plugin: Any) -> list[tuple[str, Any, Any]]:
    """What one plugin's hooks return, as (table, key, value); each hook is called on it alone."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()  # a misspelt hook would otherwise offer nothing, in silence
    offers: list[tuple[str, Any, Any]] = []
    offers += [("components", (i.family, i.name), i) for i in _call(manager, "bdk_components", ComponentInfo)]
    offers += [("datasets", i.name, i) for i in _call(manager, "bdk_datasets", DatasetInfo)]
    offers += [("spaces", i.id, i) for i in _call(manager, "bdk_spaces", Space)]
    offers += [("metrics", i.name, i) for i in _call(manager, "bdk_metrics", MetricInfo)]
    offers += [("specs", i.name, i) for i in _call(manager, "bdk_specs", SpecInfo)]
    offers += [("citations", key, text) for entries in manager.hook.bdk_citations() for key, text in entries.items()]
    return offers


def _call(manager: pluggy.PluginManager, hook: str, kind: type) -> list[Any]:
    return [_typed(item, hook, kind) for items in getattr(manager.hook, hook)() for item in items]


def _typed(item: Any, hook: str, kind: type) -> Any:
    if not isinstance(item, kind):
        raise PluginError(f"Its hook {hook} returns {type(item).__name__} where {kind.__name__} is expected.")
    if isinstance(item, ComponentInfo) and item.family not in FAMILIES:
        raise PluginError(f"It offers {item.name!r} for a family {item.family!r}; families: {', '.join(FAMILIES)}.")
    return item


def _check_unique(registry: Registry, offers: list[tuple[str, Any, Any]], distribution: str) -> None:
    mine: set[tuple[str, Any]] = set()
    for kind, key, _ in offers:
        label = " ".join(key) if isinstance(key, tuple) else key
        if (kind, key) in mine:
            raise PluginError(f"{kind[:-1]} {label!r} is offered twice by {distribution}.")
        if kind != "citations" and key in getattr(registry, kind):
            raise PluginError(
                f"{kind[:-1]} {label!r} is offered twice: by {registry.owners[kind, str(key)]} and by {distribution}."
            )
        mine.add((kind, key))
