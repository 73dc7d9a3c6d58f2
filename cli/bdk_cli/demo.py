"""``bdk demo``: the embedded demo world and the training of its shipped weights."""

from __future__ import annotations

import typer

demo = typer.Typer(help="The embedded demo world.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(demo, name="demo")
