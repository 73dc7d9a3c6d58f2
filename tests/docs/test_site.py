"""The built site: no warning, no link that leads nowhere, no request to anyone."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT, generated, pages


class Links(HTMLParser):
    """What a page loads, what it links to, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id") or "")
        if given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "preload", "icon", "dns-prefetch"):
            self.loads.append(given["href"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING -" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def parsed(site) -> dict[Path, Links]:
    found = {}
    for path in site.rglob("*.html"):
        found[path] = Links()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


def test_every_page_is_built(site, parsed):
    written = [path.stem for path in pages() if path.parent.name == "docs"]
    assert {f"{name}.html" for name in written} <= {path.name for path in parsed if path.parent == site}
    assert {site / path.replace(".md", ".html") for path in generated()} <= set(parsed)
    assert not list(site.rglob("*.py"))


def test_no_page_loads_anything_from_elsewhere(parsed):
    assert sum(len(page.loads) for page in parsed.values()) > 100
    assert {load for page in parsed.values() for load in page.loads if urlsplit(load).netloc} == set()
    sheets = {path for page in parsed for path in page.parent.rglob("*.css")}
    assert not [path for path in sheets if "url(http" in path.read_text(encoding="utf-8")]


def test_every_link_and_anchor_of_the_site_resolves(parsed):
    lost = []
    for path, page in parsed.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.netloc or parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            known = target in parsed and (not parts.fragment or unquote(parts.fragment) in parsed[target].ids)
            if not (known or (target.exists() and not parts.fragment)):
                lost.append((path.name, link))
    assert lost == []
