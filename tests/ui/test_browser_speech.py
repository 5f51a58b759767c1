"""Subtitles in a real browser: shown, switched off, never markup; and what the page says where there are none."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from seeded import ingest, store_playable, transcribe
from ui_browser import PHONE, WIDE, look, opened
from ui_seed import footage, jpeg
from ui_serving import Served

from video_platform import layout
from video_platform.records import SpeechSegment, SpokenWord, Transcript

pytestmark = pytest.mark.browser

HOSTILE = "<b>Fire</b> <script>window.pwned=1</script> --> call & run"


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    made = opened(browser, served, viewport=WIDE)
    yield made
    made.context.close()


def segment(id_: str, text: str, start_s: float, end_s: float) -> SpeechSegment:
    words = text.split(" ")
    step = (end_s - start_s) / len(words)
    spoken = [SpokenWord(text=word, start_s=start_s + at * step, end_s=start_s + (at + 1) * step, probability=0.9) for at, word in enumerate(words)]
    return SpeechSegment(id=id_, text=text, start_s=start_s, end_s=end_s, words=spoken)


SPOKEN = Transcript(state="spoken", language="en", segments=[segment("0", "There is a fire on the second floor.", 2.0, 5.0), segment("1", HOSTILE, 6.0, 9.0)])


def active(page: Page) -> list[str]:
    """The texts of the cues that the browser shows now."""
    return page.locator(".player video").evaluate(
        """video => [...video.textTracks].filter(track => track.mode === "showing").flatMap(track => [...track.activeCues].map(cue => cue.text))"""
    )


def shown(page: Page, at_s: float) -> list[str]:
    """What is shown at a moment."""
    page.locator(".player video").evaluate(
        """(video, at) => new Promise(done => {
            video.addEventListener("seeked", () => requestAnimationFrame(() => requestAnimationFrame(done)), {once: true});
            video.currentTime = at;
        })""",
        at_s,
    )
    return active(page)


def test_what_is_said_is_shown_under_the_moment_and_can_be_switched_off(page: Page, served: Served) -> None:
    home = served.seeded.home
    transcribe(home.platform, home.ready, SPOKEN)
    page.goto(layout.page_video(home.ready.video_id))
    page.locator('.player[data-subtitles="2"]').wait_for()
    page.locator(".player[data-tracks]").wait_for()
    assert shown(page, 1.0) == []
    assert shown(page, 3.0) == ["There is a fire on the second floor."]
    look(page, "subtitles")
    (hostile,) = shown(page, 7.0)
    assert hostile == "&lt;b&gt;Fire&lt;/b&gt; &lt;script&gt;window.pwned=1&lt;/script&gt; --&gt; call &amp; run"
    assert page.locator(".player video").evaluate("video => video.textTracks[0].activeCues[0].getCueAsHTML().textContent") == HOSTILE
    page.get_by_role("checkbox", name="Subtitles").uncheck()
    assert shown(page, 3.0) == []
    page.locator(".player").press("c")
    assert active(page) == ["There is a fire on the second floor."]
    assert page.evaluate("window.pwned") is None


def picture(page: Page) -> np.ndarray:
    """What stands on the screen where the video is, (H, W, 3) uint8 BGR."""
    return cv2.imdecode(np.frombuffer(page.locator(".player .stage").screenshot(), np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_subtitles_are_seen_over_the_footage_and_keep_off_its_edge(browser: Browser, served: Served, viewport: dict[str, int]) -> None:
    home = served.seeded.home
    transcribe(home.platform, home.ready, SPOKEN)
    page = opened(browser, served, viewport=viewport)
    page.goto(layout.page_video(home.ready.video_id))
    page.locator('.player[data-subtitles="2"]').wait_for()
    page.locator(".player[data-tracks]").wait_for()
    shown(page, 3.0)
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    with_words = picture(page)
    page.get_by_role("checkbox", name="Subtitles").uncheck()
    without = picture(page)
    height, width, _ = without.shape
    rows, columns = np.nonzero(np.abs(with_words.astype(int) - without).max(axis=2) > 40)
    assert rows.min() > 0.7 * height, "below the middle of the picture"
    assert height - 1 - rows.max() >= 0.02 * height, "its edge is not touched"
    assert columns.max() - columns.min() > 0.3 * width
    assert abs((columns.max() + columns.min()) / 2 - width / 2) < 0.03 * width
    page.context.close()


def test_a_line_of_speech_seeks_the_player(page: Page, served: Served) -> None:
    home = served.seeded.home
    transcribe(home.platform, home.ready, SPOKEN)
    page.goto(layout.page_video(home.ready.video_id))
    page.locator('.player[data-subtitles="2"]').wait_for()
    page.get_by_role("tab", name="Speech (2)").click()
    page.get_by_role("button", name="There is a fire on the second floor.").click()
    page.wait_for_function(
        """() => {
            const deep = root => [...root.querySelectorAll("*")].flatMap(each => each.shadowRoot ? [each, ...deep(each.shadowRoot)] : [each]);
            return Math.abs(deep(document).find(each => each.tagName === "VIDEO").currentTime - 2) < 0.1;
        }"""
    )
    look(page, "speech")


SOUND_RATE = 48_000
PATIENCE_MS = 20_000


def sounding_on(folder: Path, pictures_s: float, sound_s: float) -> bytes:
    """An MP4 whose sound lasts longer than its pictures."""
    footage(folder / "pictures.mp4", 90, seconds=pictures_s)
    tone = np.sin(np.arange(int(sound_s * SOUND_RATE)) * 0.05).astype(np.float32)
    with av.open(str(folder / "pictures.mp4")) as source, av.open(str(folder / "both.mp4"), "w") as made:
        pictures, sound = made.add_stream_from_template(source.streams.video[0]), made.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                made.mux(packet)
        for at in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
            made.mux(sound.encode(frame))
        made.mux(sound.encode(None))
    return (folder / "both.mp4").read_bytes()


def until(page: Page, condition: str) -> None:
    """Until `condition` holds of the player's `video`."""
    page.locator(".player video").evaluate(
        """(video, [condition, limit]) => new Promise((resolve, reject) => {
            const holds = new Function("video", `return ${condition}`), end = performance.now() + limit;
            const look = () => {
                if (holds(video)) resolve();
                else if (performance.now() > end) reject(new Error(`never: ${condition}; at ${video.currentTime}, ready ${video.readyState}`));
                else requestAnimationFrame(look);
            };
            look();
        })""",
        [condition, PATIENCE_MS],
    )


