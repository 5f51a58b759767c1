"""What the ledger makes of a changed rule or of new tracks, from walks through the evaluation to rows: a table of cases.

Each case is judged twice. Before the second time the first alert is marked as seen by a person; every event and notification is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from judged import EAST, IN, OUT, WEST, rule_set
from walks import NAMES, Walk, film, steps

from video_platform.analysis.evaluate import evaluate
from video_platform.fingerprints import content_hash
from video_platform.records import AlertRecord, Episode, Lane, Lifecycle, Mark, VideoRecord
from video_platform.services.database import Database, ledger, outbox
from video_platform.services.database.ledger import EvaluationInput, LedgerChange
from video_platform.services.database.outbox import Kind

CROSSES = "name: crossing, when: {crosses: path, class: person}"
DWELLS = "name: stays, when: {dwells: plaza, class: person, for: 2s}"
COUNT = "name: crowd, when: {count: person, in: plaza, at_least: 2}"

PAIR = (steps((0, WEST), (3, EAST), end_s=8), steps((0, (0.45, 0.6)), (3, (0.55, 0.6)), end_s=8))
"""Two people who cross one line in the same sample."""

SAME_PAIR_OTHER_IDS = (PAIR[1], PAIR[0])
LATER_PAIR = (PAIR[0], steps((0, (0.45, 0.6)), (3.4, (0.55, 0.6)), end_s=8))
ONE_STAY = (steps((0, OUT), (1, IN), end_s=9),)
BROKEN_STAY = (steps((0, OUT), (1, IN), end_s=5), steps((5.6, IN), end_s=9))
TWO_STAYS = (steps((0, IN), end_s=4), steps((4.6, IN), end_s=9))
WHOLE_STAY = (steps((0, IN), end_s=9),)
THREE = tuple(steps((0, OUT), (t, IN), (t + 0.8, OUT), end_s=9) for t in (1, 3, 6))
IN_BETWEEN = (steps((0, OUT), (3, IN), (6, OUT), end_s=9),)
ENTERS = "name: in, when: {enters: plaza, class: person}"


@dataclass(frozen=True)
class Case:
    """Rule and walks before and after, and what becomes of it.

    `ids`: for each alert that is active afterwards, in order of time, then place, the number of the alert of the first time that it is; None for a new one.
    """

    before: str
    walks: tuple[Walk, ...]
    after: str
    walks_after: tuple[Walk, ...] | None = None
    ids: tuple[int | None, ...] = ()
    raised: int = 0
    superseded: int = 0
    split: int = 0
    first: int = 1
    reason: str = ""
    spans: tuple[tuple[float, float], ...] = field(default=())


CASES = {
    "two people cross one line together: two alerts without a cooldown": Case(CROSSES, PAIR, CROSSES, first=2, ids=(0, 1)),
    "… and one with it": Case(f"{CROSSES}, cooldown: 30s", PAIR, f"{CROSSES}, cooldown: 30s", ids=(0,)),
    "… tracked again with swapped ids: by place": Case(CROSSES, PAIR, CROSSES, SAME_PAIR_OTHER_IDS, first=2, ids=(0, 1)),
    "… the cooldown is taken away: the companion is new": Case(f"{CROSSES}, cooldown: 30s", PAIR, CROSSES, ids=(0, None), raised=1),
    "… the cooldown comes: the companion is superseded": Case(
        CROSSES, PAIR, f"{CROSSES}, cooldown: 30s", first=2, ids=(0,), superseded=1, reason="rule 'crossing' does not find this any more"
    ),
    "… they are merged into one episode": Case(CROSSES, LATER_PAIR, f"{CROSSES}, merge: 5s", first=2, ids=(0,), superseded=1, spans=((3.0, 3.8),)),
    "… and parted again: the second one is a piece of the first": Case(f"{CROSSES}, merge: 5s", LATER_PAIR, CROSSES, ids=(0, None), split=1),
    "one stay is split by the tracker": Case(DWELLS, ONE_STAY, DWELLS, BROKEN_STAY, ids=(0, None), split=1, spans=((1.0, 5.0), (5.6, 9.0))),
    "two stays are merged by the tracker": Case(DWELLS, TWO_STAYS, DWELLS, WHOLE_STAY, first=2, ids=(0,), superseded=1, spans=((0.0, 9.0),)),
    "two stays are bridged by the rule": Case(DWELLS, TWO_STAYS, f"{DWELLS}, max_gap: 2s", first=2, ids=(0,), superseded=1),
    "the rule is renamed": Case(
        DWELLS, ONE_STAY, DWELLS.replace("stays", "loiters"), ids=(None,), raised=1, superseded=1, reason="rule 'stays' does not apply to this video any more"
    ),
    "the rule wants longer stays": Case(DWELLS, ONE_STAY, DWELLS.replace("2s", "9s"), superseded=1, reason="rule 'stays' does not find this any more"),
    "the rule wants a little longer ones": Case(DWELLS, ONE_STAY, DWELLS.replace("2s", "3s"), ids=(0,)),
    "only its severity changes": Case(DWELLS, ONE_STAY, f"{DWELLS}, severity: critical", ids=(0,)),
    "the cooldown is made longer": Case(ENTERS, THREE, f"{ENTERS}, cooldown: 3s", first=3, ids=(0, 2), superseded=1),
    "the cooldown is made shorter": Case(f"{ENTERS}, cooldown: 10s", THREE, f"{ENTERS}, cooldown: 3s", ids=(0, None), raised=1),
    "one more is needed for a crowd": Case(COUNT, (*WHOLE_STAY, *ONE_STAY), COUNT.replace("2}", "3}"), superseded=1),
    "a filter sees nobody": Case(DWELLS, WHOLE_STAY, f"{DWELLS}, moving: true", superseded=1),
    "nobody is there any more, after new tracks": Case(
        DWELLS, WHOLE_STAY, DWELLS, (), superseded=1, reason="the video was tracked again, and rule 'stays' does not find this in the new tracks"
    ),
    "absence keeps its id, having no tracks": Case(
        "name: empty, when: {absent: person, in: plaza, for: 3s}",
        IN_BETWEEN,
        "name: empty, when: {absent: person, in: plaza, for: 2s}",
        ids=(None, 0),
        raised=1,
    ),
}


def in_order(change: LedgerChange) -> list[AlertRecord]:
    """The active alerts by time and place: ids of alerts that start together have no order that means anything."""
    return sorted(change.alerts, key=lambda alert: (alert.start_s, alert.end_s, alert.place or ()))


class Judge:
    """Evaluates walks with a rule and brings the ledger to it."""

    def __init__(self, db: Database, video: VideoRecord, now: datetime) -> None:
        self.db, self.video, self.now = db, video, now

    def __call__(self, line: str, walks: tuple[Walk, ...], **given: object) -> LedgerChange:
        tracks, samples = film(*walks)
        rules = rule_set(line)
        episodes: list[Episode] = evaluate(tracks, samples, NAMES, rules).episodes
        tracks_hash = content_hash([sorted(zip(tracks.time_s.tolist(), tracks.track_id.tolist(), tracks.boxes.tolist(), strict=True))])
        said: dict[str, object] = {
            "fingerprint": content_hash([line, tracks_hash]),
            "content_hash": content_hash(episodes),
            "tracks_hash": tracks_hash,
            "episodes": episodes,
            "rule_facts": {rule.name: (rule.severity, ("ops",)) for rule in rules.rules},
            "processed_key": tracks_hash,
        }
        common = {"video_id": self.video.video_id, "asset": "alerts", "rules_version": "r", "lane": Lane.LIVE, "run_id": "run", "now": self.now}
        return ledger.reconcile(self.db, EvaluationInput(**{**common, **said, **given}))  # type: ignore[arg-type]

    def sent(self) -> list[str]:
        """Types of events about alerts, and "notification" for each of those."""
        rows = outbox.waiting(self.db)
        types = [dict(row.message.headers)["ce_type"].decode() if row.kind is Kind.EVENT else "notification" for row in rows]
        return [each for each in types if not each.startswith("video.")]


@pytest.fixture
def judge(db: Database, add_video: Callable[..., VideoRecord], now: datetime) -> Judge:
    return Judge(db, add_video(), now)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_ledger_after_a_change(case: Case, judge: Judge, now: datetime) -> None:
    first = judge(case.before, case.walks)
    assert len(first.alerts) == len(first.raised) == case.first
    assert judge.sent() == [*["alert.raised.v1"] * case.first, *["notification"] * case.first]
    for alert in first.alerts:
        ledger.mark(judge.db, alert.id, Mark.FALSE, "kim", now)

    second = judge(case.after, case.walks if case.walks_after is None else case.walks_after)
    assert (len(second.raised), len(second.superseded), len(second.split)) == (case.raised, case.superseded, case.split)
    known = {alert.id: number for number, alert in enumerate(in_order(first))}
    assert tuple(known.get(alert.id) for alert in in_order(second)) == case.ids
    assert [alert.mark for alert in second.alerts] == [Mark.FALSE if alert.id in known else Mark.NONE for alert in second.alerts]
    if case.spans:
        assert tuple((alert.start_s, alert.end_s) for alert in in_order(second)) == case.spans
    # nobody hears of the past: only events, and none of a piece or of what was kept
    assert sorted(judge.sent()) == sorted(
        [*["alert.raised.v1"] * (case.first + case.raised), *["notification"] * case.first, *["alert.superseded.v1"] * case.superseded]
    )
    for alert_id in second.superseded:
        gone = found(judge, alert_id)
        assert (gone.lifecycle, gone.mark) == (Lifecycle.SUPERSEDED, Mark.FALSE)
        assert (gone.superseded_reason or "").startswith(case.reason)
    for alert_id in second.split:
        assert found(judge, alert_id).split_of in known


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_way_back_revives_what_was_there(case: Case, judge: Judge, now: datetime) -> None:
    """Whatever a change did: undone, every alert of the first time is active again under its id and mark, and nothing is raised a second time."""
    first = judge(case.before, case.walks)
    for alert in first.alerts:
        ledger.mark(judge.db, alert.id, Mark.FALSE, "kim", now)
    judge(case.after, case.walks if case.walks_after is None else case.walks_after)
    raised = judge.sent().count("alert.raised.v1")
    back = judge(case.before, case.walks)
    assert back.raised == []
    assert [(alert.id, alert.mark, alert.start_s, alert.end_s) for alert in back.alerts] == [(a.id, Mark.FALSE, a.start_s, a.end_s) for a in first.alerts]
    assert judge.sent().count("alert.raised.v1") == raised


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_same_again_changes_nothing(case: Case, judge: Judge) -> None:
    judge(case.before, case.walks)
    walks = case.walks if case.walks_after is None else case.walks_after
    judge(case.after, walks)
    before, revision = judge.sent(), ledger.revision(judge.db)
    again = judge(case.after, walks)
    assert (again.raised, again.superseded, again.split, again.revived) == ([], [], [], [])
    assert (judge.sent(), ledger.revision(judge.db)) == (before, revision)


def test_what_an_alert_of_the_video_before_told_is_an_alert_and_told_to_nobody_again(judge: Judge) -> None:
    def goes_on(reported: bool) -> Episode:
        origin = {"video_id": "0123456789abcdef", "lasted_s": 6.0, "reported": reported}
        return Episode("stays", "dwells", 0.0, 3.0, (1,), IN, 0.8, {"continued_from": origin, "continues": True})

    told = judge(DWELLS, (), episodes=[goes_on(True)])
    assert (len(told.raised), told.notified) == (1, [])
    (alert,) = told.alerts
    assert (alert.continued_from, alert.continues) == ("0123456789abcdef", True)
    assert judge.sent() == ["alert.raised.v1"]


def test_what_the_video_before_was_too_short_for_is_told(judge: Judge) -> None:
    origin = {"video_id": "0123456789abcdef", "lasted_s": 1.0, "reported": False}
    told = judge(DWELLS, (), episodes=[Episode("stays", "dwells", 0.0, 3.0, (1,), IN, 0.8, {"continued_from": origin})])
    assert told.notified == told.raised


def found(judge: Judge, alert_id: str) -> AlertRecord:
    alert = ledger.get(judge.db, alert_id)
    assert alert
    return alert
