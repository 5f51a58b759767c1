"""Chromium as the tests of pages start it."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
"""Where scripts/install_browser.sh puts it."""

UNASKED = "--autoplay-policy=no-user-gesture-required"
"""Videos play without a click before."""


@contextmanager
def chromium(wait_ms: float, *arguments: str) -> Iterator[Browser]:
    """A browser without a window; what is expected of its pages may take `wait_ms` to come true."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        expect.set_options(timeout=wait_ms)
        yield launched
        launched.close()
