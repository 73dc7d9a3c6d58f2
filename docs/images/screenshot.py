"""Takes the pictures of docs/report.md: ``python docs/images/screenshot.py runs/table4/report.html``.

Needs Chromium (BDK_CHROMIUM, or ``chromium`` on the path) and playwright from the ``dev`` extra.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
WIDE, PHONE = {"width": 1280, "height": 1180}, {"width": 390, "height": 844}


def main(report: Path) -> None:
    """Photograph the top of a report, its pictures, and both on a phone."""
    chromium = os.environ.get("BDK_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=WIDE)
        page.goto(report.resolve().as_uri())
        page.screenshot(path=HERE / "report.png")
        page.locator("#pictures").screenshot(path=HERE / "report-pictures.png")
        phone = browser.new_page(viewport=PHONE, color_scheme="dark")
        phone.goto(report.resolve().as_uri())
        phone.screenshot(path=HERE / "report-phone.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
