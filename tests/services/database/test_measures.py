from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from video_platform.records import QUARANTINED, Cost, Episode, Lane, Severity, VideoRecord, VideoState
from video_platform.services.database import Database, ledger, measures, troubles, videos


def test_steps_are_counted_by_what_they_took(db: Database) -> None:
    for wall_s in (0.05, 0.1, 0.11, 7.0, 4000.0):
        measures.add_step(db, "tracks", Cost(wall_s=wall_s, cpu_s=2 * wall_s, tokens=3, real_time_factor=10.0), reused=False)
    measures.add_step(db, "tracks", Cost(), reused=True)
    measures.add_step(db, "alerts", Cost(wall_s=1.0), reused=False)
    found = measures.steps(db)
    tracks = found["tracks"]
    assert (tracks.made, tracks.reused, tracks.tokens) == (5, 1, 15)
    assert abs(tracks.wall_s - 4007.26) < 1e-6
    assert tracks.real_time_factor is not None
    assert abs(tracks.real_time_factor - 10) < 1e-9
    assert sum(tracks.buckets) == 5
    by_bound = dict(zip([*measures.BUCKETS_S, "more"], tracks.buckets, strict=True))
    assert {bound: count for bound, count in by_bound.items() if count} == {0.1: 2, 0.25: 1, 10.0: 1, "more": 1}
    assert found["alerts"].real_time_factor is None


def test_runs_that_count_at_once_lose_nothing(db: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: measures.add_step(db, "scenes", Cost(wall_s=0.5), reused=False), range(40)))
    assert (measures.steps(db)["scenes"].made, sum(measures.steps(db)["scenes"].buckets)) == (40, 40)


def test_a_sign_of_life_replaces_the_one_before(db: Database, now: datetime) -> None:
    assert measures.alive(db, "relay") is None
    measures.beat(db, "relay", "a:1", now)
    measures.beat(db, "relay", "b:2", now + timedelta(seconds=15))
    assert measures.alive(db, "relay") == measures.Heartbeat("relay", "b:2", now + timedelta(seconds=15))


def test_tallies_and_troubles(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> None:
    add_video(1)
    broken, given_up, ready = add_video(2), add_video(3), add_video(4)
    videos.failed(db, broken.video_id, None, "not_a_video", "no", now=now)
    videos.failed(db, given_up.video_id, None, QUARANTINED, "no", now=now + timedelta(seconds=1))
    facts = {"person": (Severity.CRITICAL, ("ops",))}
    episodes = [Episode("person", "appears", start, start + 1, (1,), None, None) for start in (0, 20)]
    ledger.reconcile(db, ledger.EvaluationInput(ready.video_id, "alerts", "f", "c", "t", "1", episodes, facts, Lane.LIVE, None, now, "1"))
    videos.summary_failed(db, ready.video_id, "ModelUnavailable", "no")
    found = measures.tallies(db)
    assert {state: count for state, count in found.videos.items() if count} == {VideoState.RECEIVED: 1, VideoState.FAILED: 2, VideoState.READY: 1}
    assert found.failures == {"not_a_video": 1, QUARANTINED: 1}
    assert found.summary_failures == {"ModelUnavailable": 1}
    assert found.alerts == [("person", "critical", "active", 2)]
    assert found.deliveries == {("ops", "waiting"): 2}

    def ids(answer: tuple[list[VideoRecord], int]) -> tuple[list[str], int]:
        return [record.video_id for record in answer[0]], answer[1]

    assert ids(troubles.failed(db)) == ([given_up.video_id, broken.video_id], 2)
    assert ids(troubles.failed(db, quarantined=True)) == ([given_up.video_id], 1)
    assert ids(troubles.failed(db, quarantined=False)) == ([broken.video_id], 1)
    assert ids(troubles.failed(db, limit=1, offset=1)) == ([broken.video_id], 2)
    assert ids(troubles.without_summary(db)) == ([ready.video_id], 1)
    assert set(troubles.records(db, [ready.video_id, "0" * 16])) == {ready.video_id}
    assert (measures.disk_bytes(db) or 0) > 10_000
