"""The pages in a real browser: the player plays and seeks, uploads run, alerts appear, hostile names stay text."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import UNASKED, chromium
from playwright.sync_api import Browser, Page, Request, expect
from ui_seed import HOSTILE, episodes, evaluate, footage, make_ready
from ui_serving import Served, make_home, serve

from video_platform import layout
from video_platform.records import Episode, Mark
from video_platform.services.database import ledger, videos
from video_platform.services.object_store import ObjectStore

pytestmark = pytest.mark.browser

WAIT_MS = 30_000
"""A loaded machine takes its time to draw a page; what must be quick is measured on its own."""

SEEK_MS = 500
NEW_VERSION_MS = 10_000
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(WAIT_MS, UNASKED) as launched:
        yield launched


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE, base_url=served.url, permissions=["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    context.close()
    assert not failures, failures


def open_video(page: Page, video_id: str, at_s: float | None = None) -> None:
    page.goto(layout.page_video(video_id, at_s))
    page.locator(".player[data-tracks]").wait_for()
    wait(page, "video.readyState >= 2")


def wait(page: Page, condition: str, timeout_ms: int = WAIT_MS) -> None:
    """Until `condition` holds of the player's `video`, `canvas` and `player`."""
    page.locator(".player").wait_for()
    page.locator(".player").evaluate(
        """(player, [condition, limit]) => new Promise((resolve, reject) => {
            const video = player.querySelector("video"), canvas = player.querySelector("canvas");
            const holds = new Function("video", "canvas", "player", `return ${condition}`);
            const end = performance.now() + limit;
            const look = () => {
                if (holds(video, canvas, player)) resolve();
                else if (performance.now() > end) reject(new Error(`never: ${condition}; at ${video.currentTime}, ${canvas.dataset.boxes} boxes`));
                else requestAnimationFrame(look);
            };
            look();
        })""",
        [condition, timeout_ms],
    )


def coloured_pixels(page: Page) -> int:
    return page.locator(".player canvas").evaluate(
        """canvas => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.reduce((sum, value, index) => sum + (index % 4 === 3 && value > 0), 0);
        }"""
    )


def test_video_plays_with_boxes_over_the_picture(page: Page, served: Served) -> None:
    open_video(page, served.seeded.home.ready.video_id)
    wait(page, "canvas.dataset.boxes === '1'")
    assert coloured_pixels(page) > 100
    page.get_by_role("button", name="Play", exact=True).click()
    wait(page, "video.currentTime > 3 && canvas.dataset.boxes === '2'")
    page.get_by_label("Boxes").uncheck()
    wait(page, "canvas.dataset.boxes === '0'")
    assert coloured_pixels(page) == 0


def test_boxes_lie_where_the_walkers_are(page: Page, served: Served) -> None:
    """The walker of track 2 is at x = 0.9 - 0.08 x 4 = 0.58 at second 6; its box is drawn there, on the frame that is shown."""
    open_video(page, served.seeded.home.ready.video_id, 6.0)
    wait(page, "Math.abs(video.currentTime - 6) < 0.05 && canvas.dataset.boxes === '3'")
    columns = page.locator(".player canvas").evaluate(
        """canvas => {
            const row = canvas.getContext("2d").getImageData(0, Math.round(canvas.height * 0.75), canvas.width, 1).data;
            return Array.from({length: canvas.width}, (_, x) => x).filter(x => row[x * 4 + 3] > 0).map(x => x / canvas.width);
        }"""
    )
    edges = [x for x in columns if x > 0.5]
    assert min(edges) == pytest.approx(0.58, abs=0.01)
    assert max(edges) == pytest.approx(0.65, abs=0.01)


def test_sentence_seeks_within_half_a_second_without_a_run_of_the_page(page: Page, served: Served) -> None:
    open_video(page, served.seeded.home.ready.video_id, 9.0)
    wait(page, "Math.abs(video.currentTime - 9) < 0.05")
    page.evaluate("document.querySelector('[data-testid=stApp]').dataset.mine = 'kept'")
    source = page.locator(".player video").get_attribute("src")
    took = page.evaluate(
        """() => new Promise(resolve => {
            const deep = root => [...root.querySelectorAll("*")].flatMap(each => each.shadowRoot ? [each, ...deep(each.shadowRoot)] : [each]);
            const all = deep(document), video = all.find(each => each.tagName === 'VIDEO');
            const sentence = all.find(each => each.tagName === 'BUTTON' && each.textContent.startsWith('A second person'));
            const begun = performance.now();
            video.addEventListener('seeked', () => resolve([performance.now() - begun, video.currentTime]), {once: true});
            sentence.click();
        })"""
    )
    assert took[0] < SEEK_MS
    assert took[1] == pytest.approx(2.0, abs=0.05)
    assert page.locator(".player video").get_attribute("src") == source


