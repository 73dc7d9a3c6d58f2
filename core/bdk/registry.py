"""What is installed: parts by (family, name), near names for typos, and how a part is built."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from bdk import discovery
from bdk.components import FAMILIES, ComponentInfo, DatasetInfo, MetricInfo, SpecInfo
from bdk.discovery import OWN, Broken, Notice, Offer, Plugin, Taken
from bdk.errors import BdkError, MissingExtraError, PluginError, UnknownNameError
from bdk.spaces import Space

if TYPE_CHECKING:
    from bdk.options import Config

__all__ = ["OWN", "Registry", "build", "config_class", "forget", "load", "owner_of", "resolve"]


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

    def require_free(self, plugin: Plugin) -> Callable[[list[Offer]], None]:
        """A check of a plugin's offers: `PluginError` if a name of them stands twice, or is taken."""

        def check(offers: list[Offer]) -> None:
            mine: set[tuple[str, Any]] = set()
            for kind, key, _ in offers:
                noun = f"{kind[:-1]} {' '.join(key) if isinstance(key, tuple) else key!r}"
                if (kind, key) in mine:
                    raise PluginError(f"{noun} is offered twice by {plugin.distribution}.")
                if kind != "citations" and key in getattr(self, kind):
                    first = self.owners[kind, str(key)]
                    raise PluginError(f"{noun} is offered twice: by {first} and by {plugin.distribution}.")
                mine.add((kind, key))

        return check

    def take(self, taken: Taken) -> None:
        """Add what came of one plugin."""
        self.plugins.append(taken.plugin)
        self.notices += taken.notices
        self.broken += [taken.broken] if taken.broken else []
        owner = taken.plugin.distribution
        for kind, key, value in taken.offers:
            self.owners[kind, str(key)] = owner
            getattr(self, kind)[key] = replace(value, distribution=owner) if hasattr(value, "distribution") else value

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
    for plugin, importer in (*discovery.installed(), *map(discovery.named, extra)):
        distribution = plugin.distribution.rpartition(" ")[0]
        if plugin.module and (off & {distribution, plugin.entry_point} or ("all" in off and distribution != OWN)):
            continue
        registry.take(discovery.take(plugin, importer, registry.require_free(plugin)))
    if strict and registry.broken:
        first = registry.broken[0]
        raise PluginError(
            f"Plugin {first.entry_point!r} is broken: {first.reason}",
            where=first.distribution,
            mend="Repair or uninstall it, or unset BDK_STRICT_PLUGINS.",
        )
    return registry
