"""The page in a real browser: no errors, no network, sortable by keyboard, accessible, readable on a phone.

Skipped, with the reason printed, where there is no Chromium or the packages of the ``dev`` extra are missing.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bdk.report import write_run, write_sweep

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")
CHROMIUM = os.environ.get("BDK_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; set BDK_CHROMIUM")
GRID = "#grid-0"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """One headless Chromium for all tests of this file."""
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(make_bench, scores, tmp_path_factory) -> Path:
    """A sweep with every kind of row."""
    folder = tmp_path_factory.mktemp("sweep")
    bench = make_bench(folder)
    bench.cite("mindeye", {"clip": 90.0}, "MindEye")
    found = {"image_retrieval": np.linspace(0, 1, 12)}
    bench.row(
        "average",
        [scores(12, 0.6, 1) | found, scores(12, 0.61, 2) | found],
        label="Average",
        reported={"pixcorr": 0.153},
    )
    bench.row("ram", scores(12, 0.9, noise=0.01) | found, label="RAM <i>", reported={"clip": 94.1}, note="</script><b>")
    bench.row("oracle", scores(12, 0.95) | found, label="Oracle", oracle=True, ours=True)
    bench.row("gone", scores(12, 0.6), label="Gone", finished=False)
    plan, sweep = bench.plan(footnotes=("I3", "I14"))
    return write_sweep(plan, sweep, bench.store, folder / "out", {"gone": "it broke"}, registry=bench.registry)


class Opened:
    """A page with what it said and asked for."""

    def __init__(self, browser, path: Path, width: int = 1280, scheme: str = "light") -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def ids(self) -> list[str]:
        """Stimuli in the order the grid shows them."""
        return self.page.locator(f"{GRID} tbody .id").all_text_contents()

    def heads(self) -> list[str | None]:
        """``aria-sort`` of the grid's headings."""
        return [head.get_attribute("aria-sort") for head in self.page.locator(f"{GRID} thead th").all()]

    def press(self, row: int, key: str = "Enter") -> None:
        """Press a heading of the grid by keyboard."""
        self.page.locator(f"{GRID} thead th[data-row='{row}'] button").focus()
        self.page.keyboard.press(key)

    def scores(self, row: int) -> list[float]:
        """Scores of one row of the sweep in the order shown."""
        cells = self.page.locator(f"{GRID} tbody tr td:nth-child({row + 2}) .score").all_text_contents()
        return [float(text.replace("\N{MINUS SIGN}", "-")) for text in cells]


def test_no_address_in_the_page_is_fetched(report):
    page = report.read_text()
    assert not re.search(r"""(?:src|srcset|poster|data)=["'](?!data:)""", page)
    assert not re.search(r"<link(?![^>]*href=\"data:)|@import|url\(", page)
    assert "default-src 'none'" in page


def test_the_pages_pictures_are_capped_and_it_says_how_many_of_how_many(bench, scores, tmp_path):
    bench.n = 70
    bench.row("a", scores(70, 0.8))
    plan, _ = bench.plan(is_sweep=False)
    page = write_run(plan, plan.runs[0], bench.store, tmp_path / "run", registry=bench.registry).read_text()
    assert "60 of 70 test stimuli" in page
    assert page.count('alt="Reconstruction of') == 60


def test_words_of_people_are_never_read_as_markup(report):
    page = report.read_text()
    assert "RAM &lt;i&gt;" in page and "RAM <i>" not in page
    assert "&lt;/script&gt;&lt;b&gt;" in page
    assert page.count("</script>") == 2


