"""What is lost and what is done twice when parts of the platform fail, on real Kafka, MinIO and PostgreSQL, through `vp up` with the warm launcher.

    python tests/chaos/losses.py --faults all                                    # one row per fault; --list names them
    python tests/chaos/losses.py --faults broker-killed,machine-restarted --launcher default
    python tests/chaos/losses.py --long --events 10000 --videos 300 --seed 7     # a random SIGKILL of a random part every few seconds

Prints the seed, what happens, and a Markdown table; exit status 0 only when nothing was lost and nothing doubled.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accounts import Account, account, everything, letters_of, settled
from breakable import Stack
from faults import FAULTS, Fault, Scene
from killing import distinct_clips
from poison import some

from video_platform import events, settings
from video_platform.errors import PlatformError
from video_platform.platform import Platform, open_platform

PRODUCER_TRIES_S = 600.0
SETTLE_S = 600.0
SETTLE_S_PER_VIDEO = 20.0
TOLD_EVERY_S = 15.0
LOOK_S = 0.5
COLUMNS = ("fault", "events in", "runs out", "lost", "doubled", "alerts", "alerts doubled", "told again", "dead letters", "retried", "seconds to recover")


@dataclass
class Row:
    """One line of the table."""

    fault: str
    found: Account
    recovered_s: float | None

    @property
    def good(self) -> bool:
        """Whether nothing was lost or doubled."""
        return not (self.found.lost or self.found.doubled or self.found.alerts_doubled or self.recovered_s is None)

    def cells(self) -> list[str]:
        """As text."""
        found = self.found
        figures = (
            found.events_in,
            found.runs_out,
            found.lost,
            found.doubled,
            found.alerts,
            found.alerts_doubled,
            found.told_again,
            found.letters,
            found.retries,
        )
        return [self.fault, *map(str, figures), "never" if self.recovered_s is None else f"{self.recovered_s:.0f}"]


class Producer:
    """Takes footage in as any producer does: again until it is taken. Counts what it handed over."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.video_ids = platform, set[str]()

    def take_in(self, clips: Sequence[Path]) -> None:
        """In this thread."""
        for clip in clips:
            self.video_ids.add(self.until(lambda clip=clip: self.platform.ingest.ingest_path(clip, camera="chaos").video_id))

    def until(self, act: Callable[[], str]) -> str:
        """Until it works; errors of the platform are what this is about, others are not."""
        deadline = time.monotonic() + PRODUCER_TRIES_S
        while True:
            try:
                return act()
            except PlatformError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_S)

    def send(self, messages: Sequence[events.Message]) -> None:
        """Append to the topic of videos, all again when the log did not answer."""

        def append() -> str:
            self.platform.log.append(events.TOPIC_VIDEO_EVENTS, messages)
            return ""

        self.until(append)


def wait_settled(platform: Platform, instance, video_ids: set[str], keys: set[bytes], within_s: float) -> bool:
    """Whether all come to rest in time; a server that is still coming back is waited for."""
    deadline, told = time.monotonic() + within_s, time.monotonic()
    while time.monotonic() < deadline:
        with suppress(Exception):
            if settled(platform, instance, video_ids) and _read(platform, instance):
                return True
        if time.monotonic() - told > TOLD_EVERY_S:
            told = time.monotonic()
            with suppress(Exception):
                print(f"    … {_standing(platform, instance, video_ids)}", flush=True)
        time.sleep(LOOK_S)
    return False


def _read(platform: Platform, instance) -> bool:
    """Whether the sensors have read all that lies on their topics."""
    from sensors.consuming import Position

    for name, topic in (("video_events", events.TOPIC_VIDEO_EVENTS), ("processed_videos", events.TOPIC_PROCESSED)):
        states = [state for state in instance.all_instigator_state() if state.instigator_name == name]
        position = Position.parse(getattr(states[0].instigator_data, "cursor", None) if states else None)
        if position.topic_id != platform.log.topic_id(topic) or any(position.next.get(each, 0) < end for each, end in platform.log.end_offsets(topic).items()):
            return False
    return True


def _standing(platform: Platform, instance, video_ids: set[str]) -> str:
    from video_platform.services.database import outbox, videos

    states = Counter(str(record and record.state) for record in (videos.get(platform.db, each) for each in list(video_ids)))
    failed = Counter(str(record.failure_code) for record in (videos.get(platform.db, each) for each in list(video_ids)) if record and record.failure_code)
    import dagster as dg

    statuses = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    runs = Counter(run.status.value for run in instance.get_runs(dg.RunsFilter(statuses=statuses)))
    return f"{dict(states)} {dict(failed) or ''} runs {dict(runs)} outbox {outbox.pending(platform.db).waiting}"


