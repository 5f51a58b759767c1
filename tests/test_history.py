"""Rules over the past: what a draft would change, and making it so."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import archives
import pytest
import sqlalchemy as sa
from archives import active, outbox, rows, said, told
from seeded import apply

from video_platform import events, history, history_child, rules
from video_platform.errors import NotFound, RulesError
from video_platform.records import Mark, VideoState
from video_platform.services.database import audit, backfills, digests, ledger, rulesets, videos

NAMES = ("person", "car")
START = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
BEFORE = """\
version: 1
zones: {plaza: {polygon: [[0.1, 0.3], [0.9, 0.3], [0.9, 0.9], [0.1, 0.9]]}}
lines: {path: {from: [0.5, 0.0], to: [0.5, 1.0]}}
channels: {ops: {url_env: OPS_URL}}
defaults: {cooldown: 0s}
rules:
  - {name: enters, when: {enters: plaza, class: person}}
  - {name: crosses, when: {crosses: path, class: person}, channels: [ops]}
  - {name: stays, when: {dwells: plaza, class: person, for: 6s}}
  - {name: nobody, when: {absent: person, in: plaza, for: 1s}}
  - {name: dark, when: {silent: "gate-*", for: 3s}}
"""
AFTER = (
    BEFORE.replace("for: 6s", "for: 3s")
    .replace("class: person}, channels", "class: person, direction: left_to_right}, channels")
    .replace("  - {name: nobody", "  - {name: cars, when: {appears: car}, channels: [ops]}\n  - {name: empty")
)


def fill(platform, folder, cameras=("gate-1", "gate-2"), files=4, seconds=20.0):
    """Files of two cameras, one after the other over midnight with a gap, and one of unknown time; all judged by the active rules."""
    records = []
    for n, camera in enumerate(cameras):
        begins = START
        for number in range(files):
            tracks, samples = archives.crowd(100 * n + number, seconds)
            records.append(archives.add(platform, folder, number, tracks, samples, NAMES, camera=camera, recorded_at=begins))
            begins += timedelta(seconds=seconds + (5.0 if number == 1 else 0.2))
    tracks, samples = archives.crowd(7, seconds)
    records.append(archives.add(platform, folder, 99, tracks, samples, NAMES, camera=cameras[0]))
    for record in records:
        archives.judge(platform, record)
    return records


@pytest.fixture
def platform(tmp_path):
    with archives.opened(tmp_path, BEFORE) as opened:
        yield opened


@pytest.fixture
def archive(platform, tmp_path):
    return fill(platform, tmp_path)


def test_a_draft_promises_what_then_happens_and_writes_nothing(platform, archive):
    before, was = rows(platform), active(platform)
    found = history.what_if(platform, AFTER)
    promised = told(found, platform)
    assert rows(platform) == before
    assert (found.videos, found.left_out, found.base) == (len(archive), [], rulesets.active(platform.db).id)
    assert {rule for rule, _, _ in found.cannot_evaluate} == {"dark"}  # in the file of unknown time
    assert promised["added"]
    assert promised["removed"]
    assert promised["unchanged"].keys() | promised["removed"].keys() == was.keys()
    assert {each.rule for each in promised["added"].values()} == {"stays", "cars", "empty"}

    apply(platform, AFTER)
    for record in archive:  # as the step `alerts` does it, one by one
        archives.judge(platform, record)
    now = active(platform)
    assert now.keys() == promised["added"].keys() | promised["unchanged"].keys()
    assert [said(now[id_]) for id_ in promised["added"]] == [said(alert) for alert in promised["added"].values()]


def test_counts_are_those_of_the_lists_and_a_camera_or_a_time_narrows_both(platform, archive):
    whole, one = history.what_if(platform, AFTER), history.what_if(platform, AFTER, camera="*-2", since=START + timedelta(seconds=44))
    assert {each.camera for each in whole.counts} == {"gate-1", "gate-2"}
    for found in (whole, one):
        lists = told(found, platform)
        for count in found.counts:
            for what, alerts in lists.items():
                assert getattr(count, what) == sum((alert.rule, alert.camera) == (count.rule, count.camera) for alert in alerts.values())
    assert one.videos == 2
    late = {record.video_id for record in archive if record.camera == "gate-2" and record.recorded_at > START + timedelta(seconds=30)}
    expected = {what: {id_: alert for id_, alert in alerts.items() if alert.video_id in late} for what, alerts in told(whole, platform).items()}
    assert {what: set(alerts) for what, alerts in told(one, platform).items()} == {what: set(alerts) for what, alerts in expected.items()}
    assert [alert.id for alert in whole.alerts(platform, "added", limit=2)] == list(told(whole, platform)["added"])[:2]


def test_the_same_rules_change_nothing(platform, archive):
    found = history.what_if(platform, BEFORE + "# a comment\n")
    assert {what: len(alerts) for what, alerts in told(found, platform).items()} == {"added": 0, "removed": 0, "unchanged": len(active(platform))}


def test_mistakes_in_a_draft_are_told_as_everywhere(platform):
    with pytest.raises(RulesError):
        history.what_if(platform, BEFORE.replace("enters: plaza", "enters: place"))


def test_promoting_brings_the_ledger_to_the_draft_and_notifies_nobody(platform, archive):
    was = active(platform)
    marked = next(iter(was.values()))
    ledger.mark(platform.db, marked.id, Mark.FALSE, "ana", datetime.now(UTC))
    promised = told(history.what_if(platform, AFTER), platform)
    notices = outbox(platform, "notification")
    apply(platform, AFTER)
    done = history.reconcile(platform)
    assert set(active(platform)) == promised["added"].keys() | promised["unchanged"].keys()
    assert (done.raised, done.superseded, done.revived) == (len(promised["added"]), len(promised["removed"]), 0)
    assert (done.videos, done.notified) == (len(archive), 0)
    assert outbox(platform, "notification") == notices
    assert ledger.get(platform.db, marked.id).mark is Mark.FALSE
    assert rulesets.outdated(platform.db) == []
    assert history.reconcile(platform).videos == 0  # nothing is left to do


@pytest.mark.parametrize("year", [1, 9999])
def test_a_home_with_footage_of_an_impossible_year_takes_that_time_as_unknown(platform, archive, year):
    odd = archive[0].video_id
    with platform.db.write() as connection:
        moment = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, tzinfo=UTC)
        connection.execute(sa.text("update videos set recorded_at = :at where video_id = :id"), {"at": f"{moment:%Y-%m-%d %H:%M:%S.%f}".zfill(26), "id": odd})
    assert videos.get(platform.db, odd).recorded_at is None
    assert history.what_if(platform, AFTER).videos == len(archive)
    assert odd not in {each.video_id for each in digests.judged(platform.db)}
    apply(platform, AFTER)
    assert odd not in dict(history.reconcile(platform).left_out)
    assert rulesets.outdated(platform.db) == []


def test_two_who_promote_at_once_leave_the_ledger_to_the_rules_that_are_active(platform, archive, monkeypatch):
    monkeypatch.setattr(history_child, "_platform", lambda: nullcontext(platform))
    newer, later = BEFORE.replace("for: 6s", "for: 4s"), {}

    def meanwhile(done, camera):
        """Somebody else promotes, and is told that all is done, when half of the archive is judged by the first."""
        if camera == "gate-2" and not later:
            rulesets.apply(platform.db, newer, source="test", who="ben", why="test", now=datetime.now(UTC))
            later.update(history_child.reconcile({}, lambda *said: None))

    mine = rulesets.apply(platform.db, AFTER, source="test", who="ana", why="test", now=datetime.now(UTC))
    earlier = history_child.reconcile({}, meanwhile)
    assert rulesets.outdated(platform.db) == []
    assert later["videos"] == len(archive)
    assert earlier["videos"] == 5
    assert {each["reason"] for each in earlier["left_out"]} == {f"rules newer than version {mine.id} became active meanwhile"}
    assert not {alert.rule for alert in active(platform).values()} & {"cars", "empty"}


def test_the_past_is_notified_of_when_asked_and_once(platform, archive):
    apply(platform, AFTER)
    known = set(outbox(platform, "notification"))
    done = history.reconcile(platform, notify_past=True)
    new = [alert_id for alert_id in outbox(platform, "notification") if alert_id not in known]
    assert sorted(new) == sorted(alert.id for alert in active(platform).values() if alert.rule == "cars")
    assert done.notified == len(new) > 0


def test_a_promotion_that_notifies_and_is_killed_loses_no_pictures(platform, archive, monkeypatch):
    from video_platform.access import ANYONE
    from video_platform.catalog import Catalog
    from video_platform.deeds import Deeds

    monkeypatch.setattr(history_child, "_platform", lambda: nullcontext(platform))

    def killed_half_way(platform, **asked):
        def stop(done, camera):
            if camera == "gate-2":
                raise KeyboardInterrupt

        history_child.reconcile({"notify": True}, stop)

    catalog = Catalog(platform.settings, platform.db, platform.store)
    deeds = Deeds(platform, catalog, ANYONE)
    with monkeypatch.context() as patched:
        patched.setattr(history, "reconcile", killed_half_way)
        with pytest.raises(KeyboardInterrupt):
            deeds.promote_rules(AFTER, source="test", why="test", notify_past=True)
    assert 0 < len(rulesets.outdated(platform.db)) < len(archive)
    deeds.promote_rules(AFTER, source="test", why="test", notify_past=True)
    (following,) = backfills.page(platform.db)
    assert {item.video_id for item in backfills.listed(platform.db, following.id)} == {record.video_id for record in archive}
    catalog.close()


def test_rolling_back_revives_what_there_was(platform, archive):
    from video_platform.access import ANYONE
    from video_platform.catalog import Catalog
    from video_platform.deeds import Deeds

    catalog = Catalog(platform.settings, platform.db, platform.store)
    deeds, was = Deeds(platform, catalog, ANYONE), active(platform)
    first = rulesets.active(platform.db)
    version, done = deeds.promote_rules(AFTER, source="test", why="try", who="ana")
    assert (version.who, version.why, version.source) == ("ana", "try", "test")
    raised = outbox(platform, "event").count(events.ALERT_RAISED)
    back, undone = deeds.roll_back_rules(first.id, why="no", who="ben")
    assert (back.text, back.source, back.who) == (BEFORE, f"version {first.id}", "ben")
    assert back.id > version.id
    assert set(active(platform)) == set(was)
    assert {id_: said(alert) for id_, alert in active(platform).items()} == {id_: said(alert) for id_, alert in was.items()}
    assert (undone.revived, undone.raised, undone.superseded) == (done.superseded, 0, done.raised)
    assert outbox(platform, "event").count(events.ALERT_RAISED) == raised
    actions = [(entry.action, entry.who) for entry in audit.page(platform.db)[0]]
    assert actions == [("rules-reconcile", "ben"), ("rules-rollback", "ben"), ("rules-reconcile", "ana"), ("rules-promote", "ana")]
    with pytest.raises(NotFound, match="no version 99"):
        deeds.roll_back_rules(99, why="")
    catalog.close()


def test_a_video_whose_tracks_cannot_be_had_is_named_and_keeps_its_alerts(platform, archive, tmp_path):
    gone, changed = archive[0].video_id, archive[5].video_id
    platform.store.delete_prefix(f"videos/{gone}/tracks/")
    tracks, samples = archives.crowd(999, 5.0)
    archives.store_tracks(platform, changed, tmp_path, tracks, samples, NAMES)
    was = {id_ for id_, alert in active(platform).items() if alert.video_id in (gone, changed)}
    found = history.what_if(platform, AFTER)
    assert dict(found.left_out) == {gone: "its tracks are not there", changed: "it was tracked again, and its alerts are not yet of the new tracks"}
    assert found.videos == len(archive) - 2
    apply(platform, AFTER)
    assert set(dict(history.reconcile(platform).left_out)) == {gone, changed}
    assert {id_ for id_, alert in active(platform).items() if alert.video_id in (gone, changed)} == was
    assert set(rulesets.outdated(platform.db)) == {gone, changed}


def test_a_video_in_the_hands_of_a_run_is_left_to_it(platform, archive):
    from video_platform.services.database import videos

    videos.started(platform.db, archive[0].video_id, "run-2", "alerts")
    was = {id_ for id_, alert in active(platform).items() if alert.video_id == archive[0].video_id}
    apply(platform, AFTER)
    assert history.reconcile(platform).videos == len(archive) - 1
    assert videos.get(platform.db, archive[0].video_id).state is VideoState.PROCESSING
    assert {id_ for id_, alert in active(platform).items() if alert.video_id == archive[0].video_id} == was


def test_one_video_alone_is_told_what_the_whole_archive_would_be_told_of_it(platform, archive):
    whole, before = told(history.what_if(platform, AFTER), platform), rows(platform)
    packs = sorted((path, path.stat().st_mtime_ns) for path in platform.settings.packs.rglob("*.parquet"))
    for record in archive:
        found = history.what_if_of_one(platform, AFTER, record)
        assert found.uncounted is None
        assert {count.rule for count in found.counts} >= {rule.name for rule in rules.parse(AFTER).for_camera(record.camera).rules}
        for count in found.counts:
            for what, alerts in whole.items():
                wanted = sum((alert.rule, alert.video_id) == (count.rule, record.video_id) for alert in alerts.values())
                assert getattr(count, what) == wanted, (count, what)
    assert rows(platform) == before
    assert sorted((path, path.stat().st_mtime_ns) for path in platform.settings.packs.rglob("*.parquet")) == packs


def test_one_video_that_cannot_be_counted_says_why(platform, archive, monkeypatch, tmp_path):
    late = archives.add(platform, tmp_path, 77, *archives.crowd(77, 5.0), NAMES, camera="gate-1")
    assert history.what_if_of_one(platform, AFTER, late).uncounted == "the alerts of this video were not made yet"
    monkeypatch.setattr(history, "MOST_RULE_HOURS", 0.0)
    assert "too much footage" in (history.what_if_of_one(platform, AFTER, archive[0]).uncounted or "")
    assert history.what_if_of_one(platform, BEFORE, archive[0]).uncounted is None  # no rule differs, so nothing is judged
    with pytest.raises(RulesError):
        history.what_if_of_one(platform, "version: 2", archive[0])
