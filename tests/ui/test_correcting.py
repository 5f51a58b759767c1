"""The form that corrects camera and recording time, on the page of a video."""

from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest
from ui_serving import Open, Seeded

from video_platform.records import VideoRecord
from video_platform.services.database import videos


def corrected(page: AppTest, **told: str) -> AppTest:
    for field, text in told.items():
        page.text_input(key=f"correct-{field}").input(text)
    next(each for each in page.button if each.label == "Correct").click().run()
    assert not page.exception
    return page


def stored(seeded: Seeded) -> VideoRecord:
    found = videos.get(seeded.home.platform.db, seeded.home.ready.video_id)
    assert found
    return found


def test_camera_and_time_are_corrected_by_the_clock_of_the_camera(open_page: Open, seeded: Seeded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_PLATFORM_RECORDING__TIMEZONE", "Europe/Berlin")
    page = open_page("video", video=seeded.home.ready.video_id)
    assert page.text_input(key="correct-time").label == "First frame recorded at (Europe/Berlin)"
    corrected(page, camera="gate-7", time="2026-07-01 08:30")
    assert (stored(seeded).camera, stored(seeded).recorded_at) == ("gate-7", datetime(2026, 7, 1, 6, 30, tzinfo=UTC))
    assert page.text_input(key="correct-time").value == "2026-07-01 08:30:00"
    corrected(page, time="2026-07-01T08:30+05:30")
    assert stored(seeded).recorded_at == datetime(2026, 7, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"time": "yesterday"}, "'yesterday' is not a time"),
        ({"time": "0001-01-01T00:00+10:00"}, "is not a time"),
        ({"time": "2999-01-01 08:30"}, "2999"),
        ({"camera": "../gate"}, "cannot be used"),
        ({}, "Nothing was changed"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(open_page: Open, seeded: Seeded, told: dict[str, str], says: str) -> None:
    before = stored(seeded)
    page = corrected(open_page("video", video=before.video_id), **told)
    assert says in " ".join(each.value for each in (*page.error, *page.info, *page.toast))
    assert stored(seeded) == before