def one_fault(stack: Stack, fault: Fault, clips: Sequence[Path], chance: random.Random) -> Row:
    """Footage before and while it happens; the time counts from when everything that was taken away is back."""
    import dagster as dg

    print(f"— {fault.name}: {fault.what}", flush=True)
    with open_platform(settings.load()) as platform, dg.DagsterInstance.from_config(str(stack.home / "dagster")) as instance:
        producer, before = Producer(platform), Counter(stack.webhook.told)
        half = max(1, len(clips) // 2)
        scene = Scene(stack, platform, instance, producer, chance, len(clips))
        producer.take_in(clips[:half])
        during = threading.Thread(target=producer.take_in, args=(clips[half:],))
        scene.meanwhile = during.start
        fault.act(scene)
        scene.start_meanwhile()
        healed = time.monotonic()
        during.join()
        came = wait_settled(platform, instance, producer.video_ids, scene.keys, SETTLE_S + SETTLE_S_PER_VIDEO * len(clips))
        took_s = time.monotonic() - healed if came else None
        found = account(platform, instance, producer.video_ids, stack.webhook.told, before)
        if scene.keys:
            letters_of(platform, scene.keys, found)
        found.events_in = len(producer.video_ids) + scene.more
        found.faults += scene.faults
        found.lost += len(scene.faults)
        row = Row(fault.name, found, took_s)
    print(f"  {' | '.join(row.cells())}", *(f"\n  ! {each}" for each in found.faults), flush=True)
    return row


def long_run(stack: Stack, clips: Sequence[Path], count: int, chance: random.Random, options: argparse.Namespace) -> Row:
    """Distinct videos, producers' duplicates and poison, while random parts die."""
    import dagster as dg

    with open_platform(settings.load()) as platform, dg.DagsterInstance.from_config(str(stack.home / "dagster")) as instance:
        producer, keys, sent = Producer(platform), set[bytes](), Counter[str]()
        stop = threading.Event()
        troubles: list[str] = []

        def feed() -> None:
            try:
                _feed(producer, clips, count, chance.random(), keys, sent)
            except Exception:
                troubles.append(traceback.format_exc())

        feeding = threading.Thread(target=feed)
        began = time.monotonic()
        feeding.start()
        kills: Counter[str] = Counter()
        while feeding.is_alive() or time.monotonic() - began < options.minutes * 60:
            time.sleep(chance.uniform(options.every / 2, options.every * 1.5))
            _kill_something(stack, chance, kills)
            if sum(kills.values()) % 10 == 0:
                with suppress(Exception):
                    done = f"{sum(kills.values())} kills, {dict(sent)}; {_standing(platform, instance, producer.video_ids)}"
                    print(f"  {time.monotonic() - began:.0f} s: {done}", flush=True)
        stop.set()
        feeding.join()
        healed = time.monotonic()
        print(f"  no more kills after {healed - began:.0f} s: {dict(kills)}; sent {dict(sent)}", flush=True)
        came = wait_settled(platform, instance, producer.video_ids, keys, options.settle * 60)
        took_s = time.monotonic() - healed if came else None
        found = account(platform, instance, producer.video_ids, stack.webhook.told)
        letters_of(platform, keys, found)
        found.events_in = sum(sent.values())
        found.faults += troubles
        found.lost += len(troubles)
        records = len(everything(platform.log, events.TOPIC_VIDEO_EVENTS))
        print(f"  topic video-events holds {records} records; kills by part: {dict(kills)}, {sum(kills.values())} in all", flush=True)
        row = Row(f"{sum(kills.values())} random kills in {(healed - began) / 60:.0f} min", found, took_s)
    print(*(f"  ! {each}\n" for each in found.faults[:40]), flush=True)
    return row


def _feed(producer: Producer, clips: Sequence[Path], count: int, seed: float, keys: set[bytes], sent: Counter[str]) -> None:
    """First a video, then in every round one more with its share of duplicates and poison, until all are in."""
    chance = random.Random(seed)
    others = count - len(clips)
    share = others // len(clips)
    number = 0
    for position, clip in enumerate(clips):
        producer.take_in([clip])
        sent["videos"] += 1
        known = [record.message for record in _sample(producer, chance)]
        more = share if position + 1 < len(clips) else others - share * (len(clips) - 1)
        bad = some(more // 2 if known else 0, number, chance.choice(known), chance) if known else []
        number += len(bad)
        again = [chance.choice(known) for _ in range(more - len(bad))] if known else []
        mixed = [*bad, *again]
        chance.shuffle(mixed)
        producer.send(mixed)
        keys.update(message.key for message in bad)
        sent["poison"] += len(bad)
        sent["duplicates"] += len(again)


def _sample(producer: Producer, chance: random.Random):
    """Some events of videos that lie on the topic, as a producer that repeats itself has them."""
    found: list = []

    def look() -> str:
        ends, begins = producer.platform.log.end_offsets(events.TOPIC_VIDEO_EVENTS), producer.platform.log.begin_offsets(events.TOPIC_VIDEO_EVENTS)
        start = {each: max(begins[each], chance.randint(begins[each], max(begins[each], end - 1)) - 10) for each, end in ends.items()}
        records = producer.platform.log.read(events.TOPIC_VIDEO_EVENTS, start, limit=60, budget_s=20)
        found.extend(record for record in records if not record.message.key.startswith(b"poison-"))
        return ""

    producer.until(look)
    if not found:
        time.sleep(LOOK_S)
        return _sample(producer, chance)
    return found


PARTS = {"run": 6, "child": 3, "run host": 3, "code server": 3, "daemon": 3, "relay": 3, "web": 1, "broker": 2, "store": 2, "database": 2, "vp up": 1}
"""What is killed, and how often relative to the others."""


def _kill_something(stack: Stack, chance: random.Random, kills: Counter[str]) -> None:
    part = chance.choices(list(PARTS), list(PARTS.values()))[0]
    if part == "vp up":
        stack.up.kill()
        kills[part] += 1
        stack.up.start()
    elif part in stack.servers():
        with stack.away(part):
            kills[part] += 1
            time.sleep(chance.uniform(0.5, 6.0))
    elif stack.kill(part, one=chance.choice):
        kills[part] += 1


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Run what was asked for and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the faults")
    parser.add_argument("--faults", default="", help="names, comma separated, or all")
    parser.add_argument("--long", action="store_true", help="random kills under a stream of events")
    parser.add_argument("--events", type=int, default=10_000, help="of the long run, in all")
    parser.add_argument("--videos", type=int, default=6, help="distinct videos: per fault, or in the long run")
    parser.add_argument("--every", type=float, default=5.0, help="mean seconds between two kills")
    parser.add_argument("--minutes", type=float, default=5.0, help="least time with kills")
    parser.add_argument("--settle", type=float, default=30.0, help="most minutes to come to rest after the last kill")
    parser.add_argument("--launcher", choices=("warm", "default"), default="warm")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background without the first
        signal.signal(number, lambda *_: sys.exit(130))
    if options.list or not (options.faults or options.long):
        print(*(f"{fault.name:28} {fault.what}" for fault in FAULTS), sep="\n")
        return 0
    chosen = [fault for fault in FAULTS if options.faults == "all" or fault.name in options.faults.split(",")]
    chance = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="vp-losses-"))
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False).stdout.strip()
    print(f"seed {options.seed}, {options.launcher} launcher, revision {revision}; everything lies in {folder}", flush=True)
    stack = Stack(folder, launcher=options.launcher)
    rows: list[Row] = []
    try:
        began = time.monotonic()
        stack.start()
        print(f"all servers and vp up answer after {time.monotonic() - began:.0f} s", flush=True)
        clips = distinct_clips(folder, options.videos * (len(chosen) + 1))
        if options.long:
            rows.append(long_run(stack, clips[: options.videos], options.events, chance, options))
        for position, fault in enumerate(chosen, 1):
            try:
                rows.append(one_fault(stack, fault, clips[position * options.videos : (position + 1) * options.videos], chance))
            except Exception:  # the next fault may still be tried
                traceback.print_exc(file=sys.stdout)
                rows.append(Row(f"{fault.name}: the script failed", Account(lost=options.videos), None))
    finally:
        print(f"\n{table(rows)}\n", flush=True)
        with suppress(AssertionError, OSError):
            stack.stop()
    good = bool(rows) and all(row.good for row in rows)
    print("nothing lost, nothing doubled" if good else f"losses or doubles; {folder} is kept", flush=True)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
