"""A real browser over the served pages: how long it waits, the sizes of its window, a page of its own, and a picture of it."""

import os
from pathlib import Path

from playwright.sync_api import Browser, Page
from ui_serving import Served

WAIT_MS = 90_000
"""A loaded machine takes its time to draw a page, and a draft is judged in a process of its own, which imports what it needs first."""

PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1440, "height": 1000}


def opened(browser: Browser, served: Served, **context: object) -> Page:
    """An empty page in a browser context of its own, for addresses of the served app."""
    page = browser.new_context(base_url=served.url, **context).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(WAIT_MS)
    return page


def look(page: Page, name: str) -> None:
    """Keep a picture of the page in the folder VP_SCREENSHOTS, for whoever wants to look at it."""
    if folder := os.environ.get("VP_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
