"""The command ``bdk``: a thin layer over the kit. Importing it imports no torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import typer
from bdk.errors import BdkError

from bdk_cli.options import take_overrides

if TYPE_CHECKING:
    app: typer.Typer

PARTS = {
    "run": ("run",),
    "plan": ("plan",),
    "listing": ("list", "show", "cite"),
    "evaluate": ("eval",),
    "bundle": ("diff", "export", "reproduce"),
    "data": ("data",),
    "index": ("index",),
    "weights": ("weights",),
    "imports": ("import",),
    "plugin": ("plugin",),
    "doctor": ("doctor",),
    "demo": ("demo",),
}
"""Modules of this package that add commands by ``register(app)``, and the commands of each."""


def assemble(parts: Iterable[str] = PARTS) -> typer.Typer:
    """The command with the commands of these modules."""
    made = typer.Typer(
        name="bdk",
        help="Assemble brain decoders from parts: encoder, prior, retriever, fusion, decoder.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(common)
    for part in parts:
        importlib.import_module(f"bdk_cli.{part}").register(made)
    return made


def common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Options of every command."""


def needed(arguments: Iterable[str]) -> list[str]:
    """Modules that a line asks for: that of its command; all of them if it names none, for help and near names."""
    first = next((word for word in arguments if not word.startswith("-")), "")
    return [part for part, commands in PARTS.items() if first in commands] or list(PARTS)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a person's mistake is told without a traceback and exits with 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        kept, overrides = take_overrides(given)
        assemble(needed(kept))(kept, prog_name="bdk", obj=overrides)
    except BdkError as error:
        if debug:
            raise
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None


@cache
def _whole() -> typer.Typer:
    return assemble()


def __getattr__(name: str) -> Any:
    """``app``: the command with all of its commands, put together when first asked for."""
    if name != "app":
        raise AttributeError(f"module 'bdk_cli.main' has no attribute {name!r}")
    return _whole()


if __name__ == "__main__":
    main()
