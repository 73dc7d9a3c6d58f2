"""What `bdk list` and `bdk show` print: plain text in columns, so that nothing needs to be loaded for it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from bdk.facts import AXES
from bdk.registry import OWN

UNBROKEN = "\N{NO-BREAK SPACE}"
"""Where a line must not end; printed as a space."""
HEADINGS = {"datasets": "data sets", "fusion": "fusion modules", "specs": "bundled specs"}


def listing(sections: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    """Every section: name, summary, and who offers it if it is not built in."""
    blocks = []
    for section, rows in sections.items():
        heading = HEADINGS.get(section) or (section if section.endswith("s") else f"{section}s")
        table = [(row["name"], row["summary"] + _remarks(row)) for row in rows] or [("none", "")]
        blocks.append(f"{heading}\n{columns(table)}")
    return "\n\n".join(blocks)


def _remarks(row: Mapping[str, Any]) -> str:
    foreign = row["distribution"] and not row["distribution"].startswith(f"{OWN} ")
    found = [f"[{row['distribution'].replace(' ', UNBROKEN)}]"] if foreign else []
    found += [f"[needs {line}]" for line in row.get("missing", ())]
    return "".join(f"  {remark}" for remark in found)


def columns(rows: Iterable[tuple[str, str]], indent: str = "  ") -> str:
    """Two columns, the second wrapped at the terminal's width."""
    rows = list(rows)
    left = min(max(len(first) for first, _ in rows), 34) + 2
    lines = []
    for first, second in rows:
        room = max(_width() - len(indent) - left, 30)
        wrapped = textwrap.wrap(second, room, break_on_hyphens=False) or [""]
        if len(first) >= left:
            lines.append(f"{indent}{first}")
            first = ""
        lines += [f"{indent}{first if n == 0 else '':<{left}}{line}".rstrip() for n, line in enumerate(wrapped)]
    return "\n".join(lines).replace(UNBROKEN, " ")


def _width() -> int:
    return min(shutil.get_terminal_size((120, 24)).columns, 160)


def broken_line(broken: Iterable[Any]) -> str:
    """One line for all broken plugins."""
    named = "; ".join(f"{fault.distribution} ({fault.reason.splitlines()[0]})" for fault in broken)
    return f"\nBroken plugins, left out: {named}\n`bdk list --errors` shows the tracebacks."


def troubles(known: Any) -> str:
    """Broken plugins with their tracebacks, and those that slow the command down or print."""
    blocks = [
        f"{fault.distribution}, entry point {fault.entry_point!r} ({fault.cause}): {fault.reason}\n\n"
        + textwrap.indent(fault.trace.rstrip(), "    ")
        for fault in known.broken
    ]
    blocks += [
        f"{note.distribution}, entry point {note.entry_point!r} ({note.kind}): {note.what}" for note in known.notices
    ]
    return "\n\n".join(blocks) or f"All {len(known.plugins)} plugins are in order."


def shown(facts: Mapping[str, Any]) -> str:
    """One part in full."""
    blocks = [_head(facts)]
    if facts.get("about"):
        blocks.append(textwrap.indent(facts["about"], "  "))
    if facts.get("shapes"):
        blocks.append("shapes\n" + "\n".join(f"  {line}" for line in facts["shapes"]) + f"\n  {AXES}")
    if "options" in facts:
        blocks.append("options\n" + (_options(facts["options"]) if facts["options"] else "  none"))
    plain = {key: value for key, value in facts.items() if key not in _TOLD and value not in ("", (), [], {})}
    if plain:
        blocks.append(columns((key, str(value)) for key, value in plain.items()))
    if facts.get("example"):
        blocks.append(f"example\n  {facts['example']}")
    return "\n\n".join(blocks)


_TOLD = {"family", "name", "summary", "distribution", "version", "about", "source", "shapes", "options", "example"}
_TOLD |= {"fit_mode", "cite", "target", "config", "missing", "id"}


def _head(facts: Mapping[str, Any]) -> str:
    title = f"{facts['family']} {facts['name']}".strip()
    lines = [f"{title}: {facts['summary']}" if facts.get("summary") else title]
    rows = [("from", facts["distribution"]), ("cite", ", ".join(facts.get("cite", ())))]
    if "Source:" not in facts.get("about", ""):
        rows += [("source", facts.get("source", ""))]
    rows += [("fitted", _FIT.get(facts.get("fit_mode", ""), "")), ("needs", ", ".join(facts.get("missing", ())))]
    told = [(label, text) for label, text in rows if text]
    return "\n".join([*lines, columns(told)] if told else lines)


_FIT = {"none": "nothing to fit", "closed_form": "in closed form", "gradient": "by gradient descent"}


def _options(options: Iterable[Mapping[str, str]]) -> str:
    blocks = []
    for option in options:
        words = ", ".join(filter(None, (option["type"], option["bounds"])))
        default = f"default {option['default']}" if option["default"] else "must be given"
        quick = f", {option['quick']} with --quick" if option["quick"] else ""
        head = f"  {option['name']} ({words}; {default}{quick})"
        meaning = textwrap.fill(option["meaning"], _width(), initial_indent="      ", subsequent_indent="      ")
        blocks.append(f"{head}\n{meaning}")
    return "\n".join(blocks)
