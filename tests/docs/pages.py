"""What the tests of the docs share: pages, their fenced blocks, the commands in them, and the generated pages."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`(bdk [^`]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        kind: the word behind the fence; ``bash`` and ``python`` are run on the pages named in `test_blocks`.
        title: the file that it is, if it has one.
        text: what stands in it.
        line: where it starts.
    """

    kind: str
    title: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page that a person wrote."""
    return [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def blocks(text: str) -> list[Block]:
    """Fenced blocks of a page."""
    return [
        Block(found[1], found[2] or "", found[3], text[: found.start()].count("\n") + 1)
        for found in FENCE.finditer(text)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """Every ``bdk`` command in the fenced blocks of a page, as words."""
    for block in blocks(text):
        if block.kind in ("", "sh", "bash"):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from _split(line)


def _split(line: str) -> Iterator[list[str]]:
    """Commands of a shell line: parted at ``;``, ``&&``, ``||`` and ``|``, without comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set(";&|"):
            words.append(word)
            continue
        if words[:1] == ["bdk"]:
            yield words
        words = []


def inline_commands(text: str) -> list[list[str]]:
    """Every ``bdk ..`` in inline code of a page, as words; often only the beginning of a command."""
    return [shlex.split(found.replace("\n", " ")) for found in INLINE.findall(FENCE.sub("", text))]


@cache
def generator() -> ModuleType:
    """``docs/generate.py``, which is no package's module."""
    spec = importlib.util.spec_from_file_location("bdk_docs_generate", DOCS / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def generated() -> dict[str, str]:
    """The generated pages by path."""
    module = generator()
    return module.pages(module._built_in())
