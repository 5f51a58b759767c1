"""Subtitles in a real browser: shown, switched off, never markup; and what the page says where there are none."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from seeded import transcribe
from ui_browser import PHONE, WIDE, look, opened
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


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (
            "unknown_language",
            "somebody speaks, but the model knows English only",
            "No subtitles: speech that was not understood",
        ),
        ("no_audio", "it has no sound that can be read", "No subtitles: no sound"),
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
