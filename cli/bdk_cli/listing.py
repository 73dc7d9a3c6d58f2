"""``bdk list``, ``bdk show`` and ``bdk cite``: what is installed. None of them imports torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from bdk_cli.completion import SpecCommand, complete_cited, complete_family, complete_name, complete_section

TABLES = ("datasets", "spaces", "metrics", "specs")
SETTINGS = {
    "stage1": "bdk.training.configs:Stage1",
    "stage2": "bdk.training.configs:Stage2",
    "select": "bdk.spec.models:Select",
    "measure": "bdk.spec.models:Measure",
}
"""Sections of a spec that are no parts, with the class of their options."""
Plugins = Annotated[list[str] | None, typer.Option("--plugin", help="A plugin file or module to try.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list")(list_parts)
    app.command("show")(show)
    app.command("cite", cls=SpecCommand)(cite)


def list_parts(
    section: Annotated[
        str, typer.Argument(help="A family, datasets, spaces, metrics or specs.", autocompletion=complete_section)
    ] = "",
    errors: Annotated[bool, typer.Option("--errors", help="Broken and slow plugins, with tracebacks.")] = False,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """List what is installed: encoders, priors, retrievers, fusion modules, decoders, data sets, spaces and so on."""
    from bdk import registry

    from bdk_cli import texts

    known = registry.load(plugin or ())
    sections = [_section(section)] if section else [*_families(), *TABLES]
    rows = {name: _rows(known, name) for name in sections}
    if as_json:
        facts: dict[str, Any] = {name: list(found) for name, found in rows.items()}
        facts |= {"broken": [vars(b) for b in known.broken], "notices": [vars(n) for n in known.notices]}
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    elif errors:
        typer.echo(texts.troubles(known))
    else:
        typer.echo(texts.listing(rows))
        if known.broken:
            typer.echo(texts.broken_line(known.broken), err=True)


def _families() -> tuple[str, ...]:
    from bdk.components import FAMILIES

    return FAMILIES


def _section(word: str) -> str:
    """The section a word means; ``encoders`` and ``dataset`` are understood too.

    Raises:
        UnknownNameError: none.
    """
    from bdk.errors import UnknownNameError

    known = [*_families(), *TABLES]
    aliases = {
        "data": "datasets",
        **{f"{name}s": name for name in known},
        **{name.removesuffix("s"): name for name in known},
    }
    found = word if word in known else aliases.get(word)
    if found is None:
        raise UnknownNameError(f"There is no section {word!r}.", mend=f"Sections: {', '.join(known)}.")
    return found


def _rows(known: Any, section: str) -> Iterable[dict[str, Any]]:
    if section in TABLES:
        return [_plain(item, key, known.owners[section, key]) for key, item in sorted(getattr(known, section).items())]
    parts = [known.component(section, name) for name in known.names(section)]
    return [_plain(info, info.name, info.distribution) for info in parts]


def _plain(item: Any, key: str, owner: str) -> dict[str, Any]:
    from bdk import facts
    from bdk.components import ComponentInfo

    row: dict[str, Any] = {"name": key, "summary": getattr(item, "summary", ""), "distribution": owner}
    if isinstance(item, ComponentInfo):
        row |= {"fit_mode": item.fit_mode, "version": item.version, "missing": facts.missing_packages(item)}
    elif hasattr(item, "tokens"):
        row |= {"summary": f"{item.tokens} x {item.dim} {item.modality}", "tokens": item.tokens, "dim": item.dim}
        row |= {"modality": item.modality, "norm": item.norm, "pooled": item.pooled, "stamp": item.stamp}
    elif hasattr(item, "direction"):
        row |= {"label": item.label, "direction": item.direction, "level": item.level, "unit": item.unit}
    return row


def show(
    family: Annotated[
        str,
        typer.Argument(
            help="encoder, prior, retriever, fusion, decoder, data, space, metric, spec; or stage1, ..",
            autocompletion=complete_family,
        ),
    ],
    name: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete_name)] = "",
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Show one part: what it is, its options with types, defaults and meaning, shapes, source, an example line."""
    from bdk import registry

    from bdk_cli import texts

    facts = _facts(registry.load(plugin or ()), family, name)
    typer.echo(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else texts.shown(facts))


def _facts(known: Any, family: str, name: str) -> dict[str, Any]:
    from bdk import facts

    if family in SETTINGS:
        return _settings_facts(family)
    section = _section(family)
    if section == "datasets":
        return {"family": "data", **facts.facts_of(known.dataset(name))}
    if section in TABLES:
        item = getattr(known, section.removesuffix("s"))(name)
        plain = {key: value for key, value in vars(item).items() if key not in ("distribution", "options")}
        plain |= {"backbone options": dict(item.options)} if hasattr(item, "options") else {}
        return {"family": section.removesuffix("s"), "name": name, "distribution": known.owners[section, name], **plain}
    return facts.facts_of(known.component(section, name))


def _settings_facts(section: str) -> dict[str, Any]:
    from dataclasses import asdict

    from bdk import facts
    from bdk.registry import resolve

    kind = resolve(SETTINGS[section])
    options = facts.options_of(kind)
    first = next(option for option in options if option.default)
    return {
        "family": section,
        "name": "",
        "summary": (kind.__doc__ or "").strip(),
        "distribution": "",
        "options": [asdict(option) for option in options],
        "example": f"bdk run --{section}.{first.name} {first.default.strip(chr(34))}",
    }


def cite(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(help="Parts, data sets, metrics, bundled specs or TOML files.", autocompletion=complete_cited),
    ],
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Print BibTeX of the parts named, or of all the parts that a spec uses."""
    from bdk import registry

    known = registry.load(plugin or ())
    keys: dict[str, None] = {}
    for name in names:
        keys |= dict.fromkeys(_keys(known, name, context.obj or []))
    entries = {key: known.citations.get(key, "") for key in keys}
    if as_json:
        typer.echo(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    for key, entry in entries.items():
        typer.echo(entry or f"% {key}: no package hands in its BibTeX")
    if not entries:
        typer.echo(f"{', '.join(names)}: nothing to cite beyond bdk itself.", err=True)


def _keys(known: Any, name: str, overrides: list[tuple[str, str]]) -> list[str]:
    """Citation keys of whatever is called so: parts of any family first, then specs."""
    infos = cited_infos(known, name)
    if infos:
        return [key for info in infos for key in info.cite]
    from bdk.report.references import citation_keys
    from bdk.spec import load

    return citation_keys(load(name, known, overrides=overrides).runs, known)


def cited_infos(known: Any, name: str) -> list[Any]:
    """Components, data sets and metrics of that name."""
    parts = [info for (_, part), info in known.components.items() if part == name]
    return parts + [table[name] for table in (known.datasets, known.metrics) if name in table]
