from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from video_platform.errors import NotFound, RulesError, VideoDeleted
from video_platform.records import Episode, Lane, Severity, VideoRecord, VideoState
from video_platform.services.database import Database, ledger, refusals, rulesets, videos


def state(db: Database, video: VideoRecord) -> VideoState:
    found = videos.get(db, video.video_id)
    assert found is not None
    return found.state


def evaluate(db: Database, video: VideoRecord, now: datetime, episodes: list[Episode] | None = None, *, version: str = "r") -> None:
    facts = {"person": (Severity.CRITICAL, ())}
    ledger.reconcile(db, ledger.EvaluationInput(video.video_id, "alerts", "f", "c", "t", version, episodes or [], facts, Lane.LIVE, "run-1", now, "1"))


class TestState:
    def test_the_life_of_a_video(self, db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> None:
        video = add_video()
        videos.started(db, video.video_id, "run-1", "detections")
        videos.progress(db, video.video_id, "detections", 0.4)
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.state, current.run_id, current.step, current.progress) == (VideoState.PROCESSING, "run-1", "detections", 0.4)
        evaluate(db, video, now)
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.state, current.step, current.progress) == (VideoState.READY, None, None)

    def test_progress_of_a_video_that_is_through_is_ignored(self, db: Database, add_video, now: datetime) -> None:
        video = add_video(state="ready")
        videos.progress(db, video.video_id, "tracks", 0.5)
        assert videos.get(db, video.video_id) == video

    def test_a_failure_is_shown_until_a_run_starts(self, db: Database, add_video) -> None:
        video = add_video()
        videos.started(db, video.video_id, "run-1", "detections")
        assert videos.failed(db, video.video_id, "run-1", "not_a_video", "This file is not a video.")
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.state, current.failure_code, current.failure_message) == (VideoState.FAILED, "not_a_video", "This file is not a video.")
        videos.started(db, video.video_id, "run-2", "detections")
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.state, current.failure_code) == (VideoState.PROCESSING, None)

    def test_a_late_word_of_an_older_run_counts_for_nothing(self, db: Database, add_video) -> None:
        video = add_video()
        videos.started(db, video.video_id, "run-2", "detections")
        assert not videos.failed(db, video.video_id, "run-1", "x", "late")
        assert state(db, video) is VideoState.PROCESSING

    def test_a_run_that_failed_before_it_started_anything(self, db: Database, add_video) -> None:
        video = add_video(run_id="run-0")
        assert videos.failed(db, video.video_id, "run-1", "RunFailed", "the process did not start")
        assert state(db, video) is VideoState.FAILED

    def test_a_run_that_is_under_way_is_believed_before_it_began_anything(self, db: Database, add_video) -> None:
        video = add_video(run_id="run-1", state="ready")
        assert not videos.failed(db, video.video_id, "run-0", "x", "late")
        assert state(db, video) is VideoState.READY
        assert videos.failed(db, video.video_id, "run-2", "RulesError", "line 2", under_way=True)
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.state, current.run_id, current.failure_code) == (VideoState.FAILED, "run-2", "RulesError")

    def test_the_last_run_is_believed_only_while_nothing_else_happened(self, db: Database, add_video) -> None:
        video = add_video(run_id="run-0", state="processing")
        assert not videos.ended(db, video, "a request that came later", "run-1", "cancelled", "Cancelled.")
        videos.started(db, video.video_id, "run-2", "detections")
        assert not videos.ended(db, video, None, "run-1", "cancelled", "Cancelled.")
        videos.waits(db, video)
        assert state(db, video) is VideoState.PROCESSING
        seen = videos.get(db, video.video_id)
        assert seen is not None
        videos.waits(db, seen)
        assert state(db, video) is VideoState.RECEIVED
        seen = videos.get(db, video.video_id)
        assert seen is not None
        assert videos.ended(db, seen, None, "run-2", "cancelled", "Cancelled.")
        assert state(db, video) is VideoState.FAILED

    def test_finished_makes_ready_only_what_was_evaluated(self, db: Database, add_video, now: datetime) -> None:
        video = add_video()
        assert not videos.finished(db, video.video_id, "run-1")
        evaluate(db, video, now)
        videos.started(db, video.video_id, "run-1", "highlights")
        assert videos.finished(db, video.video_id, "run-1")
        assert state(db, video) is VideoState.READY

    def test_finished_does_not_hide_a_failure_of_the_same_run(self, db: Database, add_video, now: datetime) -> None:
        video = add_video()
        evaluate(db, video, now)
        videos.started(db, video.video_id, "run-2", "highlights")
        videos.failed(db, video.video_id, "run-2", "WorkerCrashed", "the child died")
        assert not videos.finished(db, video.video_id, "run-2")
        assert videos.finished(db, video.video_id, "run-3")
        assert state(db, video) is VideoState.READY

    def test_described_keeps_the_title_and_leaves_the_video_ready(self, db: Database, add_video, now: datetime) -> None:
        video = add_video()
        evaluate(db, video, now)
        videos.started(db, video.video_id, "run-9", "llm_summary")
        videos.described(db, video.video_id, "Two people cross", run_id="run-9")
        assert state(db, video) is VideoState.READY
        assert videos.facts(db, [video.video_id])[video.video_id].title == "Two people cross"

    def test_a_summary_that_failed_stands_beside_a_ready_video_until_one_is_written(self, db: Database, add_video, now: datetime) -> None:
        video = add_video()
        evaluate(db, video, now)
        assert videos.summary_failed(db, video.video_id, "InvalidResult", "no title")
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.state, current.summary_failure_code, current.summary_failure_message) == (VideoState.READY, "InvalidResult", "no title")
        videos.started(db, video.video_id, "run-2", "tracks")
        videos.described(db, video.video_id, "Two people cross")
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.summary_failure_code, current.summary_failure_message) == (None, None)
        assert not videos.summary_failed(db, add_video(2, state="deleted").video_id, "x", "y")

    def test_a_deleted_video_is_never_worked_on(self, db: Database, add_video) -> None:
        video = add_video(state="deleted")
        with pytest.raises(VideoDeleted):
            videos.started(db, video.video_id, "run", "x")
        assert not videos.failed(db, video.video_id, "run", "x", "y")
        assert not videos.finished(db, video.video_id, "run")
        with pytest.raises(NotFound):
            videos.started(db, "f" * 16, "run", "x")

    def test_what_decoding_told(self, db: Database, add_video, now: datetime) -> None:
        video = add_video()
        videos.set_media(db, video.video_id, 12.5, 1920, 1080, thumbnail="videos/x/scenes/1.jpg", now=now + timedelta(seconds=1))
        videos.set_media(db, video.video_id, 12.5, 1920, 1080, now=now + timedelta(seconds=9))
        current = videos.get(db, video.video_id)
        assert current is not None
        assert (current.duration_s, current.width, current.height, current.updated_at) == (12.5, 1920, 1080, now + timedelta(seconds=1))
        assert videos.facts(db, [video.video_id])[video.video_id].thumbnail == "videos/x/scenes/1.jpg"


