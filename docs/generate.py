"""mkdocs hook: reference pages made from what is installed, so that they cannot disagree with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdk import registry
from bdk.components import FAMILIES
from bdk.facts import AXES, facts_of, options_of
from bdk.registry import OWN, Registry, resolve
from bdk_cli.listing import SETTINGS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

sys.path.insert(0, str(Path(__file__).parent))

from generate_commands import cell, command_line

HEADS = {"fusion": "Fusion modules", "data": "Data sets"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the navigation, behind those of ``mkdocs.yml``."""
    assert config.nav is not None
    config.nav = [*config.nav, {"Reference": navigation(_built_in())}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages(_built_in()).items():
        files.append(File.generated(config, path, content=text))
    return files


def _built_in() -> Registry:
    """What bdk itself offers: a stranger's package that happens to be installed has docs of its own."""
    known = registry.load()
    own = Registry(spaces=known.spaces, metrics=known.metrics, specs=known.specs, citations=known.citations)
    own.owners = known.owners
    own.components = {key: info for key, info in known.components.items() if _is_own(info)}
    own.datasets = {key: info for key, info in known.datasets.items() if _is_own(info)}
    return own


def _is_own(info: Any) -> bool:
    return info.distribution.startswith(f"{OWN} ")


def pages(known: Registry) -> dict[str, str]:
    """Generated pages by path: one per part, one per family, settings, tables and the command line."""
    found = {"reference/command.md": command_line(), "reference/settings.md": _settings()}
    found["reference/lists.md"] = _lists(known)
    for section, parts in _sections(known).items():
        found[f"reference/{section}/index.md"] = _overview(section, parts)
        found |= {f"reference/{section}/{info.name}.md": _part(info, known) for info in parts}
    return found


def navigation(known: Registry) -> list[dict[str, Any]]:
    """The reference's part of the navigation."""
    nav: list[dict[str, Any]] = [{"The command line": "reference/command.md"}]
    for section, parts in _sections(known).items():
        inner: list[Any] = [f"reference/{section}/index.md"]
        nav.append({_head(section): inner + [{info.name: f"reference/{section}/{info.name}.md"} for info in parts]})
    rest = {"Training, selection, measuring": "settings", "Spaces, metrics, specs": "lists"}
    return nav + [{title: f"reference/{name}.md"} for title, name in rest.items()]


def _sections(known: Registry) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        family: [known.component(family, name) for name in known.names(family)] for family in FAMILIES
    }
    return {**found, "data": [known.datasets[name] for name in sorted(known.datasets)]}


def _head(section: str) -> str:
    return HEADS.get(section, f"{section.capitalize()}s")


def _overview(section: str, parts: list[Any]) -> str:
    rows = [f"| [{info.name}]({info.name}.md) | {cell(info.summary)} |" for info in parts]
    word = "datasets" if section == "data" else section
    return "\n".join(
        [f"# {_head(section)}", "", fence(f"bdk list {word}"), "", "| name | is |", "|---|---|", *rows, ""]
    )


def _part(info: Any, known: Registry) -> str:
    facts = facts_of(info)
    blocks = [f"# {facts['name']}", fence(facts["example"]), _sentence(facts["summary"]), *_about(facts["about"])]
    if facts.get("shapes"):
        blocks += ["## Shapes", fence("\n".join(facts["shapes"]), "text"), f"{AXES}."]
    blocks += ["## Options", option_table(facts["options"])]
    blocks += [f"Needs `{line}`." for line in sorted(extra for _, extra in getattr(info, "requires", ()))]
    entries = [known.citations[key] for key in facts["cite"] if key in known.citations]
    blocks += ["## To cite", fence("\n\n".join(entries), "bibtex")] if entries else []
    blocks.append(f"Built from `{facts['target']}` with `{facts['config']}`.")
    return "\n\n".join(blocks) + "\n"


def _about(docstring: str) -> list[str]:
    """A docstring's paragraphs: those that fill their lines as prose, formulas and lists of arguments as they stand."""
    found = []
    for paragraph in docstring.strip().split("\n\n"):
        *full, _ = lines = paragraph.splitlines()
        flows = all(len(line) > 80 for line in full) and not any(line.startswith(" ") for line in lines)
        found.append(cell(paragraph).replace("\\|", "|") if flows else fence(paragraph, "text"))
    return found


def option_table(options: list[dict[str, str]]) -> str:
    """Options as a table; a sentence if there are none."""
    rows = [_row(option) for option in options]
    head = ["| option | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else "None."


def _row(option: dict[str, str]) -> str:
    kind = cell(" ".join(filter(None, [option["type"], option["bounds"]])))
    default = f"`{option['default']}`" if option["default"] else "must be given"
    quick = f"; `--quick`: `{option['quick']}`" if option["quick"] else ""
    return f"| `{option['name']}` | {kind} | {default}{quick} | {cell(option['meaning'])} |"


def _settings() -> str:
    from dataclasses import asdict

    blocks = ["# Training, selection, measuring", fence("bdk show stage1")]
    for section, target in SETTINGS.items():
        kind = resolve(target)
        blocks += [f"## {section}", cell(kind.__doc__), option_table([asdict(part) for part in options_of(kind)])]
    return "\n\n".join(blocks) + "\n"


def _lists(known: Registry) -> str:
    """Spaces, metrics and bundled specs: what has no options of its own."""
    tables: list[tuple[str, str, Iterator[tuple[str, ...]]]] = [
        ("Spaces", "space | tokens | numbers per token | of", _spaces(known)),
        ("Metrics", "metric | column | better | is", _metrics(known)),
        ("Bundled specs", "spec | is", ((name, cell(known.specs[name].summary)) for name in sorted(known.specs))),
    ]
    blocks = ["# Spaces, metrics, specs", fence("bdk list spaces")]
    for title, heads, rows in tables:
        lines = [f"| {heads} |", "|---" * len(heads.split("|")) + "|"]
        blocks += [f"## {title}", "\n".join([*lines, *(f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows)])]
    return "\n\n".join(blocks) + "\n"


def _spaces(known: Registry) -> Iterator[tuple[str, ...]]:
    own = (space for key, space in sorted(known.spaces.items()) if known.owners["spaces", key].startswith(f"{OWN} "))
    return ((space.id, str(space.tokens), str(space.dim), space.modality) for space in own)


def _metrics(known: Registry) -> Iterator[tuple[str, ...]]:
    own = (info for _, info in sorted(known.metrics.items()) if _is_own(info))
    better = {"up": "larger", "down": "smaller"}
    return ((info.name, cell(info.label), better[info.direction], cell(info.summary)) for info in own)


def fence(text: str, kind: str = "") -> str:
    """Text in a fence."""
    return f"```{kind}\n{text.strip()}\n```"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
