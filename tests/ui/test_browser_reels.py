"""Reels in a real browser: they play, chapters seek, subtitles are shown; on the page of a video and on that of a day."""

from pathlib import Path

import days
import pytest
import reels_stored
from playwright.sync_api import Browser, Locator, expect
from seeded import store_file, store_manifest
from ui_browser import WIDE, look, opened
from ui_seed import NOW
from ui_serving import Served

from video_platform import digests, layout, reels
from video_platform.analysis.reel_film import RATE, Source, Wanted, lapse, reel
from video_platform.analysis.reel_words import Cue, vtt
from video_platform.pipeline.made import Handle

pytestmark = pytest.mark.browser

SPANS = ((1.0, 3.0, "person-enters"), (6.0, 3.0, "<b>crossing</b>"))


@pytest.fixture(scope="module")
def stored(served: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Real films of the footage of the ready video, as a video and a day have them; and a transcript, where this platform makes any."""
    platform, record = served.seeded.home.platform, served.seeded.home.ready
    folder = tmp_path_factory.mktemp("films")
    copy, tracks = (Handle(platform.store, folder, record.video_id, asset) for asset in (layout.PROCESSED_VIDEO, layout.TRACKS))
    assert record.recorded_at is not None
    source = Source(copy.path("video"), tracks.path("tracks"), record.camera, record.recorded_at.isoformat(), "UTC")
    wanted = [Wanted(0, start, start + length, title) for start, length, title in SPANS]
    how = {"limits": None, "threads": 2, "on_progress": lambda *_: None}
    film = Path(reel(folder / "reel.mp4", [source], wanted, **how)["path"]).read_bytes()
    fast = Path(lapse(folder / "lapse.mp4", source, [index * 4 / RATE for index in range(40)], 4.0, **how)["path"]).read_bytes()
    shown = reels_stored.pieces(record, *SPANS)
    reels_stored.of_video(platform, record, film, shown, fast)
    zone, _ = digests.zone_of(platform.settings)
    day = record.recorded_at.astimezone(zone).date()
    days.make(platform, day, NOW)
    reels_stored.of_day(platform, day, film, shown)
    if reels.TRANSCRIPT in layout.ASSETS:
        entry = store_file(
            platform, record.video_id, reels.TRANSCRIPT, reels.SUBTITLES, vtt([Cue(0.0, 12.0, "<i>good morning</i>")]).encode(), "vtt", "text/vtt"
        )
        store_manifest(platform, record.video_id, reels.TRANSCRIPT, [entry])


def plays(film: Locator) -> None:
    """Until the film has really gone on; a browser that cannot decode it says so."""
    film.locator("video").evaluate(
        """(video) => new Promise((resolve, reject) => {
            video.muted = true;
            const end = setTimeout(() => reject(new Error(`not played: at ${video.currentTime}, ready ${video.readyState}`)), 100000);
            video.addEventListener("timeupdate", () => { if (video.currentTime > 0.5 && video.videoWidth) { clearTimeout(end); resolve(); } });
            video.addEventListener("error", () => reject(new Error(video.error?.message)));
            video.play().catch(reject);
        })"""
    )


def state(film: Locator) -> dict[str, object]:
    return film.locator("video").evaluate(
        """(video) => ({at: video.currentTime, length: video.duration, size: [video.videoWidth, video.videoHeight],
            said: video.parentElement.querySelector(".said").textContent,
            below: video.clientHeight - (video.clientWidth * video.videoHeight) / video.videoWidth,
            cues: [...video.textTracks].map((track) => [track.kind, [...(track.cues ?? [])].map((cue) => cue.text)])})"""
    )


@pytest.mark.parametrize("where", ["video", "day"])
def test_a_reel_plays_and_its_chapters_seek(browser: Browser, served: Served, stored: None, where: str) -> None:
    record = served.seeded.home.ready
    page = opened(browser, served, viewport=WIDE)
    if where == "video":
        page.goto(layout.page_video(record.video_id))
        page.get_by_role("tab", name="Reel").click()
    else:
        page.goto("/days")
    film = page.locator("section.reel")
    expect(film.get_by_role("button", name="person-enters")).to_be_visible()
    plays(film)
    found = state(film)
    assert found["length"] == pytest.approx(6.0, abs=0.2)
    width, height = found["size"]
    assert width == 640
    assert height > 360, "the strip stands below the picture"
    assert found["below"] > 50, "the browser's bar has a place of its own and does not cover the strip"
    assert found["cues"][0] == ["chapters", [title for *_, title in SPANS]]
    if reels.TRANSCRIPT in layout.ASSETS:
        assert found["said"] == "<i>good morning</i>", "below the film, as text"
        assert found["cues"][1] == ["subtitles", ["&lt;i&gt;good morning&lt;/i&gt;"] * 2]
    second = film.get_by_role("button", name="<b>crossing</b>")
    film.locator("video").evaluate("(video) => video.pause()")
    second.click()
    expect(film.locator("li.now")).to_contain_text("<b>crossing</b>")
    assert state(film)["at"] >= 3.0
    assert film.locator("li b").count() == 0
    link = film.get_by_role("link", name="person-enters, in the video")
    assert link.get_attribute("href") == layout.page_video(record.video_id, 1.0)
    expect(film.locator(".trouble")).to_be_hidden()
    film.locator("video").evaluate("(video) => video.pause()")
    look(page, f"reel-{where}")
    if where == "video":
        lapse_of = page.get_by_label("Time-lapse")
        length = lapse_of.evaluate(
            """(video) => new Promise((resolve, reject) => {
                video.onloadedmetadata = () => resolve(video.duration);
                video.onerror = reject;
                video.preload = "auto";
                video.load();
            })"""
        )
        assert length == pytest.approx(40 / RATE, abs=0.2)
    page.context.close()
