"""The command ``bdk``: a thin layer over the kit. Importing it imports no torch."""

from __future__ import annotations

import importlib
import sys

import typer
from bdk.errors import BdkError

from bdk_cli.options import take_overrides

PARTS = (
    "run",
    "plan",
    "listing",
    "evaluate",
    "bundle",
    "data",
    "index",
    "weights",
    "imports",
    "plugin",
    "doctor",
    "demo",
)
"""Modules of this package that add their commands by ``register(app)``."""

app = typer.Typer(
    name="bdk",
    help="Assemble brain decoders from parts: encoder, prior, retriever, fusion, decoder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def common(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Options of every command."""


for _part in PARTS:
    importlib.import_module(f"bdk_cli.{_part}").register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a person's mistake is told without a traceback and exits with 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        kept, overrides = take_overrides(given)
        app(kept, prog_name="bdk", obj=overrides)
    except BdkError as error:
        if debug:
            raise
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
