"""Spec options on the command line, taken out before Typer parses: ``--encoder.depth 4`` is no option of Typer's."""

from __future__ import annotations

from bdk.errors import SpecError
from bdk.spec.grammar import OVERRIDABLE

COMMANDS = ("run", "plan", "cite", "doctor")
"""Commands that take spec options."""


def take_overrides(arguments: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Split arguments into those for Typer and the spec options, as (dotted key, text).

    Raises:
        SpecError: a spec option without a value.
    """
    if not any(command in arguments[:3] for command in COMMANDS):
        return arguments, []
    kept: list[str] = []
    overrides: list[tuple[str, str]] = []
    rest = iter(arguments)
    for argument in rest:
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or key.split(".")[0] not in OVERRIDABLE:
            kept.append(argument)
            continue
        if not equals:
            value = next(rest, "--")
        if value.startswith("--"):
            raise SpecError(f"--{key} needs a value.", mend=f"Write --{key} VALUE.")
        overrides.append((key, value))
    return kept, overrides