def test_timeline_and_alert_markers_seek(page: Page, served: Served) -> None:
    open_video(page, served.seeded.home.ready.video_id)
    strip = page.locator(".player .strip")
    area = strip.bounding_box()
    assert area is not None
    strip.click(position={"x": area["width"] * 0.75, "y": area["height"] - 8})
    wait(page, "Math.abs(video.currentTime - 9) < 0.1")
    page.get_by_role("button", name=re.compile("critical alert loitering")).click()
    wait(page, "Math.abs(video.currentTime - 1) < 0.05")
    page.locator(".player").press("ArrowRight")
    wait(page, "Math.abs(video.currentTime - 6) < 0.05")


def test_new_version_appears_by_itself_and_playback_stays(page: Page, served: Served) -> None:
    home = served.seeded.home
    open_video(page, home.ready.video_id, 5.0)
    wait(page, "Math.abs(video.currentTime - 5) < 0.05")
    page.locator(".player video").evaluate("video => { video.mine = 'the same element'; }")
    expect(page.get_by_role("tab", name="Alerts (3)")).to_be_visible()
    more = Episode("person-enters", "enters", 8.0, 9.0, (4,), (0.5, 0.8), 0.8, {"zone": "plaza"})
    evaluate(home.platform, home.ready, [*episodes(), more], fingerprint="c")
    expect(page.get_by_role("tab", name="Alerts (4)")).to_be_visible(timeout=NEW_VERSION_MS)
    assert page.locator(".player .alert").count() == 4
    assert page.locator(".player video").evaluate("video => [video.mine, video.currentTime]") == ["the same element", pytest.approx(5.0, abs=0.05)]


def test_upload_shows_progress_and_its_video(page: Page, served: Served, tmp_path: Path) -> None:
    path = tmp_path / "brand new.mp4"
    footage(path, 130, seconds=2)
    page.goto("/")
    page.get_by_text("Add footage", exact=True).click()
    page.locator("input[type=file].files").set_input_files(path)
    row = page.locator(".queue li", has_text="brand new.mp4")
    expect(row.locator(".said")).to_have_text("Taken in. Processing starts on its own.")
    expect(page.get_by_role("link", name="brand new.mp4", exact=True)).to_be_visible()
    page.locator("input[type=file].files").set_input_files(path)
    expect(row.last.locator(".said")).to_have_text("These bytes are already here; nothing was added.")
    db = served.seeded.home.platform.db
    (taken,), _ = videos.page(db, text="brand new")
    videos.failed(db, taken.video_id, None, "not_a_video", "This file is not a video.")
    page.locator("input[type=file].files").set_input_files(path)
    expect(row.last.locator(".said")).to_have_text("These bytes were here already, and their video had failed; it is processed anew.")


def test_upload_is_cancelled_and_refused_in_words(page: Page, served: Served, tmp_path: Path) -> None:
    big, empty = tmp_path / "big.mp4", tmp_path / "empty.mp4"
    with big.open("wb") as file:
        file.truncate(400 * 1024 * 1024)
    empty.write_bytes(b"")
    page.goto("/")
    page.get_by_text("Add footage", exact=True).click()
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4 * 1024 * 1024})
    page.locator("input[type=file].files").set_input_files([big, empty])
    row = page.locator(".queue li", has_text="big.mp4")
    expect(row.locator(".said")).to_contain_text(re.compile(r"of 400\.0 MB · .*/s · .* left"))
    assert 0 < float(row.locator("progress").get_attribute("value") or 0) < 1
    row.get_by_role("button", name="Cancel").click()
    expect(row.locator(".said")).to_have_text("Cancelled. Nothing was kept.")
    expect(page.locator(".queue li", has_text="empty.mp4").locator(".said")).to_contain_text("no bytes")
    spool = served.seeded.home.platform.settings.spool
    page.wait_for_function("() => true")
    poll(lambda: not list(spool.glob("*")) if spool.exists() else True)


