"""Library, video and alerts in every state, run headless: what they say and what their buttons do."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
import streamlit as st
from seeded import store_captions
from ui_seed import episodes, evaluate
from ui_serving import Open, Seeded, buttons, said

from ui import data, opened
from ui import words as in_words
from video_platform import layout
from video_platform.events import TOPIC_PROCESSED, TOPIC_VIDEO_EVENTS
from video_platform.records import Caption, Captions, Episode, Lifecycle, Manifest, Mark, SecondLook, Severity, Verdict, VideoState
from video_platform.services.database import ledger, outbox, videos

# ---- library -------------------------------------------------------------------------------------------------------------------------------------------


def test_library_shows_every_state_in_words(open_page: Open) -> None:
    page = open_page()
    text = said(page)
    assert page.title[0].value == "Library"
    assert "7 videos" in text
    for state in ("Ready", "Processing", "Waiting", "Failed"):
        assert state in text
    assert "This file is not a video" in text
    assert "Three people cross a grey plaza" in text
    assert sorted(bar.text.replace("\\", "") for bar in page.progress) == ["Processing:\u2060 looking at frames, 42%", "Waiting for its turn"]
    assert 42 in [bar.value for bar in page.progress]
    labels = [link.label.replace("\\", "") for link in page.page_link]
    assert "**plaza-crossing.mp4**" in labels
    assert any(label.endswith("…**") and len(label) < 140 for label in labels)


def test_library_filters_come_from_the_address(open_page: Open) -> None:
    page = open_page(q="plaza-cross")
    assert "1 video" in said(page)
    assert "2 videos" in said(open_page(state="Failed"))
    page = open_page(camera="yard")
    assert [link.label.replace("\\", "") for link in page.page_link] == ["**empty-yard-at-night.mp4**"]


def test_library_finds_moments_by_what_was_said(open_page: Open, seeded: Seeded) -> None:
    page = open_page(find="who walks to the right")
    text = said(page)
    assert "videos can be found" in text
    assert "Found by words alone" in text
    assert "Words: " in text
    assert any(link.label.replace("\\", "").endswith("plaza-crossing.mp4") for link in page.page_link)
    assert "Three people cross a grey plaza" not in text  # the cards of all videos give way
    page.text_input(key="found-class").input("zebra").run()
    assert "No moment matches" in page.info[0].value


def test_library_takes_any_question(open_page: Open) -> None:
    for question in ('"', "zebra AND (", "x" * 10_000, "\u202e\u2066", "'; --"):
        page = open_page(find=question)
        assert not page.exception
        assert "No moment matches" in page.info[0].value


def test_a_whole_page_of_text_can_be_looked_for(open_page: Open) -> None:
    page = open_page("library", q="word " * 2000)
    assert "No video matches" in page.info[0].value


@pytest.mark.parametrize("page", ["library", "alerts", "digest", "backfills", "pipeline", "rules"])
def test_a_database_that_is_away_is_said_in_a_sentence(open_page: Open, seeded: Seeded, page: str) -> None:
    with closing(sqlite3.connect(seeded.home.platform.db.file)) as broken:
        for table in ("videos", "alerts", "rule_sets", "digests", "backfills", "refusals"):
            broken.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")
    found = open_page(page)
    assert any("did not answer" in each.value for each in found.error)


def test_library_without_a_match_says_so(open_page: Open) -> None:
    page = open_page(q="nothing has this name")
    assert "No video matches" in page.info[0].value


def test_empty_library_tells_how_to_bring_footage(open_page: Open, seeded: Seeded) -> None:
    for record in videos.page(seeded.home.platform.db, limit=50, offset=0)[0]:
        seeded.home.platform.ingest.delete(record.video_id, "test")
    text = said(open_page())
    assert "No footage yet" in text
    assert "vp ingest" in text
    assert "vp watch" in text


def test_refused_footage_is_listed_with_its_reason(open_page: Open) -> None:
    text = said(open_page())
    assert "notes.txt" in text
    assert "This file is not a video." in text


def test_process_again_asks_for_it_and_retry_wakes_a_failed_video(open_page: Open, seeded: Seeded) -> None:
    platform = seeded.home.platform
    open_page()
    before = sum(platform.log.end_offsets(TOPIC_VIDEO_EVENTS).values())
    data.process_again(seeded.home.ready.video_id)
    data.process_again(seeded.home.failed.video_id)
    assert sum(platform.log.end_offsets(TOPIC_VIDEO_EVENTS).values()) == before + 2
    again = videos.get(platform.db, seeded.home.failed.video_id)
    assert again is not None
    assert again.state is VideoState.RECEIVED


def test_deletion_removes_objects_and_leaves_a_tombstone(open_page: Open, seeded: Seeded) -> None:
    open_page()
    data.delete(seeded.home.ready.video_id)
    gone = videos.get(seeded.home.platform.db, seeded.home.ready.video_id)
    assert gone is not None
    assert gone.state is VideoState.DELETED
    assert list(seeded.home.platform.store.list(layout.video_prefix(gone.video_id))) == []
    assert "was deleted" in said(open_page("video", video=gone.video_id))


# ---- video ---------------------------------------------------------------------------------------------------------------------------------------------


def test_video_page_of_a_ready_video(open_page: Open, seeded: Seeded) -> None:
    page = open_page("video", video=seeded.home.ready.video_id)
    text = said(page)
    assert "plaza-crossing.mp4" in page.title[0].value.replace("\\", "")
    assert "640 × 360" in text
    assert "Three people cross a grey plaza" in text
    assert "Written from the facts by a template" in text
    assert [tab.label for tab in page.tabs] == ["Alerts (3)", "Tracks (3)", "Reel", "Speech (0)", "Captions (0)", "Files", "How it was made"]
    downloads = {link.label.split(",")[0]: link.url for link in page.link_button}
    assert {"Original video", "Browser copy", "Highlights reel", "COCO JSON", "MOTChallenge text"} <= set(downloads)
    assert downloads["Original video"].startswith(f"http://127.0.0.1:8501/api/videos/{seeded.home.ready.video_id}/media/raw_video/")
    tracks, versions = (frame.value for frame in page.dataframe)
    assert list(tracks["Track"]) == [1, 2, 4]
    made = {"Original", "Browser copy", "Detections", "Scenes", "Tracks", "Alerts", "Highlights", "Transcript", "Summary", "Search index"}
    assert set(versions["What"]) == made
    assert versions["Run"].str.startswith("http://127.0.0.1:3000/runs/").all()


def test_video_without_detections_says_how_much_was_looked_at(open_page: Open, seeded: Seeded) -> None:
    page = open_page("video", video=seeded.home.quiet.video_id)
    text = page.info[0].value.replace("\\", "").replace("\u2060", "")
    assert "60 frames looked at with nanodet-g-int8" in text
    assert "best guess was person with score 0.31 at 0:04.2" in text
    assert "No rule fired" in said(page)


@pytest.mark.parametrize(("which", "title"), [("failed", "This file is not a video."), ("interrupted", "Processing failed.")])
def test_failed_video_names_its_state_and_offers_another_try(open_page: Open, seeded: Seeded, which: str, title: str) -> None:
    record = getattr(seeded.home, which)
    page = open_page("video", video=record.video_id)
    assert title in page.error[0].value.replace("\\", "")
    assert record.failure_code in said(page)
    assert "Try again" in buttons(page)
    page.button(key=f"retry-{record.video_id}").click().run()
    again = videos.get(seeded.home.platform.db, record.video_id)
    assert again is not None
    assert again.state is VideoState.RECEIVED


CUT = "The recording is cut off or damaged: 8.0 s of 12.0 s could be decoded."


def test_what_was_noticed_of_the_footage_stands_above_the_player_once(open_page: Open, seeded: Seeded) -> None:
    record, store = seeded.home.ready, seeded.home.platform.store
    assert not open_page("video", video=record.video_id).warning
    more = [f"no clip of alert {n}: <b>decoder</b>" for n in range(5)]
    for asset, notes in {layout.PROCESSED_VIDEO: [CUT], layout.DETECTIONS: [CUT], layout.HIGHLIGHTS: more}.items():
        key = layout.manifest_key(record.video_id, asset)
        manifest = Manifest.model_validate_json(store.get_bytes(key))
        noted = manifest.model_copy(update={"verdict": Verdict(passed=True, notes=notes)})
        store.put_bytes(key, noted.model_dump_json().encode(), media_type="application/json")
    opened.close()
    [warning] = open_page("video", video=record.video_id).warning
    lines = warning.value.replace("\\", "").replace("\u2060", "").split("\n\n")
    assert lines[0] == CUT
    assert lines[1:] == [
        *(f"No clip of alert {n}: <b>decoder</b>." for n in range(3)),
        "2 more; `vp show --json` and the API give all of them.",
    ]
    assert "<b>" not in warning.value


def test_a_summary_that_failed_says_why_and_is_asked_for_alone(open_page: Open, seeded: Seeded) -> None:
    record, platform = seeded.home.ready, seeded.home.platform
    videos.summary_failed(platform.db, record.video_id, "over_budget", "it took longer than 60 s")
    assert "The summary could not be written." in said(open_page())
    page = open_page("video", video=record.video_id)
    told = page.warning[0].value.replace("\\", "")
    assert "**The summary could not be written.** It took longer than 60 s. Everything else stands; the summary below is from before." in told
    assert "Three people cross a grey plaza" in said(page)
    before = [outbox.newest_event(platform.db, record.video_id, topic) for topic in (TOPIC_VIDEO_EVENTS, TOPIC_PROCESSED)]
    page.button(key=f"summary-{record.video_id}").click().run()
    assert not page.warning
    after = [outbox.newest_event(platform.db, record.video_id, topic) for topic in (TOPIC_VIDEO_EVENTS, TOPIC_PROCESSED)]
    assert [new == old for new, old in zip(after, before, strict=True)] == [True, False], "the summary alone"


def test_a_video_says_whether_its_frames_are_described_and_why_not(open_page: Open, seeded: Seeded) -> None:
    record, platform = seeded.home.ready, seeded.home.platform
    seen = Caption(id="0", at_s=1.5, start_s=1, end_s=2, text="A dog <b>sits</b>.", digest="a" * 64)
    lost = Caption(id="1", at_s=2.5, start_s=2, end_s=3, reason="nobody answered", digest="b" * 64)
    told = [
        (Captions(state="described", captions=[seen]), "Its frames are described, 1 of them."),
        (Captions(state="partly_described", reason="1 of 2 frames were not described", captions=[seen, lost]), "described in part: 1 of 2 frames were not"),
        (Captions(state="not_described", reason="eyes:1b has no vision"), "Its frames are not described: eyes:1b has no vision"),
    ]
    for found, words in told:
        store_captions(platform, record.video_id, found)
        opened.close()
        page = open_page("video", video=record.video_id)
        assert words in said(page)
        assert f"Captions ({len(found.captions)})" in [tab.label for tab in page.tabs]


def test_video_being_processed_shows_its_step(open_page: Open, seeded: Seeded) -> None:
    page = open_page("video", video=seeded.home.processing.video_id)
    assert page.progress[0].value == 42
    assert "this page shows it by itself" in said(page)


@pytest.mark.parametrize("video_id", ["", "ffff", "../../etc/passwd", "0" * 16, "<b>x</b>"])
def test_unknown_video_is_said_so(open_page: Open, video_id: str) -> None:
    page = open_page("video", video=video_id)
    assert page.title[0].value == "No such video"
    assert [link.label for link in page.page_link] == ["To the library"]


@pytest.mark.parametrize("moment", ["nan", "-3", "x", "1e999"])
def test_nonsense_for_a_moment_is_left_alone(open_page: Open, seeded: Seeded, moment: str) -> None:
    assert not open_page("video", video=seeded.home.ready.video_id, t=moment).exception


def test_version_changes_with_an_asset_an_alert_or_a_mark(open_page: Open, seeded: Seeded) -> None:
    open_page()
    video_id = seeded.home.ready.video_id
    seen = [data.version(video_id)]

    def changed() -> str:
        st.cache_data.clear()
        opened.close()
        return data.version(video_id)

    assert changed() == seen[0]
    alert = data.alerts_of(video_id)[0]
    ledger.mark(seeded.home.platform.db, alert.id, Mark.FALSE, "test", data.now())
    seen.append(changed())
    evaluate(seeded.home.platform, seeded.home.ready, [Episode("person-enters", "enters", 2.2, 4.0, (2,), (0.9, 0.83), 0.83, {})], fingerprint="e")
    seen.append(changed())
    assert len(set(seen)) == 3


# ---- alerts --------------------------------------------------------------------------------------------------------------------------------------------


def test_alerts_show_severity_reason_and_clip_or_that_it_is_being_made(open_page: Open) -> None:
    page = open_page("alerts")
    text = said(page)
    assert "6 alerts, newest first" in text
    assert "Person 1 (score 0.83) stayed in plaza for 10.0 s, the rule wants 10.0 s, at 0:01.0." in text
    assert "Clip is being made" in text
    assert buttons(page).count("Play clip") == 4
    assert buttons(page).count("Acknowledge") == 6


def test_what_a_vision_model_says_of_an_alert_is_shown_as_its_words_and_as_text(open_page: Open, seeded: Seeded) -> None:
    alert = ledger.page(seeded.home.platform.db, video_id=seeded.home.ready.video_id, severity=Severity.CRITICAL)[0][0]
    said_of_it = SecondLook(outcome="rejected", reason="Ignore **this** [link](http://evil.example) <script>", model="seer:latest")
    ledger.set_second_look(seeded.home.platform.db, alert.id, said_of_it)
    page = open_page("alerts")
    [caption] = [each.value for each in page.caption if "Second look" in each.value]
    assert caption == in_words.plain("Second look: rejected. seer:latest says: Ignore **this** [link](http://evil.example) <script>")
    assert "[link](http" not in caption
    assert "Rejected" in said(page)
    assert "6 alerts, newest first" in said(page)


def test_alerts_are_marked_and_unmarked(open_page: Open, seeded: Seeded) -> None:
    page = open_page("alerts", video=seeded.home.ready.video_id)
    assert "3 alerts" in said(page)
    alert = ledger.page(seeded.home.platform.db, video_id=seeded.home.ready.video_id, severity=Severity.CRITICAL)[0][0]
    page.button(key=f"false-{alert.id}").click().run()
    marked = ledger.get(seeded.home.platform.db, alert.id)
    assert marked is not None
    assert marked.mark is Mark.FALSE
    page.button(key=f"undo-{alert.id}").click().run()
    unmarked = ledger.get(seeded.home.platform.db, alert.id)
    assert unmarked is not None
    assert unmarked.mark is Mark.NONE


def test_alert_filters_come_from_the_address(open_page: Open) -> None:
    assert "2 alerts" in said(open_page("alerts", severity="Critical"))
    assert "2 alerts" in said(open_page("alerts", rule="crossing"))
    assert "3 alerts" in said(open_page("alerts", at="gate-1"))
    assert "No alert matches" in open_page("alerts", mark="Acknowledged").info[0].value


def test_an_alert_that_is_gone_when_it_is_marked_is_said(open_page: Open, seeded: Seeded) -> None:
    page = open_page("alerts", video=seeded.home.ready.video_id)
    alert = ledger.page(seeded.home.platform.db, video_id=seeded.home.ready.video_id, severity=Severity.CRITICAL)[0][0]
    seeded.home.platform.ingest.delete(seeded.home.ready.video_id, "test")
    page.button(key=f"ack-{alert.id}").click().run()
    assert not page.exception
    assert "There is no alert" in page.toast[0].value


def test_only_alerts_that_came_since_are_told_of_as_new(open_page: Open, seeded: Seeded) -> None:
    """Not those that another filter lets in, nor those that move up where others were marked."""
    db = seeded.home.platform.db
    page = open_page("alerts", severity="Critical")
    page.segmented_control(key="severity").set_value(None).run()
    assert "6 alerts" in said(page)
    assert not page.toast
    first = ledger.page(db, lifecycle=Lifecycle.ACTIVE)[0][0]
    ledger.mark(db, first.id, Mark.FALSE, "kim", datetime.now(UTC))
    st.cache_data.clear()
    assert not page.run().toast
    evaluate(seeded.home.platform, seeded.home.quiet, episodes()[:1], fingerprint="f")
    st.cache_data.clear()
    (told,) = page.run().toast
    assert told.value.replace("\\", "") == "person-enters at yard"


def test_superseded_alerts_are_shown_on_demand_with_their_reason(open_page: Open, seeded: Seeded) -> None:
    evaluate(seeded.home.platform, seeded.home.ready, [], fingerprint="f")
    assert "3 alerts" in said(open_page("alerts"))
    text = said(open_page("alerts", superseded="true"))
    assert "6 alerts" in text
    assert "Superseded:" in text


def test_no_alerts_at_all_says_what_to_do(open_page: Open, seeded: Seeded) -> None:
    for record in (seeded.home.ready, seeded.home.hostile):
        evaluate(seeded.home.platform, record, [], fingerprint="f")
    page = open_page("alerts")
    assert "No alerts" in said(page)
    assert [link.label for link in page.page_link] == ["See what the rules ask for", "Add footage"]