def test_the_page_holds_no_clock(report):
    assert not re.search(
        r"\bseconds\b|20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d",
        re.sub(r"<style>.*?</style>", "", report.read_text(), flags=re.S),
    )


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_page_opens_without_errors_or_requests_and_fits_its_window(browser, report, width, scheme):
    opened = Opened(browser, report, width, scheme)
    opened.page.locator("#citations").scroll_into_view_if_needed()
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [report.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert opened.page.evaluate(broken) == 0
    outside = "[...document.querySelectorAll('svg text')].filter(t => t.getBBox().x < 0).map(t => t.textContent)"
    assert opened.page.evaluate(outside) == []
    opened.page.close()


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_page_passes_the_accessibility_check(browser, report, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra: dev)")
    opened = Opened(browser, report, width, scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    results = axe.Axe().run(opened.page)
    assert [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in results.response["violations"]
    ] == []
    assert len(results.response["passes"]) > 30
    opened.page.close()


@needs_chromium
@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_grid_is_sorted_by_keyboard_best_first_then_worst_first(browser, report, key):
    opened = Opened(browser, report)
    before = opened.ids()
    opened.press(1, key)
    best = opened.scores(1)
    assert best == sorted(best, reverse=True) and opened.ids() != before
    assert opened.heads() == ["none", "none", "descending", "none"]
    opened.press(1, key)
    assert opened.scores(1) == best[::-1] and opened.heads()[2] == "ascending"
    focused = opened.page.evaluate("document.activeElement.textContent.trim()")
    assert focused == "RAM <i>"
    assert opened.messages == []
    opened.page.close()


@needs_chromium
def test_another_metric_changes_scores_and_keeps_best_first(browser, report):
    opened = Opened(browser, report)
    opened.press(0)
    opened.page.locator("#metric-0").select_option(label="Eff (lower is better)")
    distances = opened.scores(0)
    assert distances == sorted(distances) and opened.heads()[1] == "ascending"
    said = opened.page.locator("#pictures p[role=status]").text_content()
    assert said == "Sorted by Eff of Average, ascending."
    opened.page.close()


@needs_chromium
def test_the_first_heading_brings_the_first_order_back(browser, report):
    opened = Opened(browser, report)
    before = opened.ids()
    opened.press(1)
    opened.page.locator(f"{GRID} thead th button").first.click()
    assert opened.ids() == before
    opened.page.close()


@needs_chromium
def test_every_control_is_reached_by_the_tab_key_in_reading_order(browser, report):
    opened = Opened(browser, report)
    places, names = [], []
    for _ in range(30):
        opened.page.keyboard.press("Tab")
        places.append(opened.page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
        names.append(opened.page.evaluate("document.activeElement.textContent.trim()"))
    assert names[0] == "Skip to the results" and "RAM" in "".join(names)
    assert all(later >= earlier - 60 for earlier, later in itertools.pairwise(places))
    opened.page.close()


@needs_chromium
def test_scores_of_the_table_sort_but_baselines_stay_below(browser, report):
    opened = Opened(browser, report)
    opened.page.locator(".scores thead button", has_text="CLIP").click()
    names = opened.page.locator(".scores tbody th").all_text_contents()
    assert [name.split()[0] for name in names[:3]] == ["Oracle", "RAM", "Average"]
    assert [name.strip() for name in names[5:]] == ["chance", "mean image", "nearest training image", "noise ceiling"]
    opened.page.close()


@needs_chromium
def test_the_theme_button_turns_the_page_dark_and_back(browser, report):
    opened = Opened(browser, report)
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.page.evaluate(background)
    opened.page.locator("#theme").click()
    dark = opened.page.evaluate(background)
    assert dark != light and opened.page.locator("#theme").get_attribute("aria-pressed") == "true"
    opened.page.locator("#theme").click()
    assert opened.page.evaluate(background) == light
    opened.page.close()


@needs_chromium
def test_the_page_reads_without_scripts(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".scores tbody tr").count() == 9
    assert page.locator(f"{GRID} img").count() == 12 * 4
    context.close()


@needs_chromium
def test_a_row_without_scores_still_shows_its_pictures(browser, bench, tmp_path):
    gone = {"clip": {"value": None, "missing": "no weights"}}
    bench.row("a", {"clip": np.full(12, 0.8)}, entries=gone)
    plan, _ = bench.plan(is_sweep=False)
    path = write_run(plan, plan.runs[0], bench.store, tmp_path / "run", registry=bench.registry)
    opened = Opened(browser, path)
    opened.press(0)
    assert opened.messages == [] and opened.page.locator(f"{GRID} img").count() == 24
    opened.page.close()
