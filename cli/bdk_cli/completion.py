"""Names for the shell's completion. They come from the registry, which imports no torch."""

from __future__ import annotations

import typer

TABLES = {"data": "datasets", "dataset": "datasets", "space": "spaces", "metric": "metrics", "spec": "specs"}


def complete_section(incomplete: str) -> list[str]:
    """Sections of ``bdk list``."""
    from bdk.components import FAMILIES

    return _fitting([*FAMILIES, "datasets", "spaces", "metrics", "specs"], incomplete)


def complete_name(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the family given before, for ``bdk show encoder <TAB>``."""
    return _fitting(names_of(str(context.params.get("family") or "")), incomplete)


def complete_spec(incomplete: str) -> list[str]:
    """Bundled specs, for ``bdk run <TAB>``; files are the shell's own business."""
    return _fitting(names_of("spec"), incomplete)


def complete_option(arguments: list[str], incomplete: str) -> list[str]:
    """Values of a spec option, for ``bdk run --encoder <TAB>``, and the options themselves.

    Args:
        arguments: the words before the one that is being typed.
        incomplete: the word that is being typed.
    """
    from bdk.spec.grammar import SECTIONS

    previous = arguments[-1].removeprefix("--").rpartition(".")[2] if arguments else ""
    if arguments and arguments[-1].startswith("--") and previous in SECTIONS:
        optional = ["none"] if previous not in ("data", "encoder") else []
        return _fitting([*names_of(previous), *optional], incomplete)
    return _fitting([f"--{section}" for section in SECTIONS], incomplete)


def names_of(family: str) -> list[str]:
    """Installed names of a family or a table; empty for an unknown one."""
    from bdk import registry
    from bdk.components import FAMILIES

    known = registry.load()
    if family in FAMILIES:
        return known.names(family)
    return sorted(getattr(known, TABLES[family])) if family in TABLES else []


def _fitting(words: list[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