class TestLists:
    def test_pages_are_newest_first_without_deleted_ones(self, db: Database, add_video, now: datetime) -> None:
        for number in range(1, 6):
            add_video(number, ingested_at=now + timedelta(minutes=number))
        add_video(9, state="deleted")
        items, total = videos.page(db, limit=2, offset=1)
        assert ([item.original_name for item in items], total) == (["video 4.mp4", "video 3.mp4"], 5)
        assert [item.original_name for item in videos.page(db, states=[VideoState.DELETED])[0]] == ["video 9.mp4"]

    def test_filters(self, db: Database, add_video) -> None:
        add_video(1, original_name="Entrance 100%.mp4", camera="gate")
        add_video(2, original_name="entrance.mp4", camera="yard", state="failed")
        assert videos.page(db, text="ENTRANCE")[1] == 2
        assert videos.page(db, text="yard entr")[1] == 1
        assert videos.page(db, text="100%")[1] == 1
        assert videos.page(db, text="%")[1] == 1
        add_video(3, original_name="ÜBUNG Вход.mp4", state="deleted")
        everything = list(VideoState)
        assert [videos.page(db, states=everything, text=text)[1] for text in ("übung", "ВХОД", "Übung вход")] == [1, 1, 1]
        assert videos.page(db, camera="yard")[1] == 1
        assert videos.page(db, states=[VideoState.FAILED])[1] == 1
        assert videos.page(db, states=[])[1] == 0
        assert videos.cameras(db) == ["gate", "yard"]
        assert videos.counts(db)[VideoState.FAILED] == 1

    def test_facts_count_active_alerts(self, db: Database, add_video, now: datetime) -> None:
        video = add_video()
        evaluate(db, video, now, [Episode("person", "appears", 1, 2, (1,), None, None)])
        assert videos.facts(db, [video.video_id])[video.video_id].alerts == {Severity.CRITICAL: 1}


RULES = "version: 1\nrules:\n  - {name: %s, when: {appears: person}}\n"


