"""Finds plugins and takes them in, one by one: what they offer, or why they could not be used. Imports no torch."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from bdk import hookspecs
from bdk.components import FAMILIES, ComponentInfo, DatasetInfo, MetricInfo, SpecInfo
from bdk.errors import BdkError, PluginError
from bdk.spaces import Space

ENTRY_POINT_GROUP = "bdk"
OWN = "brain-decoding-kit"
HEAVY = ("torch", "timm", "open_clip", "diffusers", "faiss", "torchmetrics", "transformers")
"""Packages that no plugin may import at its door: each takes seconds, and every command would pay for it."""
SLOW = 1.0
"""Seconds of import from which a plugin is named as slow."""
CURRENT = ">=1,<2"
"""The window that holds `hookspecs.API_VERSION` and that plugins state; it is known without parsing versions."""
Offer = tuple[str, Any, Any]
"""(table of the registry, key in it, what is offered)."""


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


@dataclass(frozen=True)
class Taken:
    """What came of one plugin: its offers, or why there are none."""

    plugin: Plugin
    offers: tuple[Offer, ...] = ()
    notices: tuple[Notice, ...] = ()
    broken: Broken | None = None


def installed() -> Iterator[tuple[Plugin, Callable[[], Any]]]:
    """Plugins of the installed distributions, our own first, each with what imports it. Nothing is imported here."""
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    named = {id(point.dist): _name_and_version(point.dist) for point in points if point.dist}
    found = [(point, *named.get(id(point.dist), ("unknown", ""))) for point in points]
    for point, name, version in sorted(found, key=lambda entry: (entry[1] != OWN, entry[1], entry[0].name)):
        yield Plugin(f"{name} {version}", point.name, point.module), point.load


def _name_and_version(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """From the head of its metadata; parsing all of it, description included, takes as long as a whole command."""
    head = (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").partition("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.splitlines() if line.startswith(("Name: ", "Version: ")))
    return fields.get("Name", "unknown"), fields.get("Version", "")


def named(name: str) -> tuple[Plugin, Callable[[], Any]]:
    """A plugin file or module that is tried without packaging it."""
    return Plugin(f"{name} (not packaged)", name), lambda: _import_named(name)


def _import_named(name: str) -> ModuleType:
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


def take(found: Plugin, importer: Callable[[], Any], check: Callable[[list[Offer]], None]) -> Taken:
    """Import one plugin and ask its hooks; whatever goes wrong is noted, and only an interrupt is passed on.

    Args:
        found: which.
        importer: imports it.
        check: raises `PluginError` if its offers may not be taken.
    """
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
        check(offers)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - nothing that a stranger's package does may end the command
        cause = "exit" if isinstance(error, SystemExit) else cause
        reason = error.what if isinstance(error, BdkError) else f"{type(error).__name__}: {error}"
        return Taken(found, broken=Broken(found.distribution, found.entry_point, reason, traceback.format_exc(), cause))
    took, heavy = time.perf_counter() - started, [package for package in HEAVY if package in set(sys.modules) - before]
    return Taken(found, tuple(offers), tuple(_notices(found, said.getvalue(), took, heavy)))


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Keep what a plugin prints while it is imported out of our own output; yields what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


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
    if window is None or window == CURRENT:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(window).contains(hookspecs.API_VERSION)
    except (InvalidSpecifier, TypeError, AttributeError) as error:
        raise PluginError(f"It states an unreadable bdk_api: {window!r}.") from error
    if not fits:
        raise PluginError(f"It wants plugin API {window}; this is {hookspecs.API_VERSION}.")


def _offers(plugin: Any) -> list[Offer]:
    """What one plugin's hooks return, as (table, key, value); each hook is called on it alone."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()  # a misspelt hook would otherwise offer nothing, in silence
    offers: list[Offer] = []
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
