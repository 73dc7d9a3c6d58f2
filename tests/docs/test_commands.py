"""The commands in the docs exist, and the reference says what the installed parts and ``--help`` say."""

from __future__ import annotations

import re
import shlex
from functools import cache

import pytest
import typer
from bdk import registry
from bdk.components import FAMILIES
from bdk.facts import facts_of
from bdk.registry import OWN, config_class, resolve
from bdk.spec.grammar import PLAIN
from bdk_cli.listing import SETTINGS
from bdk_cli.main import app
from bdk_cli.options import take_overrides
from typer import rich_utils
from typer.testing import CliRunner

from tests.docs.pages import ROOT, blocks, commands, generated, generator, inline_commands, pages

EXAMPLES = {"myfuse", "mygate", "mydata", "gated", "roi-transformer", "lancedb"}
"""Parts that the docs tell a reader to write or to install."""


@cache
def root():
    return typer.main.get_command(app)


def leaf(words):
    """The command that words call, and the words left for it; None with what is unknown."""
    command, rest = root(), list(words)
    while hasattr(command, "commands"):
        name = rest.pop(0) if rest else ""
        if name not in command.commands:
            return None, f"there is no command {name!r}"
        command = command.commands[name]
    return command, rest


def fault(words):
    """What is wrong with a whole command line; empty if nothing is."""
    kept, overrides = take_overrides(words[1:])
    if kept[:1] in (["--help"], ["--install-completion"]):
        return ""
    command, rest = leaf(kept)
    if command is None:
        return rest
    try:
        command.make_context(" ".join(words), rest)
    except Exception as error:  # noqa: BLE001 - which class a usage error has depends on typer's version
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"
    return "; ".join(filter(None, (wrong_override(key, value) for key, value in overrides)))


def wrong_override(key, value):
    """What is wrong with a spec option of a command line; empty if nothing is."""
    words = key.split(".")
    words = words[2:] if words[0] == "guide" else words
    if words[0] in SETTINGS:
        return "" if words[1] in resolve(SETTINGS[words[0]]).model_fields else f"{key} is no option"
    if words[0] in PLAIN:
        return ""
    parts = offered(words[0])
    if len(words) == 1:
        return "" if value in {*parts, *EXAMPLES, "none"} else f"there is no {words[0]} {value!r}"
    return "" if any(words[1] in fields for fields in parts.values()) else f"{key} is no option of any {words[0]}"


@cache
def offered(section):
    """Options of every part of a family (or data set), by its name."""
    known = registry.load()
    infos = (
        known.datasets.values() if section == "data" else [known.component(section, n) for n in known.names(section)]
    )
    return {info.name: set(config_class(info).model_fields) for info in infos}


def named_options(words):
    """What is wrong with the beginning of a command, as prose quotes it: its command and the options it names."""
    kept, _ = take_overrides([word for word in words[1:] if word not in ("..", "...", "…")])
    command, rest = leaf([word for word in kept if not word.startswith("--")])
    if command is None:
        inner = root().commands.get(kept[0]) if kept else None
        return "" if len(kept) == 1 and inner is not None else rest
    known = {word for parameter in command.params for word in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}
    return ", ".join(word for word in kept if word.startswith("--") and word not in known)


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.name)
def test_every_documented_command_names_an_existing_command_and_options(page):
    text = page.read_text(encoding="utf-8")
    wrong = {shlex.join(words): found for words in commands(text) if (found := fault(words))}
    wrong |= {shlex.join(words): found for words in inline_commands(text) if (found := named_options(words))}
    assert wrong == {}


def test_every_example_line_of_the_reference_parses():
    lines = [words for text in generated().values() for words in commands(text) if "[OPTIONS]" not in words]
    assert len(lines) >= len(registry.load().components)
    assert {shlex.join(words): found for words in lines if (found := fault(words))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "bdk fly",
        "bdk run --quickly",
        "bdk index build",
        "bdk index plan many 768",
        "bdk run --fusion rum",
        "bdk run --fusion.haeds 4",
        "bdk run --guide.text.encoder.dpeth 4",
        "bdk run --stage1.stpes 4",
    ],
)
def test_a_command_that_does_not_exist_is_found(line):
    assert fault(shlex.split(line))


@pytest.mark.parametrize("words", ["bdk fly", "bdk run --quickly", "bdk index fly"])
def test_a_quoted_beginning_that_does_not_exist_is_found(words):
    assert named_options(words.split())


def test_the_readme_shows_commands():
    assert len(list(commands((ROOT / "README.md").read_text(encoding="utf-8")))) >= 8


def leaves(command, path=()):
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    return {key: found for name in inner for key, found in leaves(inner[name], (*path, name)).items()}


def sections():
    """Text under each heading of the command line's page."""
    parts = re.split(r"^## bdk ", generated()["reference/command.md"], flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def test_every_command_stands_on_the_reference_page_once():
    assert sorted(sections()) == sorted(" ".join(path) for path in leaves(root()))
    assert len(sections()) >= 20


@pytest.mark.parametrize("path", leaves(root()), ids=" ".join)
def test_the_reference_says_what_help_says(path, monkeypatch):
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 600)
    monkeypatch.setenv("NO_COLOR", "1")
    told = CliRunner().invoke(app, [*path, "--help"], env={"TERM": "dumb"}).output
    help_text, section = " ".join(told.split()), sections()[" ".join(path)]
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", "\n".join(told.partition("Options")[2].splitlines())))
    rows = re.findall(r"^\| (`.+?`) \| .*? \| (.*) \|$", section, re.MULTILINE)
    shown = {word for names, _ in rows for word in re.findall(r"--[a-z][a-z0-9-]*", names)}
    assert shown <= flags and shown | {"--help"} >= {flag for flag in flags if flag in first_words(told)}
    for _, meaning in rows:
        plain = meaning.replace("\\|", "|").replace("&lt;", "<")
        assert plain in help_text, f"{plain!r} is not in --help"


def first_words(told):
    """Flags at the start of a line of help: those that are options, not mentioned in another's meaning."""
    lines = [line.strip("│| *") for line in told.splitlines()]
    return {flag for line in lines for flag in re.findall(r"^(--[a-z][a-z0-9-]*)", line)}


def test_every_part_has_a_page_with_all_of_its_options():
    known = registry.load()
    infos = [(family, known.component(family, name)) for family in FAMILIES for name in known.names(family)]
    infos += [("data", info) for info in known.datasets.values()]
    own = [(section, info) for section, info in infos if info.distribution.startswith(f"{OWN} ")]
    assert len(own) >= 30
    for section, info in own:
        page = generated()[f"reference/{section}/{info.name}.md"]
        for option in facts_of(info)["options"]:
            assert f"| `{option['name']}` |" in page and generator().cell(option["meaning"]) in page
        for key in info.cite:
            assert known.citations[key].strip() in page
        assert any(block.text.startswith("bdk run ") for block in blocks(page))


def test_every_generated_page_stands_in_the_navigation_once():
    module = generator()

    def paths(node):
        if isinstance(node, str):
            return [node]
        inner = node.values() if isinstance(node, dict) else node
        return [path for part in inner for path in paths(part)]

    assert sorted(paths(module.navigation(module._built_in()))) == sorted(generated())
