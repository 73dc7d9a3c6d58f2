"""Every link between pages leads somewhere, and every page can be reached."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS, FENCE, ROOT, generated, pages

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SLUG = re.compile(r"[^\w\s-]")


def anchors(text: str) -> set[str]:
    """Ids of a page's headings, as the docs' builder makes them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", SLUG.sub("", head.replace("`", "")).strip().lower()) for head in heads}


def written() -> dict[str, str]:
    """Every page by its path from the repository's root, written or generated."""
    made = {f"docs/{path}": text for path, text in generated().items()}
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in pages()} | made


def broken(path: str, text: str, known: dict[str, str]) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(FENCE.sub("", text)):
        target, _, anchor = link.partition("#")
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        place = (ROOT / path).parent / target if target else ROOT / path
        name = place.resolve().relative_to(ROOT.resolve()).as_posix()
        lost = name not in known and not place.exists()
        if lost or (anchor and anchor not in anchors(known.get(name, ""))):
            found.append(link)
    return found


def test_every_internal_link_resolves():
    known = written()
    assert len(known) > len(generated()) > 40
    assert {path: found for path, text in known.items() if (found := broken(path, text, known))} == {}


@pytest.mark.parametrize("link", ["nowhere.md", "index.md#nowhere", "images/nowhere.png", "reference/fusion/rum.md"])
def test_a_link_that_leads_nowhere_is_found(link):
    assert broken("docs/page.md", f"see [this]({link})", written()) == [link]


def test_every_page_stands_in_the_navigation_once():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    assert sorted(re.findall(r": (\S+\.md)$", nav, re.MULTILINE)) == sorted(path.name for path in DOCS.glob("*.md"))


def test_every_page_starts_with_a_command_or_code_that_runs():
    for path in DOCS.glob("*.md"):
        head = path.read_text(encoding="utf-8").split("\n## ")[0]
        assert FENCE.search(head), f"{path.name} shows nothing that runs before its first section"
