"""`says` and `sees` rules over the past: judged from what is stored, asking nobody, and brought to the ledger."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import archives
import pytest
from archives import active, outbox, rows, said, told
from seeded import apply, store_json, store_manifest, transcribe

from video_platform import events, history, history_described, layout, recipes
from video_platform.access import ANYONE
from video_platform.analysis import described
from video_platform.catalog import Catalog
from video_platform.deeds import Deeds
from video_platform.fingerprints import canonical, content_hash, fingerprint
from video_platform.history_told import Tally
from video_platform.records import Lane, Manifest, Mark, SpeechSegment, SpokenWord, Transcript
from video_platform.services.database import archive, backfills, ledger, reconciliation, rulesets

NAMES = ("person", "car")
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BEFORE = """\
version: 1
channels: {ops: {url_env: OPS_URL}}
defaults: {cooldown: 0s}
rules:
  - {name: somebody, when: {appears: person}}
  - {name: fire, when: {says: [fire]}}
  - {name: police, when: {says: ["call the police"]}, cameras: [yard]}
"""
AFTER = BEFORE.replace("[fire]", '["a fire", help]')
SPOKEN = {
    "gate-0": "There is a fire.",
    "gate-1": "Fire! Please help.",
    "yard-0": "Call the police, somebody fired.",
    "yard-1": "Help me with the fireplace.",
}


def spoken(text: str) -> Transcript:
    """Half a second for each word, with its times."""
    words = [SpokenWord(text=word, start_s=1 + n / 2, end_s=1.4 + n / 2, probability=0.9) for n, word in enumerate(text.split())]
    return Transcript(state="spoken", language="en", segments=[SpeechSegment(id="0", text=text, start_s=1.0, end_s=words[-1].end_s, words=words)])


def judge(platform, record, transcript, *, lane=Lane.LIVE):
    """What the step `described_alerts` does to the ledger with the active rules, where none of them asks anybody."""
    version = rulesets.active(platform.db)
    camera_rules = version.rule_set.for_camera(record.camera).on_description
    found = described.evaluate(camera_rules, duration_s=0.0, recorded_at=record.recorded_at, heard=described.Heard(transcript), unseen=None, answers={})
    made_with = {name: canonical(value) for name, value in recipes.described_alerts(platform.settings, camera_rules, record, None).items()}
    stored = {} if transcript is None else {layout.TRANSCRIPT: platform.store.get_bytes(layout.manifest_key(record.video_id, layout.TRANSCRIPT))}
    inputs = {name: Manifest.model_validate_json(stored[name]).content_hash for name in recipes.of_described(made_with) if name in stored}
    return reconciliation.reconcile(
        platform.db,
        reconciliation.EvaluationInput(
            video_id=record.video_id,
            asset=layout.DESCRIBED_ALERTS,
            fingerprint=fingerprint(recipes.CODE_VERSIONS[layout.DESCRIBED_ALERTS], made_with, inputs),
            content_hash=content_hash(found.episodes),
            tracks_hash="",
            rules_version=str(version.id),
            episodes=found.episodes,
            rule_facts={rule.name: (rule.severity, rule.channels) for rule in camera_rules.rules},
            lane=lane,
            run_id="run-1",
            now=datetime.now(UTC),
            processed_key="",
            unjudged=found.unjudged,
        ),
    )


def add(platform, folder, number, camera, transcript, *, described_too=True):
    """A video with tracks and a transcript, judged by the active rules."""
    tracks, samples = archives.crowd(number, 4.0)
    at = START + timedelta(hours=number)
    record = archives.add(platform, folder, number, tracks, samples, NAMES, camera=camera, recorded_at=at)
    if transcript is not None:
        transcribe(platform, record, transcript)
    archives.judge(platform, record)
    if described_too:
        judge(platform, record, transcript)
    return record


def store_scenes(platform, record):
    text = '[{"index": 0, "start_s": 0.0, "end_s": 4.0, "thumbnail": null}]'
    store_manifest(platform, record.video_id, layout.SCENES, [store_json(platform, record.video_id, layout.SCENES, "scenes", text)])


def archived_transcript(platform, record):
    manifest = Manifest.model_validate_json(platform.store.get_bytes(layout.manifest_key(record.video_id, layout.TRANSCRIPT)))
    entry = manifest.file("transcript")
    assert entry is not None
    return entry


@pytest.fixture
def platform(tmp_path):
    with archives.opened(tmp_path, BEFORE) as opened:
        yield opened


@pytest.fixture
def archived(platform, tmp_path):
    """Name -> `(record, transcript)`."""
    found = {}
    for number, (name, text) in enumerate(SPOKEN.items()):
        transcript = spoken(text)
        found[name] = add(platform, tmp_path, number, name.partition("-")[0], transcript), transcript
    return found


@pytest.fixture
def deeds(platform):
    catalog = Catalog(platform.settings, platform.db, platform.store)
    yield Deeds(platform, catalog, ANYONE)
    catalog.close()


def counts(found):
    return {(each.rule, each.camera): (each.added, each.removed, each.unchanged) for each in found.counts if each.rule != "somebody"}


def test_a_draft_of_words_promises_what_then_happens_and_writes_nothing(platform, archived):
    before, was = rows(platform), active(platform)
    found = history.what_if(platform, AFTER)
    promised = told(found, platform)
    assert rows(platform) == before
    assert (found.videos, found.left_out, found.cannot_evaluate) == (4, [], [])
    # gate-0 "a fire" overlaps what was raised for "fire"; gate-1 "help" is 1 s after "Fire!" and is taken for it; yard-1 is new; nothing was "fire" in "fired"
    assert counts(found) == {("fire", "gate"): (0, 0, 2), ("fire", "yard"): (1, 0, 0), ("police", "yard"): (0, 0, 1)}
    (new,) = promised["added"].values()
    assert (new.video_id, new.start_s, new.why["said"], new.asset) == (archived["yard-1"][0].video_id, 1.0, ["help"], layout.DESCRIBED_ALERTS)
    assert promised["unchanged"].keys() == was.keys()

    apply(platform, AFTER)
    for record, transcript in archived.values():  # as the step does it, one by one
        judge(platform, record, transcript)
    now = active(platform)
    assert now.keys() == promised["added"].keys() | promised["unchanged"].keys()
    assert said(now[new.id]) == said(new)


def test_words_that_are_not_said_any_more_and_rules_that_go_are_removed(platform, archived):
    found = history.what_if(
        platform, BEFORE.replace("[fire]", "[smoke]").replace('  - {name: police, when: {says: ["call the police"]}, cameras: [yard]}\n', "")
    )
    assert counts(found) == {("fire", "gate"): (0, 2, 0), ("police", "yard"): (0, 1, 0)}


def test_a_camera_whose_rules_say_the_same_is_not_read(platform, archived):
    for record, _ in archived.values():
        platform.store.delete_prefix(f"videos/{record.video_id}/{layout.TRANSCRIPT}/")
    found = history.what_if(platform, BEFORE.replace("severity: warning", "severity: info") + "  - {name: more, when: {says: [stop]}, cameras: [yard]}\n")
    assert counts(found) == {("fire", "gate"): (0, 0, 2), ("police", "yard"): (0, 0, 1)}
    assert {(rule, reason) for rule, reason, _ in found.cannot_evaluate} == {(rule, described.NO_TRANSCRIPT) for rule in ("fire", "police", "more")}
    assert {number for _, _, number in found.cannot_evaluate} == {2}  # those of yard alone


def test_what_cannot_be_judged_keeps_its_alerts_and_says_why(platform, archived, tmp_path):
    strange = archived["gate-0"][0]
    transcribe(platform, strange, Transcript(state="unknown_language", reason="German is spoken"))
    damaged = archived["gate-1"][0]
    entry = archived_transcript(platform, damaged)
    platform.store.put_bytes(entry.key, b"{", media_type="application/json")
    add(platform, tmp_path, 8, "gate", spoken("Fire"), described_too=False)
    add(platform, tmp_path, 9, "gate", None)
    was = {id_ for id_, alert in active(platform).items() if alert.rule == "fire"}
    draft = BEFORE.replace("[fire]", "[smoke]")
    found = history.what_if(platform, draft)
    assert counts(found)["fire", "gate"] == (0, 0, 1)
    assert dict(found.left_out) == {damaged.video_id: "what it was described with cannot be read"}
    reasons = ["German is spoken", described.NO_TRANSCRIPT, history_described.NOT_YET]
    assert sorted(found.cannot_evaluate) == sorted(("fire", reason, 1) for reason in reasons)
    apply(platform, draft)
    done = history.reconcile(platform)
    assert dict(done.left_out) == {damaged.video_id: "what it was described with cannot be read"}
    assert {id_ for id_, alert in active(platform).items() if alert.rule == "fire"} == was


def test_promoting_raises_and_takes_back_at_once_and_rolling_back_revives(platform, archived, deeds):
    was = active(platform)
    marked = next(alert for alert in was.values() if alert.rule == "fire")
    ledger.mark(platform.db, marked.id, Mark.FALSE, "ana", datetime.now(UTC))
    first = rulesets.active(platform.db)
    draft = BEFORE.replace("[fire]", "[help]")
    promised = told(history.what_if(platform, draft), platform)
    _, done = deeds.promote_rules(draft, source="test", why="test")
    assert set(active(platform)) == promised["added"].keys() | promised["unchanged"].keys()
    assert (done.videos, done.raised, done.superseded, done.notified, done.waiting) == (4, len(promised["added"]), len(promised["removed"]), 0, [])
    assert done.raised
    assert done.superseded
    assert rulesets.outdated(platform.db, asset=layout.DESCRIBED_ALERTS) == []
    (following,) = backfills.page(platform.db)
    assert {item.video_id for item in backfills.listed(platform.db, following.id)} == {record.video_id for record, _ in archived.values()}
    assert history.reconcile(platform).videos == 0

    raised = outbox(platform, "event").count(events.ALERT_RAISED)
    _, undone = deeds.roll_back_rules(first.id, why="no")
    assert {id_: said(alert) for id_, alert in active(platform).items()} == {id_: said(alert) for id_, alert in active_with_mark(was, marked.id).items()}
    assert (undone.raised, undone.revived, undone.superseded) == (0, done.superseded, done.raised)
    assert outbox(platform, "event").count(events.ALERT_RAISED) == raised


def active_with_mark(was, marked):
    return {id_: alert.model_copy(update={"mark": Mark.FALSE}) if id_ == marked else alert for id_, alert in was.items()}


def test_the_past_of_words_is_notified_of_when_asked_and_once(platform, archived, deeds):
    draft = BEFORE.replace("says: [fire]}", "says: [help]}, channels: [ops]")
    known = set(outbox(platform, "notification"))
    _, done = deeds.promote_rules(draft, source="test", why="test", notify_past=True)
    new = [alert_id for alert_id in outbox(platform, "notification") if alert_id not in known]
    raised = [alert.id for alert in active(platform).values() if alert.video_id == archived["yard-1"][0].video_id and alert.rule == "fire"]
    assert set(raised) <= set(new)
    assert done.notified == len(new) > 0
    deeds.promote_rules(draft, source="test", why="test", notify_past=True)
    assert len(outbox(platform, "notification")) == len(known) + len(new)


def test_a_camera_or_a_time_narrows_and_one_video_alone_is_told_the_same(platform, archived):
    found = history.what_if(platform, AFTER, camera="ya*", since=START + timedelta(hours=2, minutes=30))
    assert counts(found) == {("fire", "yard"): (1, 0, 0)}
    whole = told(history.what_if(platform, AFTER), platform)
    for record, _ in archived.values():
        one = history.what_if_of_one(platform, AFTER, record)
        assert one.uncounted is None
        for count in one.counts:
            for what, alerts in whole.items():
                assert getattr(count, what) == sum((alert.rule, alert.video_id) == (count.rule, record.video_id) for alert in alerts.values())


def test_a_rule_that_asks_says_what_is_missing_and_one_video_alone_asks_nobody(platform, archived):
    draft = BEFORE + '  - {name: drone, when: {sees: "a drone"}, cameras: [gate]}\n'
    for record, _ in archived.values():
        if record.camera == "gate":
            store_scenes(platform, record)
    found = history.what_if(platform, draft)
    assert counts(found) == counts(history.what_if(platform, BEFORE))
    ((rule, reason, number),) = found.cannot_evaluate
    assert (rule, number) == ("drone", 2)
    assert "no vision model is named" in reason
    one = history.what_if_of_one(platform, draft, archived["gate-0"][0])
    assert one.cannot_evaluate == [("drone", history_described.NOT_NOW)]


def test_a_schedule_over_words_ends_with_the_last_scene(platform, archived):
    hours = 'schedule: {from: "12:00", to: "13:00", timezone: UTC}'
    draft = BEFORE.replace("{says: [fire]}", f"{{says: [fire]}}, {hours}")
    for record, _ in archived.values():
        store_scenes(platform, record)
    found = history.what_if(platform, draft)
    assert counts(found)["fire", "gate"] == (0, 1, 1)  # the second was recorded at 13:00


@pytest.mark.parametrize("small_bytes", [history_described.SMALL_BYTES, 0])
def test_no_more_is_held_than_is_read_at_once(platform, tmp_path, monkeypatch, small_bytes):
    """Of twenty videos no more than are read at once are opened before they are wanted; large files only when it is their turn."""
    monkeypatch.setattr(history_described, "SMALL_BYTES", small_bytes)
    for number in range(20):
        add(platform, tmp_path, number, "gate", spoken(f"Help {number}"))
    opened = []

    class Counting:
        def get_bytes(self, key, **limit):
            opened.append(key)
            return platform.store.get_bytes(key, **limit)

    rule_set = rulesets.active(platform.db).rule_set
    standing = SimpleNamespace(db=platform.db, store=Counting(), settings=platform.settings)
    past = history_described.DescribedPast(standing, rule_set, Tally())
    judged = past.judged("gate", archive.evaluated(platform.db, "gate", layout.DESCRIBED_ALERTS))
    for given in range(20):
        next(judged)
        whole = sum("/manifest.json" not in key for key in opened)
        assert whole <= (given + 1 if small_bytes == 0 else min(20, given + history_described.READERS))
    assert next(judged, None) is None
    assert len(opened) == 40
