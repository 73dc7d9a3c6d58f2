"""mkdocs hook: reference pages made from what is installed, so that they cannot disagree with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bdk import registry
from bdk.components import FAMILIES
from bdk.facts import facts_of
from bdk_cli.main import app
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """Add one page per family, one of data sets, and the command line's."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Generated pages by path."""
    known = registry.load()
    found = {f"reference/{family}.md": _family(known, family) for family in FAMILIES}
    found["reference/data.md"] = "# Data sets\n\n" + "\n".join(_part(info) for info in known.datasets.values())
    found["reference/command.md"] = command_line()
    return found


def _family(known: registry.Registry, family: str) -> str:
    parts = [known.component(family, name) for name in known.names(family)]
    head = {"fusion": "Fusion modules"}.get(family, f"{family.capitalize()}s")
    return f"# {head}\n\n" + "\n".join(_part(info) for info in parts)


def _part(info: Any) -> str:
    facts = facts_of(info)
    lines = [f"## {facts['name']}", "", facts["summary"] + ".", "", "```text", facts["about"].strip(), "```", ""]
    if facts["options"]:
        lines += ["| option | type | default | meaning |", "|---|---|---|---|", *map(_row, facts["options"]), ""]
    return "\n".join([*lines, "```text", facts["example"], "```", ""])


def _row(option: dict[str, str]) -> str:
    kind = " ".join(filter(None, [option["type"], option["bounds"]]))
    cells = [f"`{option['name']}`", kind, f"`{option['default']}`" if option["default"] else "must be given", option["meaning"]]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def command_line() -> str:
    """The command-line reference, from the commands' own help."""
    import typer

    root = typer.main.get_command(app)
    return "# The command line\n\n" + "\n".join(_commands(root, "bdk"))


def _commands(command: Any, path: str) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield f"## {path}\n\n{_prose(command.help)}\n"
        yield from _parameters(command)
    for name in sorted(inner):
        yield from _commands(inner[name], f"{path} {name}")


def _parameters(command: Any) -> Iterator[str]:
    rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        yield "\n".join(["| argument | meaning |", "|---|---|", *rows, ""])


def _parameter(parameter: Any) -> str:
    names = ", ".join(f"`{word}`" for word in parameter.opts) if parameter.param_type_name == "option" else parameter.name
    return f"| {names} | {_prose(getattr(parameter, 'help', '') or '')} |"


def _prose(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
