"""Seeded homes, pages run headless, and the real server over such a home."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from ui_seed import RULES, Home, seed

from video_platform.settings import Settings

ROOT = Path(__file__).parents[1]
APP = ROOT / "ui" / "app.py"
ORIGIN = "http://127.0.0.1:8501"

RUN_S = 60
"""How long one run of a page may take on a machine that does other things."""

STOP_S = 10

Open = Callable[..., AppTest]
"""The fixture `open_page`: a page of the app over the seeded home, by its name and its query."""


@dataclass(frozen=True)
class Seeded:
    """A seeded home, its rules file and the environment that chooses it."""

    home: Home
    rules: Path
    environment: dict[str, str]


@dataclass(frozen=True)
class Served:
    """The real server on a free port."""

    url: str
    seeded: Seeded
    process: "subprocess.Popen[str]"


def make_home(folder: Path) -> Seeded:
    """A home of its own below `folder`."""
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    settings = Settings(home=folder / "home", rules=rules)
    environment = {"VIDEO_PLATFORM_HOME": str(folder / "home"), "VIDEO_PLATFORM_RULES": str(rules)}
    return Seeded(seed(folder / "home", folder / "footage", settings), rules, environment)


def run_page(page: str = "library", **query: str) -> AppTest:
    """The page after its first run, at a fixed address."""
    test = AppTest.from_file(str(APP), default_timeout=RUN_S)
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


def said(page: AppTest) -> str:
    """All text of a page, without the marks that keep hostile text from being Markdown."""
    elements = [*page.title, *page.header, *page.subheader, *page.markdown, *page.caption, *page.info, *page.error, *page.warning, *page.code]
    return "\n".join(str(element.value) for element in elements).replace("\\", "").replace("\u2060", "")


def buttons(page: AppTest) -> list[str]:
    """The words on the buttons of a page."""
    return [button.label for button in page.button]


def serve(seeded: Seeded, folder: Path, **more: str) -> Iterator[Served]:
    """Run the server over a home until the generator is closed, started from a foreign working directory as `vp up` may be."""
    environment = {**os.environ, **seeded.environment, "VIDEO_PLATFORM_WEB__PORT": "0", "PYTHONPATH": str(ROOT), **more}
    process = subprocess.Popen([sys.executable, "-m", "ui.server"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address.startswith("http://"):
            _, said = process.communicate(timeout=STOP_S)
            pytest.fail(f"the web server did not start: {said}")
        yield Served(address, seeded, process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        seeded.home.platform.close()
