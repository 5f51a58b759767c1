"""The web app over seeded homes: run headless in this process (AppTest), or served for a real browser."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from ui_serving import Seeded, Served, make_home, run_page, serve

from ui import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def seeded(tmp_path: Path) -> Iterator[Seeded]:
    """A fresh home with one video in each state."""
    made = make_home(tmp_path)
    yield made
    made.home.platform.close()


@pytest.fixture
def clean_caches() -> Iterator[None]:
    """Nothing of another test's home is remembered."""
    opened.close()
    st.cache_data.clear()
    yield
    opened.close()
    st.cache_data.clear()


@pytest.fixture
def open_page(seeded: Seeded, clean_caches: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a page of the app over the seeded home, with a query."""
    for name, value in seeded.environment.items():
        monkeypatch.setenv(name, value)
    return run_page


@pytest.fixture
def open_first_page(clean_caches: None) -> Callable[[], float]:
    """Runs the first page again in a session that is warm; the best seconds of three runs."""

    def run() -> float:
        page = run_page()
        took = []
        for _ in range(3):
            st.cache_data.clear()
            begun = time.perf_counter()
            page.run()
            took.append(time.perf_counter() - begun)
        assert not page.exception
        return min(took)

    return run


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real server over a seeded home, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("served")
    yield from serve(make_home(folder), folder)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One Chromium for the tests of a module."""
    from chromium import chromium
    from ui_browser import WAIT_MS

    with chromium(WAIT_MS) as launched:
        yield launched
