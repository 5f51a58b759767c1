"""The Pipeline page: figures, health, runs in words, failures with their button, what nobody can use."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from streamlit.testing.v1 import AppTest
from ui_seed import HOSTILE
from ui_serving import APP, RUN_S, Open, Seeded, said

from ui import operating, rights
from video_platform import events
from video_platform.access import Person, Role
from video_platform.dead_letters import letter
from video_platform.errors import NotAllowed
from video_platform.events import Message
from video_platform.pipeline.instance import open_instance
from video_platform.records import QUARANTINED, VideoState
from video_platform.services.database import measures, videos
from video_platform.services.relay import HEARTBEAT


@dg.job
def process_video():
    pass


@dg.job
def describe_video():
    pass


def all_said(page: AppTest) -> str:
    """All text of a page with the words of its links and of what can be opened."""
    labels = [*(link.label for link in page.page_link), *(link.label for link in page.link_button), *(expander.label for expander in page.expander)]
    return "\n".join([said(page), *(label.replace("\\", "").replace("\u2060", "") for label in labels)])


def tables(page: AppTest) -> str:
    return "\n".join(frame.value.to_csv() for frame in page.dataframe)


def test_a_home_on_which_nothing_runs_says_what_does_not_run(open_page: Open, seeded: Seeded) -> None:
    page = open_page("pipeline")
    text = all_said(page)
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures == {"Waiting": "1", "Processing": "1", "Ready": "3", "Failed": "2", "Runs queued": "0"}
    assert "3 parts not well" in text
    assert "vp up" in text
    assert "notes.txt" in tables(page)
    assert "This file is not a video." in text
    assert "Detections" in tables(page)
    badges = "\n".join(str(element.value) for element in page.markdown)
    assert "Models being fetched" in badges
    assert "http://127.0.0.1:3000/runs" in [link.url for link in page.link_button]


def test_failures_have_a_button_that_asks_again(open_page: Open, seeded: Seeded) -> None:
    record = seeded.home.failed
    page = open_page("pipeline")
    page.button(key=f"again-video-{record.video_id}").click().run()
    assert not page.exception
    again = videos.get(seeded.home.platform.db, record.video_id)
    assert again is not None
    assert again.state is VideoState.RECEIVED


def test_quarantine_and_summaries_stand_apart(open_page: Open, seeded: Seeded) -> None:
    db = seeded.home.platform.db
    videos.failed(db, seeded.home.interrupted.video_id, None, QUARANTINED, "Processing was ended 3 times, it waits for you.")
    videos.summary_failed(db, seeded.home.ready.video_id, "ModelUnavailable", "llama3 did not answer")
    page = open_page("pipeline")
    text = all_said(page)
    assert "In quarantine: 1 video." in text
    assert "Could not be processed: 1 video." in text
    assert "Ready, without a summary: 1 video." in text
    assert "Llama3 did not answer." in text
    page.button(key=f"again-summary-{seeded.home.ready.video_id}").click().run()
    after = videos.get(db, seeded.home.ready.video_id)
    assert after is not None
    assert after.summary_failure_code is None


def test_runs_are_told_in_words(open_page: Open, seeded: Seeded) -> None:
    home = seeded.home
    with open_instance(home.platform.settings) as instance:
        tags = {"dagster/partition": home.processing.video_id, "vp/lane": "live"}
        instance.create_run_for_job(process_video, status=dg.DagsterRunStatus.STARTED, tags=tags)
        instance.create_run_for_job(describe_video, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": home.hostile.video_id})
        instance.create_run_for_job(
            process_video, status=dg.DagsterRunStatus.NOT_STARTED, tags={"dagster/partition": home.received.video_id, "vp/lane": "live"}
        )
    page = open_page("pipeline")
    text = all_said(page)
    assert "looking at frames, 42%" in text
    assert "Writing the summary" in text
    assert {metric.label: metric.value for metric in page.metric}["Runs queued"] == "1"
    assert '"Queue, live",1 run' in tables(page) or "Queue, live,1 run" in tables(page)
    raw = "\n".join(str(element.value) for element in page.markdown)
    assert HOSTILE not in raw


def test_dead_letters_are_listed_with_their_reason(open_page: Open, seeded: Seeded) -> None:
    message = Message(b"k", b"v", ())
    found = letter(message, topic="video-events", partition=2, offset=17, reason="malformed", detail="<b>not</b> JSON")
    seeded.home.platform.log.append(events.TOPIC_DEAD_LETTERS, [found])
    page = open_page("pipeline")
    assert "Dead letters: 1 message" in all_said(page)
    assert "video-events/2/17" in tables(page)
    assert "malformed" in tables(page)


def test_a_relay_that_lives_is_no_trouble(open_page: Open, seeded: Seeded) -> None:
    measures.beat(seeded.home.platform.db, HEARTBEAT, "here:1", datetime.now(UTC))
    assert "2 parts not well" in all_said(open_page("pipeline"))


@pytest.mark.parametrize("person", [Person("vera", Role.VIEWER), Person("olga", Role.OPERATOR, ("gate-*",))], ids=lambda person: person.name)
def test_who_may_not_see_all_cameras_sees_nothing_of_it(open_page: Open, seeded: Seeded, monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setattr(rights, "person", lambda: person)
    with pytest.raises(NotAllowed):
        rights.must_see_pipeline()
    page = AppTest.from_file(str(APP.with_name("views") / "pipeline.py"), default_timeout=RUN_S).run()
    assert "operators and admins" in page.error[0].value
    assert not page.dataframe
    assert not page.metric


@pytest.mark.usefixtures("open_page")
def test_what_is_read_is_kept_for_a_moment(open_page: Open, seeded: Seeded) -> None:
    open_page("pipeline")
    before = operating.tallies()
    videos.failed(seeded.home.platform.db, seeded.home.received.video_id, None, "x", "y")
    assert operating.tallies() is before or operating.tallies() == before
    operating.forget()
    assert operating.tallies() != before
