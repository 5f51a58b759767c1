"""The web app over seeded homes: run headless in this process (AppTest), or served for a real browser."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from ui_seed import RULES, Home, seed

from ui import opened
from video_platform.settings import Settings

APP = Path(__file__).parents[2] / "ui" / "app.py"
ORIGIN = "http://127.0.0.1:8501"
START_S = 60


@dataclass(frozen=True)
class Seeded:
    """A seeded home, its rules file and the environment that chooses it."""

    home: Home
    rules: Path
    environment: dict[str, str]


def make_home(folder: Path) -> Seeded:
    """A home of its own below `folder`."""
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    settings = Settings(home=folder / "home", rules=rules)
    environment = {"VIDEO_PLATFORM_HOME": str(folder / "home"), "VIDEO_PLATFORM_RULES": str(rules)}
    return Seeded(seed(folder / "home", folder / "footage", settings), rules, environment)


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


def run_page(page: str = "library", **query: str) -> AppTest:
    """The page after its first run, at a fixed address."""
    test = AppTest.from_file(str(APP), default_timeout=30)
    test.context = {"url": ORIGIN, "timezone": "UTC"}
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    if page != "library":
        test.switch_page(f"views/{page}.py")
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
    assert not test.exception, test.exception
    return test


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


@dataclass(frozen=True)
class Served:
    """The real server on a free port."""

    url: str
    seeded: Seeded
    process: "subprocess.Popen[str]"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`python -m ui.server` over a seeded home, started from a foreign working directory as `vp up` may be."""
    folder = tmp_path_factory.mktemp("served")
    seeded = make_home(folder)
    yield from serve(seeded, folder)


def serve(seeded: Seeded, folder: Path, **more: str) -> Iterator[Served]:
    """Run the server until the fixture ends."""
    root = str(APP.parents[1])
    environment = {**os.environ, **seeded.environment, "VIDEO_PLATFORM_WEB__PORT": "0", "PYTHONPATH": root, **more}
    process = subprocess.Popen([sys.executable, "-m", "ui.server"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address.startswith("http://"):
            _, said = process.communicate(timeout=START_S)
            pytest.fail(f"the web server did not start: {said}")
        yield Served(address, seeded, process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        seeded.home.platform.close()