def test_a_link_to_what_is_said_after_the_last_picture_shows_the_last_picture(page: Page, served: Served, tmp_path: Path) -> None:
    platform = served.seeded.home.platform
    media = sounding_on(tmp_path, 2.0, 6.0)
    record = ingest(platform, tmp_path, media, name="sounding on.mp4")
    store_playable(platform, record, media, jpeg(np.zeros((360, 640, 3), np.uint8)), 2.0)
    transcribe(platform, record, Transcript(state="spoken", language="en", segments=[segment("0", "There is a fire.", 4.0, 5.0)]))
    page.goto(layout.page_video(record.video_id, 4.0))
    page.locator('.player[data-subtitles="1"]').wait_for()
    until(page, "video.readyState >= 2 && !video.seeking && video.currentTime > 1.8 && video.currentTime < 2")
    assert page.locator(".player video").evaluate("video => video.duration") == pytest.approx(6.0, abs=0.1)
    assert picture(page).mean() > 60, "the poster is black"
    look(page, "after-the-last-picture")
    page.locator(".player").press("Home")
    until(page, "!video.seeking && video.currentTime < 0.1")
    page.get_by_role("tab", name="Speech (1)").click()
    page.get_by_role("button", name="There is a fire.").click()
    until(page, "video.currentTime > 1.8")


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (
            "unknown_language",
            "somebody speaks, but the model knows English only",
            "No subtitles: speech that was not understood",
        ),
        ("no_audio", "it has no sound that can be read", "No subtitles: it has no sound that can be read"),
        ("not_transcribed", "the files of model whisper-tiny.en are not here", "No subtitles: nobody listened"),
    ],
)
def test_where_there_are_no_subtitles_the_page_says_why(page: Page, served: Served, state: str, reason: str, words: str) -> None:
    home = served.seeded.home
    transcribe(home.platform, home.quiet, Transcript.model_validate({"state": state, "reason": reason}))
    page.goto(layout.page_video(home.quiet.video_id))
    expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_text(reason).first).to_be_visible()
    expect(page.get_by_role("checkbox", name="Subtitles")).to_be_hidden()
    look(page, f"no-subtitles-{state}")
