"""SIGKILL from outside, at random moments, on every process of a running `vp up`; then the books are checked.

    python tests/chaos/killing.py --rounds 50 --videos 200 --seed 7

Prints the seed first, so that a failing order of kills can be repeated. Exit status 0 only when nothing was lost and nothing was done twice.
"""

import argparse
import contextlib
import itertools
import json
import random
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import av
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from running import PARTS, ROOT, Up, wait

from video_platform import events, layout, settings
from video_platform.platform import open_platform
from video_platform.records import VideoState
from video_platform.services.database import ledger, videos

SAMPLE = ROOT / "samples" / "crossing.mp4"
CLIP_SIZE = (384, 288)
CLIP_FRAMES = 10
APPEARS_WITHIN_S = 20.0
"""How long a round waits for a process of the part that it wants to kill: a run and its child come and go."""

SETTLE_S = 600
SETTLE_S_PER_VIDEO = 15
"""How long all may take to come to rest after the last kill, on two busy cores: what died is asked for again a minute later, up to three times."""


@dataclass
class Books:
    """What the check found; empty lists mean that all is well."""

    faults: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def expect(self, truth: bool, fault: str) -> None:
        """Remember `fault` unless `truth`."""
        if not truth:
            self.faults.append(fault)


def kill_something(up: Up, chance: random.Random, books: Books) -> None:
    """One round: SIGKILL one process of a part chosen at random among those that live."""
    choice = chance.choice([*PARTS, "supervisor"])
    if choice == "supervisor":
        below = up.kill()
        books.kills[choice] += 1
        _gone, alive = psutil.wait_procs(below, timeout=30)
        books.expect(not alive, f"{len(alive)} processes outlived a killed supervisor: {[' '.join(p.cmdline())[:90] for p in alive if p.is_running()]}")
        up.start()
        return
    with contextlib.suppress(TimeoutError):  # short-lived parts are waited for, or only the lasting ones would ever be hit
        wait(lambda: up.members()[choice], APPEARS_WITHIN_S, f"a process of {choice}")
    living = {name: members for name, members in up.members().items() if members}
    if not living:
        return
    part = choice if choice in living else chance.choice(sorted(living))
    with contextlib.suppress(psutil.NoSuchProcess):
        chance.choice(living[part]).kill()
        books.kills[part] += 1


def check(home: Path, video_ids: set[str], books: Books) -> None:
    """Compare the database, the topics, the objects and Dagster's runs."""
    platform = open_platform(settings.load(home=home))
    for video_id in sorted(video_ids):
        record = videos.get(platform.db, video_id)
        books.expect(record is not None and record.state is VideoState.READY, f"{video_id} is {record and record.state} ({record and record.failure_message})")
        for asset in (
            layout.RAW_VIDEO,
            layout.PROCESSED_VIDEO,
            layout.DETECTIONS,
            layout.SCENES,
            layout.TRACKS,
            layout.ALERTS,
            layout.HIGHLIGHTS,
            layout.SECOND_LOOK,
            layout.TRANSCRIPT,
            layout.CAPTIONS,
            layout.DESCRIBED_ALERTS,
            layout.LLM_SUMMARY,
            layout.SEARCH_INDEX,
        ):
            try:
                manifest = json.loads(platform.store.get_bytes(layout.manifest_key(video_id, asset)))
            except Exception as error:
                books.faults.append(f"{video_id}: no manifest of {asset}: {error}")
                continue
            for entry in manifest["files"]:
                books.expect(platform.store.stat(entry["key"]).size_bytes == entry["size_bytes"], f"{entry['key']} differs from its manifest")
    check_topics(platform, video_ids, books)
    check_ledger(platform, video_ids, books)
    check_runs(home, video_ids, books)


def decoded(platform, topic: str) -> list[events.Event]:
    """Every event of a topic."""
    return [events.decode(record.message) for record in platform.log.read(topic, {}, limit=100_000, budget_s=60)]


def check_topics(platform, video_ids: set[str], books: Books) -> None:
    """Each video was announced under one id; each raised alert was announced under one id."""
    announced = Counter(event.id for event in decoded(platform, events.TOPIC_VIDEO_EVENTS) if event.type == events.VIDEO_INGESTED)
    books.expect(len(announced) == len(video_ids), f"{len(announced)} ids were announced for {len(video_ids)} videos")
    raised: dict[str, set[str]] = {}
    for event in decoded(platform, events.TOPIC_ALERTS):
        if isinstance(event.body, events.AlertBody) and event.type == events.ALERT_RAISED:
            raised.setdefault(event.body.alert.id, set()).add(event.id)
    alerts, total = ledger.page(platform.db, limit=100_000)
    books.expect(all(len(ids) == 1 for ids in raised.values()), "an alert was raised under two event ids")
    unannounced = {alert.id for alert in alerts} - set(raised)
    books.expect(not unannounced, f"{len(unannounced)} of {total} alerts were never announced")