def poll(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Until `condition` holds; fails after `seconds`."""
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.05)


def test_marks_are_kept_and_filters_survive_a_reload(page: Page, served: Served) -> None:
    home = served.seeded.home
    page.goto("/alerts?severity=Critical")
    cards = page.locator("[class*='st-key-alert-']")
    expect(cards.nth(1)).to_be_visible()
    page.get_by_role("button", name="Acknowledge").first.click()
    expect(page.get_by_role("button", name="Undo").first).to_be_visible()
    marked = [alert for alert in ledger.page(home.platform.db, limit=50)[0] if alert.mark is Mark.ACKNOWLEDGED]
    assert len(marked) == 1
    assert marked[0].severity == "critical"
    page.get_by_role("radio", name="Acknowledged").click()
    expect(cards).to_have_count(1)
    page.reload()
    expect(cards).to_have_count(1)
    assert "severity=Critical" in page.url
    assert "mark=Acknowledged" in page.url


def test_new_alert_appears_without_a_reload(page: Page, served: Served) -> None:
    home = served.seeded.home
    page.goto("/alerts")
    expect(page.locator("[class*='st-key-alert-']").first).to_be_visible()
    page.evaluate("window.mine = 'never reloaded'")
    made = make_ready(home.platform, home.received, 80)
    fresh = Episode("brand-new-rule", "appears", 3.0, 4.0, (2,), (0.5, 0.8), 0.8)
    evaluate(home.platform, made, [fresh], fingerprint="d")
    expect(page.get_by_text("brand-new-rule", exact=True).first).to_be_visible(timeout=NEW_VERSION_MS)
    assert page.evaluate("window.mine") == "never reloaded"


def test_clip_plays_in_a_dialog_that_stays_open(page: Page, served: Served) -> None:
    page.goto("/alerts?rule=loitering")
    page.get_by_role("button", name="Play clip").first.click()
    clip = page.get_by_role("dialog").locator("video")
    clip.wait_for()
    clip.evaluate("async video => { if (video.paused) await video.play() }")  # a browser may leave the start to the person who looks
    page.wait_for_function("() => (document.querySelector('[role=dialog] video')?.currentTime ?? 0) > 2.5")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_hostile_names_are_text_on_every_page(page: Page, served: Served) -> None:
    home = served.seeded.home
    for path in ("/", layout.page_video(home.hostile.video_id), f"/alerts?video={home.hostile.video_id}", f"/rules?frame={home.hostile.video_id}"):
        page.goto(path)
        if path.startswith("/rules"):
            expect(page.get_by_role("combobox", name="Frame of")).to_have_value(re.compile("<img src=x"))
        else:
            expect(page.get_by_text("<img src=x").first).to_be_visible()
        assert page.evaluate("window.pwned") is None
        assert page.locator("a[href*='javascript'], img[src='x'], a[href*='evil']").count() == 0
    page.goto(layout.page_video(home.hostile.video_id))
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE[:40])


def test_nothing_is_fetched_from_elsewhere(page: Page, served: Served) -> None:
    foreign: list[str] = []

    def seen(request: Request) -> None:
        if not request.url.startswith((served.url, "data:", "blob:")):
            foreign.append(request.url)

    page.on("request", seen)
    for path in ("/", layout.page_video(served.seeded.home.ready.video_id), "/alerts", "/rules"):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()
        page.wait_for_load_state("networkidle")
    assert foreign == []


@pytest.mark.parametrize("path", ["/", "/alerts", "/rules", "video"])
def test_a_phone_needs_no_sideways_scrolling(page: Page, served: Served, path: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(layout.page_video(served.seeded.home.hostile.video_id) if path == "video" else path)
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_load_state("networkidle")
    main = "[data-testid=stMain], [data-testid=stMainBlockContainer]"
    widest = page.evaluate("main => Math.max(...[...document.querySelectorAll(main)].map(each => each.scrollWidth))", main)
    assert widest <= PHONE["width"]


def test_expired_address_is_renewed_without_losing_the_moment(page: Page, served: Served) -> None:
    """A player that was open for long asks with an address that ended: the answer is a fresh one, the moment stays."""
    refused = []

    def expire(route) -> None:
        if "range" in route.request.headers and len(refused) < 1:
            refused.append(route.request.url)
            route.fulfill(status=403, body="expired")
        else:
            route.continue_()

    page.route(re.compile(r"/media/processed_video/.*mp4"), expire)
    page.goto(layout.page_video(served.seeded.home.quiet.video_id, 7.0))
    wait(page, "video.readyState >= 2 && Math.abs(video.currentTime - 7) < 0.05")
    assert refused


def test_delete_asks_first(page: Page, served: Served, tmp_path: Path) -> None:
    home = served.seeded.home
    path = tmp_path / "doomed.mp4"
    footage(path, 140, seconds=1)
    doomed = home.platform.ingest.ingest_path(path).record
    page.goto("/?q=doomed")
    card = page.locator(f".st-key-card-{doomed.video_id}")
    card.get_by_test_id("stMenuButtonButton").first.click()
    page.get_by_text("Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("doomed.mp4")
    dialog.get_by_role("button", name="Delete").last.click()
    expect(card).to_have_count(0)
    gone = videos.get(home.platform.db, doomed.video_id)
    assert gone is not None
    assert gone.state == "deleted"
    store: ObjectStore = home.platform.store
    assert list(store.list(layout.video_prefix(doomed.video_id))) == []


def test_picture_of_a_card_opens_its_video_in_the_session(page: Page, served: Served) -> None:
    page.goto("/?q=plaza-cross")
    page.evaluate("window.mine = 'same session'")
    page.get_by_role("link", name=re.compile("Open plaza-crossing.mp4")).click()
    page.locator(".player[data-tracks]").wait_for()
    assert f"/video?video={served.seeded.home.ready.video_id}" in page.url
    assert page.evaluate("window.mine") == "same session"


def test_row_of_the_track_table_seeks_and_the_player_stays(page: Page, served: Served) -> None:
    open_video(page, served.seeded.home.hostile.video_id, 9.0)
    wait(page, "Math.abs(video.currentTime - 9) < 0.05")
    page.locator(".player video").evaluate("video => { video.mine = 'the same element'; }")
    page.get_by_role("tab", name="Tracks (3)").click()
    table = page.get_by_test_id("stDataFrame").first
    table.locator("canvas").first.wait_for()
    table.click(position={"x": 16, "y": 35 + 35 + 17})  # the box of the second row, below the header: track 2 begins at second 2
    wait(page, "Math.abs(video.currentTime - 2) < 0.05")
    assert page.locator(".player video").evaluate("video => video.mine") == "the same element"


@pytest.fixture
def short_lived(tmp_path: Path) -> Iterator[Served]:
    """A server whose media addresses end after forty seconds at most."""
    yield from serve(make_home(tmp_path), tmp_path, VIDEO_PLATFORM_WEB__MEDIA_URL_S="40")


def test_open_page_outlives_its_media_addresses(page: Page, short_lived: Served) -> None:
    page.goto(f"{short_lived.url}{layout.page_video(short_lived.seeded.home.ready.video_id, 7.0)}")
    wait(page, "video.readyState >= 2 && Math.abs(video.currentTime - 7) < 0.05")
    first = page.locator(".player video").get_attribute("src")
    page.wait_for_function("first => fetch(first, {cache: 'no-store'}).then(answer => answer.status === 403)", arg=first, polling=500)
    assert first is not None
    # The server refuses the old address now; what the browser's cache still holds of it must not answer in its place.
    page.route(lambda url: url.endswith(first), lambda route: route.fulfill(status=403, body="expired"))
    page.locator(".player video").evaluate("video => video.load()")
    wait(page, "video.readyState >= 2 && Math.abs(video.currentTime - 7) < 0.05")
    assert page.locator(".player video").get_attribute("src") != first
    assert page.locator(".player .trouble").is_hidden()


def test_link_to_a_moment_leads_there(page: Page, served: Served) -> None:
    open_video(page, served.seeded.home.hostile.video_id, 4.0)
    wait(page, "Math.abs(video.currentTime - 4) < 0.05")
    page.locator(".player .link").click()
    expect(page.locator(".player .link")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{served.url}{layout.page_video(served.seeded.home.hostile.video_id, 4.0)}"
