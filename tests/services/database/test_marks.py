"""Precision of rules from marks, on both databases."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from video_platform.access import Person, Role
from video_platform.records import Episode, Lane, Mark, Severity, VideoRecord
from video_platform.services.database import Database, ledger, marks
from video_platform.services.database.marks import By

TOKYO = ZoneInfo("Asia/Tokyo")
MONDAY = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


@pytest.fixture
def judge(db: Database, now: datetime) -> Callable[..., dict[float, str]]:
    """Judge a video by a version of the rules that finds `rule` at these seconds; second -> alert id."""

    def run(video: VideoRecord, version: str, starts_s: Sequence[float], rule: str = "person") -> dict[float, str]:
        episodes = [Episode(rule, "appears", start_s, start_s + 1, (number,), None, 0.8, {}) for number, start_s in enumerate(starts_s)]
        given = ledger.EvaluationInput(
            video_id=video.video_id,
            asset="alerts",
            fingerprint=version,
            content_hash=version,
            tracks_hash="t",
            rules_version=version,
            episodes=episodes,
            rule_facts={rule: (Severity.INFO, ())},
            lane=Lane.LIVE,
            run_id=None,
            now=now,
            processed_key=version,
        )
        return {alert.start_s: alert.id for alert in ledger.reconcile(db, given).alerts}

    return run


def say(db: Database, mark: Mark, *alert_ids: str) -> None:
    for alert_id in alert_ids:
        ledger.mark(db, alert_id, mark, "kim", MONDAY)


def told(found: list[marks.MarkedAlerts]) -> list[tuple[object, ...]]:
    return [(each.rule, each.version, each.start, each.acknowledged, each.false, each.unmarked, each.precision) for each in found]


def test_an_alert_speaks_for_the_version_that_raised_it(db, add_video, judge):
    video = add_video()
    assert marks.counts(db) == []
    first = judge(video, "2", [10.0, 50.0, 90.0, 130.0])
    say(db, Mark.ACKNOWLEDGED, first[10.0])
    say(db, Mark.FALSE, first[50.0], first[90.0])
    assert told(marks.counts(db)) == [("person", "2", None, 1, 2, 1, 1 / 3)]
    second = judge(video, "10", [10.0, 200.0])
    say(db, Mark.ACKNOWLEDGED, second[200.0])
    assert told(marks.counts(db)) == [("person", "2", None, 1, 2, 0, 1 / 3), ("person", "10", None, 1, 0, 0, 1.0)], (
        "what was superseded without a mark says nothing"
    )
    say(db, Mark.NONE, second[200.0])
    assert told(marks.counts(db))[1] == ("person", "10", None, 0, 0, 1, None)


def test_time_is_when_it_happened_in_the_zone_that_is_asked_for(db, add_video, judge):
    video = add_video(recorded_at=MONDAY)
    found = judge(video, "1", [0.0, 3600.0, 3600.0 * 24 * 7, 3600.0 * 24 * 8])
    say(db, Mark.ACKNOWLEDGED, *found.values())
    assert [(each.start, each.acknowledged) for each in marks.counts(db, by=By.DAY, zone=UTC)] == [("2026-11-23", 2), ("2026-11-30", 1), ("2026-12-01", 1)]
    assert [each.start for each in marks.counts(db, by=By.DAY, zone=TOKYO)] == ["2026-11-23", "2026-11-24", "2026-11-30", "2026-12-01"]
    assert [(each.start, each.acknowledged) for each in marks.counts(db, by=By.WEEK, zone=UTC)] == [("2026-11-23", 2), ("2026-11-30", 2)]
    assert [(each.start, each.acknowledged) for each in marks.counts(db, by=By.MONTH, zone=UTC)] == [("2026-11-01", 3), ("2026-12-01", 1)]
    assert [each.acknowledged for each in marks.counts(db, since=MONDAY + timedelta(hours=1))] == [3]
    unknown = judge(add_video(2), "1", [5.0])
    say(db, Mark.FALSE, *unknown.values())
    assert marks.counts(db, by=By.DAY, zone=UTC)[0].false == 1, "of unknown time: when it was raised"


def test_rule_camera_and_person_limit_what_is_counted(db, add_video, judge):
    say(db, Mark.FALSE, *judge(add_video(1, camera="gate"), "1", [5.0]).values())
    say(db, Mark.ACKNOWLEDGED, *judge(add_video(2, camera="yard"), "1", [5.0], "dog").values())
    assert [each.rule for each in marks.counts(db)] == ["dog", "person"]
    assert [each.rule for each in marks.counts(db, rule="dog")] == ["dog"]
    assert [each.rule for each in marks.counts(db, camera="gate")] == ["person"]
    assert [each.rule for each in marks.counts(db, person=Person("ann", Role.VIEWER, ("yard",)))] == ["dog"]
