"""One platform, started as people start it, and a browser, for all tests of this folder."""

from collections.abc import Iterator

import pytest
from chromium import UNASKED, chromium
from playwright.sync_api import Browser, BrowserContext, Page
from running import ROOT, Up

WAIT_MS = 120_000
"""A loaded machine takes its time to draw a page; what must be quick is measured on its own."""

MODEL_S = 900
"""A small model beside everything else on two cores writes a few words a second; that it may be late is tested elsewhere."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("stack", marks=pytest.mark.stack)])
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`vp up` on an empty home whose rules are those of the sample clip, with everything in the home, or with Kafka, MinIO, PostgreSQL and Ollama."""
    servers = request.getfixturevalue("stack").fresh(language_model=True) if request.param == "stack" else {}
    settings = {"VIDEO_PLATFORM_RULES": str(ROOT / "samples" / "rules.demo.yaml"), "VIDEO_PLATFORM_LANGUAGE_MODEL__TIMEOUT_S": str(MODEL_S), **servers}
    with Up(tmp_path_factory.mktemp("real") / "home", env=settings) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(WAIT_MS, UNASKED) as launched:
        yield launched


@pytest.fixture(scope="module")
def context(browser: Browser, up: Up) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=up.addresses["web"])
    made.set_default_timeout(WAIT_MS)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    yield opened
    opened.close()