def check_ledger(platform, video_ids: set[str], books: Books) -> None:
    """No alert stands twice."""
    alerts, total = ledger.page(platform.db, limit=100_000)
    doubles = [key for key, count in Counter((a.video_id, a.rule, round(a.start_s, 2), tuple(a.track_ids)) for a in alerts).items() if count > 1]
    books.expect(not doubles, f"alerts that stand twice: {doubles[:5]}")
    print(f"ledger: {total} alerts of {len({alert.video_id for alert in alerts})} videos")


def check_runs(home: Path, video_ids: set[str], books: Books) -> None:
    """One run per event: run keys are distinct, and more runs of a key are retries of the first."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        runs = [run for run in instance.get_runs() if run.job_name == "process_video"]
        keys = Counter(run.tags["dagster/run_key"] for run in runs if "dagster/run_key" in run.tags and "dagster/parent_run_id" not in run.tags)
        ingested = [key for key in keys if key.split("@")[0] in video_ids]
        books.expect(all(count == 1 for count in keys.values()), f"run keys that stand twice: {[k for k, n in keys.items() if n > 1][:5]}")
        books.expect({key.split("@")[0] for key in ingested} == video_ids, "a video never had a run")
        statuses = Counter(run.status.value for run in runs)
        books.expect(not any(not run.is_finished for run in runs), "a run is still open")
        print(f"runs: {len(runs)} ({dict(statuses)}) for {len(ingested)} run keys; {sum('dagster/parent_run_id' in run.tags for run in runs)} retries")


def main() -> int:
    """Run the rounds and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}: {options.rounds} rounds, {options.videos} videos", flush=True)
    chance = random.Random(options.seed)
    books = Books()
    folder = Path(tempfile.mkdtemp(prefix="vp-chaos-"))
    print(f"everything lies in {folder}", flush=True)
    video_ids = rounds(folder / "home", distinct_clips(folder, options.videos), options.rounds, chance, books)
    check(folder / "home", video_ids, books)
    print(f"kills: {dict(books.kills)}")
    for fault in books.faults:
        print(f"FAULT {fault}")
    print("nothing lost, nothing doubled" if not books.faults else f"{len(books.faults)} faults; {folder} is kept")
    if not books.faults:
        shutil.rmtree(folder)
    return 1 if books.faults else 0


def distinct_clips(folder: Path, count: int) -> list[Path]:
    """`count` videos of their own: one second of the sample, made small, each with a free box of its own bytes behind it."""
    base = folder / "base.mp4"
    with av.open(str(SAMPLE)) as source, av.open(str(base), "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = CLIP_SIZE[0], CLIP_SIZE[1], "yuv420p"
        for frame in itertools.islice(source.decode(video=0), CLIP_FRAMES):
            picture = frame.reformat(*CLIP_SIZE, format="yuv420p")
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    clips = []
    for number in range(count):
        clip = folder / f"clip-{number:04d}.mp4"
        clip.write_bytes(base.read_bytes() + struct.pack(">I4sI", 12, b"free", number))
        clips.append(clip)
    return clips


def rounds(home: Path, clips: list[Path], count: int, chance: random.Random, books: Books) -> set[str]:
    """Take footage in while processes die; returns when every video has come to rest."""
    home.mkdir(parents=True)
    video_ids: set[str] = set()
    with Up(home) as up:
        platform = open_platform(settings.load(home=home))
        for number in range(count):
            for clip in clips[number * len(clips) // count : (number + 1) * len(clips) // count]:
                video_ids.add(platform.ingest.ingest_path(clip, camera="chaos").video_id)
            platform.announce()
            time.sleep(chance.uniform(0.5, 8.0))  # a random moment is what this is about
            kill_something(up, chance, books)
            print(f"round {number + 1}: {dict(books.kills)}, {resting(platform, video_ids)} of {len(video_ids)} at rest", flush=True)
        wait(lambda: resting(platform, video_ids) == len(video_ids), SETTLE_S + SETTLE_S_PER_VIDEO * len(video_ids), "every video comes to rest")
        wait(lambda: summarised(platform, video_ids), SETTLE_S + SETTLE_S_PER_VIDEO * len(video_ids), "every video has its summary and clips")
        wait(lambda: not open_runs(home), SETTLE_S + SETTLE_S_PER_VIDEO * len(video_ids), "no run is open any more")
    return video_ids


def open_runs(home: Path) -> bool:
    """Whether any run has not ended."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        return any(not run.is_finished for run in instance.get_runs())


def resting(platform, video_ids: set[str]) -> int:
    """How many videos are ready, or failed for good."""
    records = [videos.get(platform.db, video_id) for video_id in video_ids]
    return sum(record is not None and record.state is VideoState.READY for record in records)


def summarised(platform, video_ids: set[str]) -> bool:
    """Whether the last assets of every video are there."""

    def there(video_id: str, asset: str) -> bool:
        try:
            platform.store.stat(layout.manifest_key(video_id, asset))
        except Exception:
            return False
        return True

    return all(
        there(video_id, asset) for video_id in video_ids for asset in (layout.HIGHLIGHTS, layout.DESCRIBED_ALERTS, layout.LLM_SUMMARY, layout.SEARCH_INDEX)
    )


if __name__ == "__main__":
    sys.exit(main())
