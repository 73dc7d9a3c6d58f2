"""The command line's reference page, from the very objects that print ``--help``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def command_line() -> str:
    """The page, a heading for every command."""
    head = "# The command line\n\n```\nbdk --help\n```\n\nEvery command prints its own help with `--help`.\n"
    return "\n".join([head, *(_command(path, command) for path, command in commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it."""
    import typer
    from bdk_cli.main import app

    yield from _below("bdk", typer.main.get_command(app))


def _below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in sorted(inner):
        yield from _below(f"{path} {name}", inner[name])


def _command(path: str, command: Any) -> str:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    words = [_word(parameter) for parameter in shown if parameter.param_type_name == "argument"]
    usage = " ".join([path, *words, "[OPTIONS]"])
    blocks = [f"## {path}", f"```\n{usage}\n```", _text(command.help)]
    rows = [_row(parameter) for parameter in shown if parameter.name != "help"]
    blocks += ["\n".join(["| argument | default | meaning |", "|---|---|---|", *rows])] if rows else []
    return "\n\n".join(blocks) + "\n"


def _word(parameter: Any) -> str:
    word = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return word if parameter.required else f"[{word}]"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    else:
        names = ", ".join(f"`{word}`" for word in [*parameter.opts, *parameter.secondary_opts])
    return f"| {names} | {_default(parameter)} | {cell(getattr(parameter, 'help', ''))} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    default = "" if callable(parameter.default) else parameter.default
    return "" if default is None or default is False or not str(default) else f"`{default}`"


def _text(text: str | None) -> str:
    """Paragraphs as they are written."""
    return "\n\n".join(cell(part).replace("\\|", "|") for part in (text or "").split("\n\n"))


def cell(text: str | None) -> str:
    """Text on one line that is safe in a table's cell; what stands in backticks is left alone."""
    pieces = re.split(r"(`+[^`]+`+)", " ".join((text or "").split()))
    plain = [piece.replace("|", "\\|").replace("<", "&lt;") for piece in pieces[::2]]
    return "".join(piece for pair in zip(plain, [*pieces[1::2], ""], strict=True) for piece in pair)
