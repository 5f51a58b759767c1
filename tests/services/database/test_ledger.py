from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from video_platform import events
from video_platform.errors import NotFound, VideoDeleted
from video_platform.records import AlertRecord, Episode, Lane, Lifecycle, Mark, Severity, VideoRecord, VideoState
from video_platform.services.database import Database, ledger, outbox, videos
from video_platform.services.database.ledger import EvaluationInput, LedgerChange
from video_platform.services.database.outbox import Kind


def episode(start_s: float, end_s: float | None = None, *, rule: str = "person", tracks: Sequence[int] = (), place=None, **why: object) -> Episode:
    return Episode(rule, "appears", start_s, start_s if end_s is None else end_s, tuple(tracks), place, 0.8, why)


@pytest.fixture
def evaluate(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> Callable[..., LedgerChange]:
    """Reconcile episodes of one video; what is not given is of a first, plain evaluation."""
    video = add_video()

    def run(episodes: Sequence[Episode], **given: object) -> LedgerChange:
        rules = {each.rule: (Severity.WARNING, ("ops",)) for each in episodes} or {"person": (Severity.WARNING, ("ops",))}
        base = EvaluationInput(
            video_id=video.video_id,
            asset="alerts",
            fingerprint="f1",
            content_hash="c1",
            tracks_hash="t0",
            rules_version="r1",
            episodes=episodes,
            rule_facts=rules,
            lane=Lane.LIVE,
            run_id="run",
            now=now,
            processed_key="1",
        )
        return ledger.reconcile(db, replace(base, **given))

    return run


def waiting(db: Database) -> list[str]:
    """The types of events that wait, and the channels that are to be told, in order."""
    rows = outbox.waiting(db)
    return [dict(row.message.headers)["ce_type"].decode() if row.kind is Kind.EVENT else f"-> {row.channel}" for row in rows]


def event_ids(db: Database, event_type: str) -> list[str]:
    return [row.id for row in outbox.waiting(db, Kind.EVENT) if dict(row.message.headers)["ce_type"].decode() == event_type]


@dataclass(frozen=True)
class Case:
    """Two evaluations of one video, and how many of the second fell into each kind."""

    before: list[Episode]
    after: list[Episode]
    kept: int = 0
    raised: int = 0
    superseded: int = 0
    split: int = 0
    tracks_hash: str = "t0"
    same_ids: tuple[tuple[int, int], ...] = ()
    """`(before, after)`: these episodes are the same alert."""


CASES = {
    "nothing changed": Case([episode(1, 5, tracks=[1])], [episode(1, 5, tracks=[1])], kept=1, same_ids=((0, 0),)),
    "nothing found any more": Case([episode(1, 5)], [], superseded=1),
    "something new": Case([episode(1, 5)], [episode(1, 5), episode(30, 31)], kept=1, raised=1, same_ids=((0, 0),)),
    "two people crossing together": Case(
        [episode(10.0, tracks=[1]), episode(10.2, tracks=[2])],
        [episode(10.0, tracks=[2]), episode(10.2, tracks=[1])],
        kept=2,
        same_ids=((0, 1), (1, 0)),
    ),
    "a companion whom the cooldown had hidden": Case([episode(10.0, tracks=[1])], [episode(10.0, tracks=[1]), episode(10.0, tracks=[2])], kept=1, raised=1),
    "cooldown made longer": Case([episode(10, tracks=[1]), episode(20, tracks=[2])], [episode(10, tracks=[1])], kept=1, superseded=1, same_ids=((0, 0),)),
    "cooldown made shorter": Case([episode(10, tracks=[1])], [episode(10, tracks=[1]), episode(20, tracks=[2])], kept=1, raised=1, same_ids=((0, 0),)),
    "split by the tracker": Case(
        [episode(0, 20, tracks=[1])], [episode(0, 12, tracks=[7]), episode(12.5, 20, tracks=[8])], kept=1, split=1, tracks_hash="t1", same_ids=((0, 0),)
    ),
    "merged by the tracker": Case(
        [episode(0, 9, tracks=[1]), episode(10, 20, tracks=[2])], [episode(0, 20, tracks=[5])], kept=1, superseded=1, tracks_hash="t1"
    ),
    "tracked again with other ids": Case(
        [episode(1, 5, tracks=[1], place=(0.2, 0.5)), episode(1.1, 5.2, tracks=[2], place=(0.8, 0.5))],
        [episode(1.2, 5, tracks=[9], place=(0.79, 0.5)), episode(1.2, 5.1, tracks=[8], place=(0.21, 0.5))],
        kept=2,
        tracks_hash="t1",
        same_ids=((0, 1), (1, 0)),
    ),
    "rule renamed": Case([episode(1, 5, rule="person")], [episode(1, 5, rule="visitor")], raised=1, superseded=1),
    "another rule at the same moment": Case(
        [episode(1, 5, rule="person")], [episode(1, 5, rule="person"), episode(1, 5, rule="crowd")], kept=1, raised=1, same_ids=((0, 0),)
    ),
    "two seconds later": Case([episode(10, 12)], [episode(13.9, 15)], kept=1),
    "more than two seconds later": Case([episode(10, 12)], [episode(14.1, 15)], raised=1, superseded=1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_second_evaluation(case: Case, evaluate: Callable[..., LedgerChange], db: Database) -> None:
    first = evaluate(case.before)
    assert len(first.raised) == len(case.before)
    second = evaluate(case.after, fingerprint="f2", content_hash="c2", tracks_hash=case.tracks_hash, rules_version="r2")
    assert (len(second.kept), len(second.raised), len(second.superseded), len(second.split)) == (case.kept, case.raised, case.superseded, case.split)
    assert len(second.alerts) == len(case.after)

    def alert_at(change: LedgerChange, each: Episode) -> AlertRecord:
        return next(a for a in change.alerts if (a.rule, a.start_s, a.end_s, tuple(a.track_ids)) == (each.rule, each.start_s, each.end_s, each.track_ids))

    for before, after in case.same_ids:
        assert alert_at(first, case.before[before]).id == alert_at(second, case.after[after]).id


class TestRaising:
    def test_the_first_evaluation_raises_announces_notifies_and_makes_ready(self, evaluate, db: Database) -> None:
        change = evaluate([episode(1, 5, tracks=[3], place=(0.5, 0.9), seen="twice")])
        [alert] = change.alerts
        assert (alert.lifecycle, alert.mark, alert.severity, alert.camera) == (Lifecycle.ACTIVE, Mark.NONE, Severity.WARNING, "gate")
        assert (alert.track_ids, alert.place, alert.why, alert.score) == ([3], (0.5, 0.9), {"seen": "twice"}, 0.8)
        assert waiting(db) == [events.ALERT_RAISED, events.VIDEO_PROCESSED, "-> ops"]
        assert change.notified == change.raised == [alert.id]
        video = videos.get(db, alert.video_id)
        assert video is not None
        assert (video.state, video.run_id) == (VideoState.READY, "run")
        assert ledger.evaluated(db, alert.video_id, "alerts") == "f1"

    def test_events_are_of_the_contract(self, evaluate, db: Database) -> None:
        change = evaluate([episode(1, 5)])
        raised, processed = [events.decode(row.message) for row in outbox.waiting(db, Kind.EVENT)]
        assert isinstance(raised.body, events.AlertBody)
        assert raised.body.alert == change.alerts[0]
        assert raised.id == events.event_id(events.ALERT_RAISED, raised.subject, change.raised[0])
        assert isinstance(processed.body, events.ProcessedBody)
        assert (processed.body.alerts, processed.body.tracks_hash, processed.body.run_id) == (1, "t0", "run")

    def test_the_same_evaluation_again_changes_nothing(self, evaluate, db: Database, now: datetime) -> None:
        episodes = [episode(1.123456789, 5, tracks=[1], place=(0.1, 0.3), score=0.1 + 0.2, when=[1, (2, 3)]), episode(30)]
        first = evaluate(episodes)
        before = (waiting(db), ledger.revision(db), videos.get(db, first.alerts[0].video_id))
        again = evaluate(list(reversed(episodes)), now=now + timedelta(hours=1))
        assert again.alerts == first.alerts
        assert (again.raised, again.superseded, sorted(again.kept)) == ([], [], sorted(first.raised))
        assert (waiting(db), ledger.revision(db), videos.get(db, first.alerts[0].video_id)) == before

    def test_ids_follow_from_what_was_found(self, evaluate, db: Database, tmp_path) -> None:
        from video_platform.services.database import open_database
        from video_platform.services.database.engine import insert_new
        from video_platform.services.database.tables import videos as table
        from video_platform.settings import Settings

        change = evaluate([episode(1, 5, tracks=[1]), episode(1, 5, tracks=[1])])
        assert len(set(change.raised)) == 2
        video = videos.get(db, change.alerts[0].video_id)
        assert video is not None
        other = open_database(Settings(home=tmp_path / "other"))
        with other.write() as connection:
            insert_new(connection, table, [{**video.model_dump(), "state": "received", "lane": "live"}])
        given = EvaluationInput(
            video.video_id, "alerts", "f", "c", "t", "r", [episode(1, 5, tracks=[1]), episode(1, 5, tracks=[1])], {}, Lane.LIVE, None, video.ingested_at, "1"
        )
        assert sorted(ledger.reconcile(other, given).raised) == sorted(change.raised)
        other.dispose()

    def test_another_asset_has_its_own_alerts(self, evaluate, db: Database) -> None:
        evaluate([episode(1, 5)])
        change = evaluate([episode(1, 5)], asset="described_alerts")
        assert len(change.raised) == 1
        assert ledger.page(db)[1] == 2
        assert evaluate([], asset="described_alerts", fingerprint="f2").superseded == change.raised
        assert ledger.page(db, lifecycle=Lifecycle.ACTIVE)[1] == 1

    def test_large_reasons_stay_in_the_ledger_and_the_event_is_shortened(self, evaluate, db: Database) -> None:
        change = evaluate([episode(1, 5, tracks=range(5000), text="x" * 100_000)])
        assert len(str(change.alerts[0].why["text"])) == 100_000
        body = events.decode(outbox.waiting(db, Kind.EVENT)[0].message).body
        assert isinstance(body, events.AlertBody)
        assert body.alert.why == {"shortened": True}

    def test_large_counts_in_bytes(self, evaluate, db: Database) -> None:
        evaluate([episode(1, 5, text="д" * 40_000)])
        assert events.decode(outbox.waiting(db, Kind.EVENT)[0].message).body.alert.why == {"shortened": True}

    def test_values_that_json_cannot_hold_become_none(self, evaluate) -> None:
        import numpy as np

        first = evaluate([episode(1, 5, tracks=[1], a=float("nan"), b=np.float32(0.5), c=np.int64(3), d={"e": float("inf")})])
        assert first.alerts[0].why == {"a": None, "b": 0.5, "c": 3, "d": {"e": None}}

    def test_start_time_follows_the_recording_time(self, evaluate, db: Database, now: datetime, add_video) -> None:
        video = add_video(2, recorded_at=now)
        change = evaluate([episode(90, 95)], video_id=video.video_id)
        assert change.alerts[0].start_time == now + timedelta(seconds=90)

    def test_a_missing_or_deleted_video_is_refused(self, evaluate, add_video) -> None:
        with pytest.raises(NotFound):
            evaluate([], video_id="f" * 16)
        gone = add_video(3, state="deleted")
        with pytest.raises(VideoDeleted):
            evaluate([], video_id=gone.video_id)


class TestLifecycle:
    def test_superseded_says_why_and_revives_silently_with_id_and_mark(self, evaluate, db: Database, now: datetime) -> None:
        [alert_id] = evaluate([episode(1, 5, tracks=[1])]).raised
        ledger.mark(db, alert_id, Mark.ACKNOWLEDGED, "kim", now)
        assert evaluate([], fingerprint="f2").superseded == [alert_id]
        gone = ledger.get(db, alert_id)
        assert gone is not None
        assert (gone.lifecycle, gone.mark) == (Lifecycle.SUPERSEDED, Mark.ACKNOWLEDGED)
        assert gone.superseded_reason is not None
        assert "person" in gone.superseded_reason
        sent_before = waiting(db)
        back = evaluate([episode(1.5, 5, tracks=[1])], fingerprint="f3")
        assert (back.revived, back.raised, back.kept) == ([alert_id], [], [])
        assert (back.alerts[0].mark, back.alerts[0].superseded_reason) == (Mark.ACKNOWLEDGED, None)
        assert waiting(db) == sent_before

    def test_every_superseding_is_an_event_of_its_own(self, evaluate, db: Database) -> None:
        evaluate([episode(1, 5)])
        for turn in range(2):
            evaluate([], fingerprint=f"a{turn}")
            evaluate([episode(1, 5)], fingerprint=f"b{turn}")
        evaluate([], fingerprint="last")
        assert len(set(event_ids(db, events.ALERT_SUPERSEDED))) == 3
        assert len(event_ids(db, events.ALERT_RAISED)) == 1

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            pytest.param({"rule_facts": {"other": (Severity.INFO, ())}}, "does not apply", id="rule gone"),
            pytest.param({"tracks_hash": "t1"}, "tracked again", id="other tracks"),
            pytest.param({"rules_version": "r9"}, "r9", id="rule changed"),
        ],
    )
    def test_reasons(self, evaluate, db: Database, given: dict[str, object], said: str) -> None:
        [alert_id] = evaluate([episode(1, 5)]).raised
        evaluate([], **{"fingerprint": "f2", **given})
        alert = ledger.get(db, alert_id)
        assert alert is not None
        assert said in str(alert.superseded_reason)

    def test_a_piece_names_the_whole_and_is_announced_to_nobody(self, evaluate, db: Database) -> None:
        [whole] = evaluate([episode(0, 20, tracks=[1])]).raised
        before = waiting(db)
        change = evaluate([episode(0, 12, tracks=[7]), episode(12.5, 20, tracks=[8])], tracks_hash="t1", fingerprint="f2", notify=True)
        [piece] = change.split
        alert = ledger.get(db, piece)
        assert alert is not None
        assert alert.split_of == whole
        assert waiting(db) == before
        evaluate([episode(0, 12, tracks=[7])], tracks_hash="t1", fingerprint="f3")
        assert waiting(db) == before  # what was never announced is not withdrawn either

    def test_a_changed_alert_keeps_its_id_and_gets_a_new_revision(self, evaluate, db: Database, now: datetime) -> None:
        [alert_id] = evaluate([episode(1, 5, tracks=[1])]).raised
        at = ledger.revision(db)
        evaluate([episode(1, 6, tracks=[1])], fingerprint="f2", now=now + timedelta(minutes=1), rule_facts={"person": (Severity.CRITICAL, ())})
        changes = ledger.since(db, at)
        assert [alert.id for alert in changes.alerts] == [alert_id]
        assert (changes.alerts[0].end_s, changes.alerts[0].severity) == (6, Severity.CRITICAL)
        assert changes.alerts[0].raised_at == now
        assert ledger.since(db, changes.revision).alerts == []

    def test_new_tracks_with_the_same_content_change_nothing_that_shows(self, evaluate, db: Database) -> None:
        first = evaluate([episode(1, 5, tracks=[1])])
        again = evaluate([episode(1, 5, tracks=[1])], tracks_hash="t1", fingerprint="f2")
        assert again.alerts == first.alerts


class TestNotifying:
    @pytest.mark.parametrize(
        ("given", "video", "told"),
        [
            pytest.param({}, {}, True, id="first evaluation of live footage"),
            pytest.param({"lane": Lane.REQUEST}, {}, True, id="request lane"),
            pytest.param({"lane": Lane.BACKFILL}, {}, False, id="backfill lane"),
            pytest.param({}, {"age_h": 23}, True, id="recorded lately"),
            pytest.param({}, {"age_h": 25}, False, id="recorded long ago"),
            pytest.param({"fresh_hours": 48.0}, {"age_h": 25}, True, id="long ago by another setting"),
            pytest.param({"lane": Lane.BACKFILL, "notify": True}, {"age_h": 100}, True, id="when asked"),
            pytest.param({"rule_facts": {"person": (Severity.INFO, ())}}, {}, False, id="no channel"),
        ],
    )
    def test_who_hears(self, evaluate, db: Database, add_video, now: datetime, given: dict[str, object], video: dict[str, float], told: bool) -> None:
        recorded_at = now - timedelta(hours=video["age_h"]) if video else None
        record = add_video(9, recorded_at=recorded_at)
        change = evaluate([episode(1, 5)], **{"video_id": record.video_id, **given})
        assert len(change.raised) == 1
        assert bool(change.notified) is told
        assert [row.channel for row in outbox.waiting(db, Kind.NOTIFICATION)] == (["ops"] if told else [])
        assert [each.state for each in ledger.deliveries_of(db, change.raised[0])] == (["waiting"] if told else [])

    def test_a_later_evaluation_is_silent(self, evaluate, db: Database) -> None:
        evaluate([])
        change = evaluate([episode(1, 5)], fingerprint="f2")
        assert (len(change.raised), change.notified) == (1, [])

    def test_a_later_evaluation_speaks_when_asked(self, evaluate, db: Database) -> None:
        evaluate([])
        assert len(evaluate([episode(1, 5)], fingerprint="f2", notify=True).notified) == 1

    def test_each_channel_once(self, evaluate, db: Database) -> None:
        evaluate([episode(1, 5)], rule_facts={"person": (Severity.INFO, ("ops", "mail", "ops"))})
        assert sorted(str(row.channel) for row in outbox.waiting(db, Kind.NOTIFICATION)) == ["mail", "ops"]


class TestProcessed:
    def test_one_event_for_one_key(self, evaluate, db: Database) -> None:
        evaluate([], processed_key="1")
        evaluate([], processed_key="1", fingerprint="f2")
        evaluate([], processed_key="2", fingerprint="f2")
        assert len(event_ids(db, events.VIDEO_PROCESSED)) == 2

    def test_only_alerts_on_tracks_announce_it(self, evaluate, db: Database) -> None:
        evaluate([], asset="described_alerts")
        assert waiting(db) == []


class TestReading:
    def test_filters(self, evaluate, db: Database, add_video, now: datetime) -> None:
        evaluate([episode(1, 5, rule="a"), episode(50, 55, rule="b")])
        late = add_video(2, camera="yard", recorded_at=now - timedelta(hours=2))
        evaluate([episode(0, 1, rule="a")], video_id=late.video_id, rule_facts={"a": (Severity.CRITICAL, ())}, now=now + timedelta(minutes=1))
        assert ledger.page(db)[0][0].video_id == late.video_id  # newest raise first
        counts = {
            "rule": ledger.page(db, rule="a")[1],
            "camera": ledger.page(db, camera="yard")[1],
            "severity": ledger.page(db, severity=Severity.CRITICAL)[1],
            "video": ledger.page(db, video_id=late.video_id)[1],
            "happened before now": ledger.page(db, until=now)[1],
            "happened since now": ledger.page(db, since=now)[1],
            "mark": ledger.page(db, mark=Mark.FALSE)[1],
        }
        assert counts == {"rule": 2, "camera": 1, "severity": 1, "video": 1, "happened before now": 1, "happened since now": 2, "mark": 0}
        items, total = ledger.page(db, limit=1, offset=1)
        assert (len(items), total) == (1, 3)
        assert ledger.counts(db, [late.video_id, "none"]) == {late.video_id: {Severity.CRITICAL: 1}, "none": {}}

    def test_since_never_cuts_a_revision_in_two(self, evaluate, db: Database, add_video) -> None:
        evaluate([episode(start) for start in range(0, 50, 10)])
        other = add_video(2)
        evaluate([episode(start) for start in range(0, 30, 10)], video_id=other.video_id)
        after, seen = 0, []
        while (changes := ledger.since(db, after, limit=4)).alerts:
            seen.append(len(changes.alerts))
            after = changes.revision
        assert sum(seen) == 8

    def test_since_shows_all_of_a_revision_that_is_larger_than_a_page(self, evaluate, db: Database, add_video) -> None:
        evaluate([episode(start) for start in range(0, 100, 10)])
        evaluate([episode(0)], video_id=add_video(2).video_id)
        changes = ledger.since(db, 0, limit=4)
        assert len(changes.alerts) == 10
        assert len(ledger.since(db, changes.revision, limit=4).alerts) == 1

    def test_mark_media_and_shows(self, evaluate, db: Database, now: datetime) -> None:
        [alert] = evaluate([episode(1, 5)]).alerts
        assert ledger.mark(db, alert.id, Mark.FALSE, "kim", now).mark is Mark.FALSE
        at = ledger.revision(db)
        assert ledger.set_media(db, alert.id, snapshot="videos/x/alerts/1.jpg")
        assert not ledger.set_media(db, alert.id, snapshot="videos/x/alerts/1.jpg")
        assert ledger.set_media(db, alert.id, clip="videos/x/highlights/1.mp4")
        assert ledger.since(db, at).alerts[0].snapshot == "videos/x/alerts/1.jpg"
        assert ledger.shows(db, alert.video_id, "videos/x/highlights/1.mp4")
        assert not ledger.shows(db, alert.video_id, "videos/x/highlights/2.mp4")
        with pytest.raises(NotFound):
            ledger.mark(db, "nothing", Mark.FALSE, "kim", now)
