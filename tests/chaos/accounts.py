"""What came of the events that went in, from the database, the objects, the topics and Dagster's runs."""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from poison import KEY

from video_platform import dead_letters, events, layout
from video_platform.pipeline import tags
from video_platform.pipeline.jobs import DESCRIBE_VIDEO, PROCESS_VIDEO
from video_platform.platform import Platform
from video_platform.records import AlertRecord, VideoState
from video_platform.services.database import ledger, outbox, videos
from video_platform.services.event_log import EventLog, Record

EXPECTED = (*layout.ASSETS,)
MOST = 1_000_000


@dataclass
class Account:
    """Figures of one fault. `lost`: videos without a result, and poison without a letter. `doubled`: run keys with two runs, and poison with two letters of one
    record. `alerts_doubled`: alerts that stand twice in the ledger or were raised under two ids. `told_again`: notifications beyond one per alert."""

    events_in: int = 0
    runs_out: int = 0
    lost: int = 0
    doubled: int = 0
    alerts: int = 0
    alerts_doubled: int = 0
    told_again: int = 0
    letters: int = 0
    retries: int = 0
    asked_again: int = 0
    faults: list[str] = field(default_factory=list)


def everything(log: EventLog, topic: str) -> list[Record]:
    """All records of a topic."""
    found: list[Record] = []
    position: dict[int, int] = {}
    while batch := log.read(topic, position, limit=2000, budget_s=60):
        found += batch
        position = {**position, **{record.partition: record.offset + 1 for record in batch}}
    return found


def settled(platform: Platform, instance, video_ids: Collection[str]) -> bool:
    """Whether every video has its result and its summary, nothing is under way for one, and nothing waits to leave."""
    import dagster as dg

    wanted = list(video_ids)
    if outbox.pending(platform.db).waiting:
        return False
    ready = set(videos.ids(platform.db, [VideoState.READY]))
    if not ready.issuperset(wanted):
        return False
    facts = videos.facts(platform.db, wanted)
    if any(facts[each].title is None for each in wanted):
        return False
    states = dg.DagsterRunStatus
    open_ = [states.QUEUED, states.NOT_STARTED, states.STARTING, states.STARTED, states.CANCELING]
    return not {run.tags.get(tags.VIDEO) for run in instance.get_runs(dg.RunsFilter(statuses=open_))}.intersection(wanted)


def account(platform: Platform, instance, video_ids: Collection[str], told: Counter[str] | None, before: Counter[str] | None = None) -> Account:
    """The figures of these videos; `told` are notifications by video (None: nobody is notified), `before` those that a row before this one counted."""
    found = Account()
    for video_id in sorted(video_ids):
        found.lost += _is_lost(platform, video_id, found)
    _count_runs(instance, set(video_ids), found)
    _count_alerts(platform, set(video_ids), found)
    if told is not None:
        _count_notices(platform, set(video_ids), told - (before or Counter()), found)
    return found


def _is_lost(platform: Platform, video_id: str, found: Account) -> bool:
    record = videos.get(platform.db, video_id)
    if record is None or record.state is not VideoState.READY:
        found.faults.append(f"{video_id} is {record and record.state}: {record and record.failure_code} {record and record.failure_message}")
        return True
    for asset in EXPECTED:
        try:
            manifest = json.loads(platform.store.get_bytes(layout.manifest_key(video_id, asset)))
            for entry in manifest["files"]:
                if platform.store.stat(entry["key"]).size_bytes != entry["size_bytes"]:
                    raise ValueError(f"{entry['key']} differs from its manifest")
        except Exception as error:
            found.faults.append(f"{video_id}: {asset}: {error}")
            return True
    return False


def _count_runs(instance, video_ids: set[str], found: Account) -> None:
    roots: Counter[str] = Counter()
    done: set[str] = set()
    for run in instance.get_runs():
        if run.tags.get(tags.VIDEO) not in video_ids or run.job_name not in (PROCESS_VIDEO, DESCRIBE_VIDEO):
            continue
        key = run.tags.get("dagster/run_key", "")
        if "dagster/parent_run_id" in run.tags:
            found.retries += 1
        else:
            roots[f"{run.job_name} {key}"] += 1
        if run.job_name == PROCESS_VIDEO and run.status.value == "SUCCESS":
            done.add(str(run.tags[tags.VIDEO]))
    found.runs_out = len(done)
    doubles = [key for key, count in roots.items() if count > 1]
    found.doubled += sum(roots[key] - 1 for key in doubles)
    found.faults += [f"{roots[key]} runs for {key}" for key in doubles[:5]]
    per_video = Counter(key.split("@")[0] for key in roots)
    found.asked_again = sum(count - 1 for count in per_video.values())


def _alerts(platform: Platform, video_ids: set[str]) -> list[AlertRecord]:
    return [alert for alert in ledger.page(platform.db, limit=MOST)[0] if alert.video_id in video_ids]


def _count_alerts(platform: Platform, video_ids: set[str], found: Account) -> None:
    alerts = _alerts(platform, video_ids)
    found.alerts = len(alerts)
    twice = Counter((alert.video_id, alert.rule, round(alert.start_s, 2), tuple(alert.track_ids)) for alert in alerts)
    raised: dict[str, set[str]] = {}
    for record in everything(platform.log, events.TOPIC_ALERTS):
        event = events.decode(record.message)
        if event.type == events.ALERT_RAISED and event.subject in video_ids and isinstance(event.body, events.AlertBody):
            raised.setdefault(event.body.alert.id, set()).add(event.id)
    found.alerts_doubled = sum(count - 1 for count in twice.values()) + sum(len(ids) - 1 for ids in raised.values())
    unsaid = {alert.id for alert in alerts} - set(raised)
    if unsaid:
        found.lost += len(unsaid)
        found.faults.append(f"{len(unsaid)} alerts are on no topic")


def _count_notices(platform: Platform, video_ids: set[str], told: Counter[str], found: Account) -> None:
    wanted = Counter(alert.video_id for alert in _alerts(platform, video_ids))
    untold = sum((wanted - told).values())
    if untold:
        found.faults.append(f"{untold} alerts were told to nobody")
        found.lost += untold
    found.told_again = sum((Counter({each: told[each] for each in video_ids}) - wanted).values())


def letters_of(platform: Platform, keys: Collection[bytes], found: Account) -> None:
    """Every poisoned record that lies on the topic of videos has one letter: by its coordinates, so that a repeated letter is one."""
    stood = {
        (record.partition, record.offset): record.message.key
        for record in everything(platform.log, events.TOPIC_VIDEO_EVENTS)
        if record.message.key.startswith(KEY.encode()) and record.message.key in keys
    }
    told: Counter[tuple[int, int]] = Counter()
    for record in everything(platform.log, events.TOPIC_DEAD_LETTERS):
        about = dead_letters.about(record.message)
        if about.get(dead_letters.TOPIC) == events.TOPIC_VIDEO_EVENTS and record.message.key in keys:
            told[int(about[dead_letters.PARTITION]), int(about[dead_letters.OFFSET])] += 1
    missing = [place for place in stood if place not in told]
    unsent = set(keys) - set(stood.values())
    found.letters = len(told)
    found.lost += len(missing) + len(unsent)
    if missing or unsent:
        found.faults.append(f"{len(missing)} poisoned records have no letter, {len(unsent)} never reached the topic")
    copies = sum(count - 1 for count in told.values())
    if copies:
        found.faults.append(f"note: {copies} letters were written twice by a tick that was replayed; `vp dlq` shows each once")
