"""Checks of a plugin's door: what happens when it is imported, before any of its parts is used."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdk.discovery import HEAVY, Broken, Plugin
from bdk.errors import UnknownNameError
from bdk.registry import Registry
from bdk.testing.checking import Check, Violation, check

_LOOK = """
import importlib, json, sys
before = set(sys.modules)
faults = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except BaseException as error:
        faults[name] = f"{type(error).__name__}: {error}"
heavy = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
with open(sys.argv[3], "w") as out:
    json.dump({"heavy": heavy, "faults": faults}, out)
"""


@dataclass
class Package:
    """A plugin as it is installed.

    Args:
        distribution: with its version, or the file it was tried from.
        modules: what its entry points name, and where its config classes live; empty for a file.
        offers: every component, data set, metric and space of it.
        broken: entry points that could not be taken in.
    """

    distribution: str
    modules: tuple[str, ...]
    offers: list[Any] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    def __str__(self) -> str:
        return self.distribution


def find(known: Registry, name: str) -> Package:
    """The package of that distribution, entry point, module or file.

    Raises:
        UnknownNameError: nothing installed is called so.
    """
    match = [found for found in known.plugins if _plain(name) in _called(found)]
    if not match:
        words = sorted({found.distribution for found in known.plugins})
        raise UnknownNameError(f"No plugin is called {name!r}.", mend=f"Installed: {', '.join(words)}.")
    owner = match[0].distribution
    offers = [info for info in _all_offers(known) if _owner(known, info) == owner]
    doors = [found.module for found in known.plugins if found.distribution == owner and found.module]
    configs = sorted({info.config.partition(":")[0] for info in offers if doors and hasattr(info, "config")})
    broken = [fault for fault in known.broken if fault.distribution == owner]
    return Package(owner, tuple(dict.fromkeys([*doors, *configs])), offers, broken)


def _called(found: Plugin) -> set[str]:
    words = (found.entry_point, found.module, found.distribution, found.distribution.rpartition(" ")[0])
    return {_plain(word) for word in words if word}


def _plain(name: str) -> str:
    return name.replace("_", "-").lower()


def _all_offers(known: Registry) -> list[Any]:
    tables = (known.components, known.datasets, known.metrics, known.spaces)
    return [info for table in tables for info in table.values()]


def _owner(known: Registry, info: Any) -> str:
    return getattr(info, "distribution", "") or known.owners.get(("spaces", getattr(info, "id", "")), "")


def _broken_by(cause: str) -> Any:
    def run(package: Package) -> None:
        for fault in package.broken:
            if fault.cause == cause:
                raise Violation(f"entry point {fault.entry_point!r}: {fault.reason}\n{_last_lines(fault.trace)}")

    return run


def _last_lines(trace: str) -> str:
    return "\n".join(trace.strip().splitlines()[-4:])


def _claim(name: str, cause: str, meaning: str) -> Check:
    return Check(name, _broken_by(cause), meaning)


does_not_exit = _claim("does-not-exit", "exit", "Importing it does not end the process.")
imports = _claim("imports", "import", "Its entry points can be imported.")
api_window = _claim("api-version-fits", "api", "The version window `bdk_api` holds this version of the plugin API.")
hooks = _claim("hooks-return-descriptions", "offer", "Its hooks are known and return lists of what they should.")
names = _claim("names-are-free", "duplicate", "No name it offers is offered already.")


@check("offers-something", after=("imports", "does-not-exit", "api-version-fits", "hooks-return-descriptions"))
def offers_something(package: Package) -> None:
    """At least one part comes through its door."""
    if package.broken:
        return
    if not package.offers:
        raise Violation("no hook returned anything; is each marked with @hookimpl, and its list not empty?")


@functools.cache
def _look(modules: tuple[str, ...], path: tuple[str, ...]) -> dict[str, Any]:
    """Import modules in a fresh interpreter: what they print, and which heavy packages come with them."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        done = subprocess.run(
            [sys.executable, "-c", _LOOK, json.dumps(modules), json.dumps(HEAVY), str(out)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            timeout=300,
            check=False,
        )
        found = json.loads(out.read_text()) if out.exists() else {"heavy": [], "faults": {"": done.stderr[-400:]}}
    return {**found, "printed": done.stdout}


def _looked(package: Package) -> dict[str, Any]:
    return _look(package.modules, tuple(filter(None, sys.path)))


def _not_packaged(package: Package) -> str:
    return "" if package.modules else "it is not packaged, so only those who name it wait for it"


@check("prints-nothing", applies=_not_packaged)
def prints_nothing(package: Package) -> None:
    """Importing it prints nothing: output of the command may be read by a program."""
    printed = _looked(package)["printed"]
    if printed.strip():
        raise Violation(f"importing it prints {printed.strip()[:200]!r}")


@check("door-is-light", applies=_not_packaged)
def door_is_light(package: Package) -> None:
    """Entry points and config classes import no torch and nothing else that takes seconds."""
    heavy = _looked(package)["heavy"]
    if heavy:
        raise Violation(
            f"importing {', '.join(package.modules)} also imports {', '.join(heavy)}; "
            "name the class as a 'module:Class' string and keep it in another file"
        )


CHECKS = [does_not_exit, imports, api_window, hooks, names, offers_something, prints_nothing, door_is_light]
