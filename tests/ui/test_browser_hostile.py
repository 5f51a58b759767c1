"""Text that comes from footage, files, models, rules and other producers names an address that notes who asks: no page ever does, and no page links there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chromium import chromium
from loopback import noting
from playwright.sync_api import Page, expect
from seeded import describe
from ui_seed import NOW, bring, make_ready
from ui_serving import Served, make_home, serve

from video_platform import layout
from video_platform.records import Engine, Evidence, Sentence, Summary
from video_platform.services.database import refusals, videos

pytestmark = pytest.mark.browser

WAIT_MS = 60_000


@dataclass
class Asked:
    """An address, and the requests that it got."""

    url: str
    paths: list[str]

    def evil(self, place: str) -> str:
        """Text that tries every way to have the address asked for."""
        at = f"{self.url}/{place}"
        return (
            f'<img src="{at}-img"> ![x]({at}-markdown) [click]({at}-link) <a href="{at}-a">x</a> {at}-bare <{at}-auto> '
            f"<style>@import url({at}-css)</style> <script src={at}-js></script> $\\href{{{at}-tex}}{{x}}$ :material/home: <iframe src={at}-frame>"
        )


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with noting() as (url, paths):
        yield Asked(url, paths)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, asked: Asked) -> Iterator[tuple[Served, list[str]]]:
    """The server over a home in which every text that is not ours is hostile, and the pages that show it."""
    folder = tmp_path_factory.mktemp("hostile")
    seeded = make_home(folder)
    platform = seeded.home.platform
    scratch = folder / "more"
    scratch.mkdir()
    ready = make_ready(platform, bring(platform, scratch, asked.evil("name"), 33, camera="gate-1"), 33)
    sentence = Sentence(text=asked.evil("sentence"), state="supported", evidence=[Evidence(kind="track", id="1", start_s=0, end_s=3)])
    engine = Engine(name="ollama", model=asked.evil("model")[:200], digest="0" * 64, prompt_hash="0" * 64)
    describe(platform, ready, Summary(title=asked.evil("title"), overview=asked.evil("overview"), concern=0, engine=engine, sentences=[sentence]))
    failed = bring(platform, scratch, asked.evil("failed"), 34, camera="gate-1")
    videos.failed(platform.db, failed.video_id, "run", "WorkerCrashed", asked.evil("failure"))
    refusals.add(platform.db, name=asked.evil("refused"), camera="gate-1", code="not_a_video", message=asked.evil("refusal"), now=NOW)
    text = seeded.rules.read_text()
    seeded.rules.write_text(text + f"# {asked.evil('comment')}\nextra: {asked.evil('mistake')!r}\n")
    shown = ["/", layout.page_video(ready.video_id), layout.page_video(failed.video_id), "/alerts", f"/alerts?video={ready.video_id}", "/rules", "/pipeline"]
    for served in serve(seeded, folder):
        yield served, shown


@pytest.fixture(scope="module")
def page(pages: tuple[Served, list[str]]) -> Iterator[Page]:
    with chromium(WAIT_MS) as browser:
        opened = browser.new_context(base_url=pages[0].url).new_page()
        opened.set_default_timeout(WAIT_MS)
        yield opened


def test_the_address_notices_who_asks(page: Page, asked: Asked) -> None:
    page.set_content(f'<img src="{asked.url}/careless">')
    page.wait_for_timeout(0)
    page.wait_for_load_state("networkidle")
    assert "/careless" in asked.paths
    asked.paths.clear()


def test_no_page_asks_or_links_where_hostile_text_points(page: Page, pages: tuple[Served, list[str]], asked: Asked, tmp_path: Path) -> None:
    _, shown = pages
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    seen = 0
    for path in shown:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        if not path.startswith("/pipeline"):
            expect(page.locator("h1").first).to_be_visible()
        seen += page.get_by_text("-img").count()
        for element, attribute in (("a", "href"), ("img", "src"), ("script", "src"), ("iframe", "src"), ("link", "href"), ("form", "action")):
            assert page.locator(f"{element}[{attribute}*='{asked.url}']").count() == 0, f"{element} on {path}"
    assert seen >= 3, "the hostile text is shown, as text"
    assert [url for url in requests if url.startswith(asked.url)] == []
    assert asked.paths == []
    page.goto(shown[1])
    page.wait_for_load_state("networkidle")
    page.screenshot(path=tmp_path / "hostile.png", full_page=True)