class TestRuleSets:
    def test_the_newest_is_active_and_nothing_is_lost(self, db: Database, now: datetime) -> None:
        assert rulesets.active(db) is None
        first = rulesets.apply(db, RULES % "a", source="a.yaml", who="kim", why="start", now=now)
        second = rulesets.apply(db, RULES % "b", source="b.yaml", who="kim", why="better", now=now)
        assert rulesets.active(db) == second
        assert rulesets.versions(db) == [second, first]
        assert first.hash != second.hash

    def test_the_same_text_makes_no_new_version(self, db: Database, now: datetime) -> None:
        first = rulesets.apply(db, RULES % "a", source="a.yaml", who="kim", why="start", now=now)
        assert rulesets.apply(db, RULES % "a", source="a.yaml", who="lee", why="again", now=now) == first

    def test_comments_make_a_new_version_of_the_same_hash(self, db: Database, now: datetime) -> None:
        first = rulesets.apply(db, RULES % "a", source="a.yaml", who="kim", why="start", now=now)
        second = rulesets.apply(db, "# why\n" + RULES % "a", source="a.yaml", who="kim", why="comment", now=now)
        assert (second.id, second.hash) == (first.id + 1, first.hash)

    def test_what_cannot_be_used_changes_nothing(self, db: Database, now: datetime) -> None:
        with pytest.raises(RulesError):
            rulesets.apply(db, "version: 1\nrules: [{name: x}]", source="x.yaml", who="kim", why="", now=now)
        assert rulesets.active(db) is None

    def test_outdated_are_ready_videos_that_the_active_rules_judge_differently(self, db: Database, add_video, now: datetime) -> None:
        ready, yard, waiting = add_video(1, ingested_at=now - timedelta(hours=1)), add_video(2, camera="yard"), add_video(3)
        first = rulesets.apply(db, RULES % "a", source="a.yaml", who="kim", why="start", now=now)
        for video in (ready, yard, waiting):
            evaluate(db, video, now, version=str(first.id))
        videos.started(db, waiting.video_id, "run-2", "tracks")
        assert rulesets.outdated(db) == []
        rulesets.apply(db, "# why\ndefaults: {severity: critical}\n" + RULES % "a", source="a.yaml", who="kim", why="words", now=now)
        assert rulesets.outdated(db) == []
        only_yard = RULES % "a" + "  - {name: b, when: {appears: dog}, cameras: [yard]}\n"
        second = rulesets.apply(db, only_yard, source="a.yaml", who="kim", why="a dog", now=now)
        assert rulesets.outdated(db) == [yard.video_id]
        evaluate(db, yard, now, version=str(second.id))
        assert rulesets.outdated(db) == []
        rulesets.apply(db, RULES % "c", source="a.yaml", who="kim", why="another", now=now)
        assert rulesets.outdated(db) == [ready.video_id, yard.video_id]

    def test_alerts_of_unknown_rules_are_outdated_and_those_of_the_default_are_known(self, db: Database, add_video, now: datetime) -> None:
        video, other = add_video(1), add_video(2)
        evaluate(db, video, now, version="default")
        assert rulesets.outdated(db) == []
        evaluate(db, other, now, version="41")
        assert rulesets.outdated(db) == [other.video_id]

    def test_ensure_is_for_a_fresh_home(self, db: Database, now: datetime) -> None:
        first = rulesets.ensure(db, RULES % "a", source="default", why="first", now=now)
        assert rulesets.ensure(db, RULES % "b", source="default", why="first", now=now) == first


def test_the_same_refusal_is_counted(db: Database, now: datetime) -> None:
    for _ in range(3):
        refusals.add(db, name="a.mp4", camera="gate", code="changing", message="still being written", now=now)
    refusals.add(db, name="b.mp4", camera="gate", code="empty", message="no bytes", now=now + timedelta(seconds=1))
    assert [(each.name, each.times) for each in refusals.page(db)] == [("b.mp4", 1), ("a.mp4", 3)]
    for _ in range(2):
        refusals.add(db, name="c" * 300, camera="yard" * 20, code="empty", message="", now=now + timedelta(seconds=2))
    assert [each.times for each in refusals.page(db)] == [2, 1, 3]


def test_old_refusals_make_room(db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "KEEP", 3)
    for number in range(6):
        refusals.add(db, name=f"{number}.mp4", camera="gate", code="empty", message="", now=now + timedelta(seconds=number))
    assert [each.name for each in refusals.page(db)] == ["5.mp4", "4.mp4", "3.mp4"]
