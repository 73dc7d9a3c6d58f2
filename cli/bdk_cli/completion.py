"""Names for the shell's completion. They come from the registry, which imports no torch."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

TABLES = {"data": "datasets", "dataset": "datasets", "space": "spaces", "metric": "metrics", "spec": "specs"}


def complete_section(incomplete: str) -> list[str]:
    """Sections of ``bdk list``."""
    from bdk.components import FAMILIES

    return _fitting([*FAMILIES, "datasets", "spaces", "metrics", "specs"], incomplete)


def complete_name(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the family given before, for ``bdk show encoder <TAB>``."""
    return _fitting(names_of(str(context.params.get("family") or "")), incomplete)


def complete_family(incomplete: str) -> list[str]:
    """First word of ``bdk show``."""
    from bdk.components import FAMILIES

    return _fitting([*FAMILIES, "data", "space", "metric", "spec", "stage1", "stage2", "select", "measure"], incomplete)


def complete_cited(incomplete: str) -> list[str]:
    """Whatever ``bdk cite`` takes: parts, data sets, metrics, bundled specs."""
    from bdk.components import FAMILIES

    tables = (*FAMILIES, "data", "metric", "spec")
    return sorted({name for table in tables for name in _fitting(names_of(table), incomplete)})


def complete_spec(incomplete: str) -> list[str]:
    """Bundled specs, for ``bdk run <TAB>``; files are the shell's own business."""
    return _fitting(names_of("spec"), incomplete)


class SpecCommand(TyperCommand):
    """A command that takes spec options. They are taken out before Typer parses; only completion finds them here."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, and while a shell completes also ``--encoder`` and its like."""
        from bdk.spec.grammar import SECTIONS

        found: list[Any] = list(super().get_params(ctx))
        return [*found, *map(_option, SECTIONS)] if ctx.resilient_parsing else found


def _option(section: str) -> Any:
    """One spec option as Typer makes options."""

    def values(incomplete: str) -> list[str]:
        return complete_value(section, incomplete)

    def one(value: str = typer.Option("", f"--{section}", autocompletion=values)) -> None:
        pass

    maker = typer.Typer(add_completion=False)
    maker.command()(one)
    (option,) = typer.main.get_command(maker).params
    option.name = section
    return option


def complete_value(section: str, incomplete: str) -> list[str]:
    """Values of a spec option, for ``bdk run --encoder <TAB>``."""
    optional = ["none"] if section not in ("data", "encoder") else []
    return _fitting([*names_of(section), *optional], incomplete)


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
