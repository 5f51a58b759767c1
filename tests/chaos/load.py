"""A running `vp up` under load: what its parts take in memory, and whether the queue keeps its rules; then the books are checked.

    python tests/chaos/load.py --scenario two       # two videos handed over at the same moment
    python tests/chaos/load.py --scenario burst     # 50 small clips at once
    python tests/chaos/load.py --scenario long      # one file of two hours
    python tests/chaos/load.py --scenario long --csv memory.csv

Everything goes in through the web app, as people bring it. Prints a table of memory and every check; exit status 0 only when all hold.
"""

import argparse
import csv
import math
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing import Books, check, distinct_clips
from running import PARTS, ROOT, Up, wait
from watching import OTHER, SUMMARIES, SUPERVISOR, Moment, Watch, slot

from benchmarks.footage import SAMPLE, two_hours
from video_platform import settings
from video_platform.pipeline import tags
from video_platform.platform import Platform, open_platform
from video_platform.records import Lane
from video_platform.services.database import ledger

RULES = ROOT / "samples" / "rules.demo.yaml"
CAMERA = "demo"
ALL = "all"
IDLE_SAMPLES = 10
"""Looks at the platform before anything is handed over: the level at rest."""

EARLY_S = 300.0
"""When a long pass has everything loaded and its buffers full."""

GROWTH_MB = 100.0
"""What child and run may grow from a quarter of the pass on: the child keeps what it found, 24 detections a look here; nothing keeps pictures."""

AFTERWARDS_MB = 400.0
"""What the run may grow when the pass is over: numpy, scipy and Arrow, about 80 MB, and all detections of two busy hours at once while they become tracks."""

PAGE_S = 1.0
"""What a person takes for an answer at once."""

BURST = 50
BOX_OF_ITS_OWN = b"\0\0\0\x10free" + b"another."
"""Behind the sample: the same pictures as another video."""

UPLOAD_S = 600


@dataclass(frozen=True)
class Scenario:
    """What is handed over, how long all of it may take on two busy cores, and the rules if not the default one: somebody appears."""

    clips: Callable[[Path], list[Path]]
    within_s: float
    rules: Path | None = None


def two(folder: Path) -> list[Path]:
    """The sample, and the same pictures in a file of other bytes."""
    other = folder / "other.mp4"
    other.write_bytes(SAMPLE.read_bytes() + BOX_OF_ITS_OWN)
    return [SAMPLE, other]


SCENARIOS = {
    "two": Scenario(two, 600, RULES),
    "burst": Scenario(lambda folder: distinct_clips(folder, BURST), 1800),
    "long": Scenario(lambda _folder: [two_hours()], 7200, RULES),
}


def hand_over(web: str, clips: list[Path]) -> list[str]:
    """Upload all at the same moment; their ids."""
    together = threading.Barrier(len(clips))

    def upload(clip: Path) -> str:
        with clip.open("rb") as file:
            together.wait()
            answer = httpx.post(f"{web}/api/videos", params={"name": clip.name, "camera": CAMERA}, content=file, timeout=UPLOAD_S)
        answer.raise_for_status()
        return answer.json()["video_id"]

    with ThreadPoolExecutor(len(clips)) as pool:
        return list(pool.map(upload, clips))


@dataclass
class Watched:
    """What was seen of one scenario; times count from the moment of handing over."""

    video_ids: list[str]
    began_s: float
    moments: list[Moment]
    faults: list[str] = field(default_factory=list)

    def alerted_s(self) -> float:
        """When the first video had its alerts: it is ready then, and for a moment not, while its clips are cut."""
        return next((moment.at_s - self.began_s for moment in self.moments if moment.ready), math.inf)

    def ready_s(self, count: int) -> float:
        """Since when `count` videos were ready and stayed so; infinite when they never were."""
        since = max((index for index, moment in enumerate(self.moments) if moment.ready < count), default=-1) + 1
        return self.moments[since].at_s - self.began_s if since < len(self.moments) else math.inf

    def described_s(self) -> float:
        """When every video had its summary and clips."""
        wanted = len(self.video_ids)
        return next((moment.at_s - self.began_s for moment in self.moments if moment.ready >= wanted and moment.described), math.inf)


def play(up: Up, platform: Platform, clips: list[Path], within_s: float) -> Watched:
    """Hand the clips over to a platform at rest and watch until it is at rest again."""
    watch = Watch(up, platform)
    watch.start()
    try:
        wait(lambda: len(watch.moments) >= IDLE_SAMPLES, 120, "the platform at rest is looked at")
        began_s = watch.moments[-1].at_s
        video_ids = hand_over(up.addresses["web"], clips)
        print(f"{len(video_ids)} videos handed over in {watch.now_s() - began_s:.1f} s", flush=True)
        watched = Watched(video_ids, began_s, watch.moments)
        try:
            wait(lambda: watch.last.finished(len(video_ids)), within_s, "every video is ready and described, and no run is open")
        except TimeoutError as error:
            watched.faults.append(str(error))
    finally:
        watch.done.set()
        watch.join()
    return watched


@dataclass(frozen=True)
class Row:
    """One part of the table: most processes at once, and MB of all of them together when first seen, usually, and at most."""

    part: str
    processes: int
    start_mb: float
    median_mb: float
    peak_mb: float


def table(moments: list[Moment]) -> list[Row]:
    """Memory by part, over the moments in which the part lived; pages that processes share count in each of them."""
    rows = []
    for part in [*PARTS, OTHER, SUPERVISOR, ALL]:
        seen = [[mb for name, sizes in moment.memory.items() if part in (name, ALL) for mb in sizes.values()] for moment in moments]
        sums = [sum(sizes) for sizes in seen if sizes]
        if sums:
            rows.append(Row(part, max(map(len, seen)), sums[0], statistics.median(sums), max(sums)))
    return rows


def print_table(rows: list[Row], path: Path | None) -> None:
    """To people, and to a file when asked."""
    print(f"{'part':14}{'processes':>10}{'start MB':>10}{'median MB':>11}{'peak MB':>10}")
    for row in rows:
        print(f"{row.part:14}{row.processes:>10}{row.start_mb:>10.0f}{row.median_mb:>11.0f}{row.peak_mb:>10.0f}")
    if path is not None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Row.__dataclass_fields__)
            writer.writerows([row.part, row.processes, *(f"{mb:.1f}" for mb in (row.start_mb, row.median_mb, row.peak_mb))] for row in rows)


@contextmanager
def judged(books: Books, what: str) -> Iterator[list[str]]:
    """Say whether the checks inside held; what they append to the list is said with it."""
    before = len(books.faults)
    facts: list[str] = []
    yield facts
    print(f"{'ok   ' if len(books.faults) == before else 'FAULT'} {what}" + (f": {'; '.join(facts)}" if facts else ""))


@dataclass(frozen=True)
class Span:
    """When a run was made, also by its number in Dagster's book, when it left the queue, and when it ended; seconds since 1970."""

    number: int
    slot: str
    video_id: str
    priority: int
    asked_s: float
    begun_s: float
    ended_s: float


def spans(home: Path) -> list[Span]:
    """Every run, in the order of its making."""
    import dagster as dg

    found = []
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        for record in instance.get_run_records(ascending=True):
            run = record.dagster_run
            begun = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING).records
            if begun:
                ended_s = record.end_time or math.inf
                priority = int(run.tags.get(tags.PRIORITY, "0"))
                asked = record.create_timestamp
                asked_s = asked.replace(tzinfo=asked.tzinfo or UTC).timestamp()
                found.append(Span(record.storage_id, slot(run), run.tags.get(tags.VIDEO, ""), priority, asked_s, begun[0].timestamp, ended_s))
    return found


def most_at_once(found: list[Span]) -> int:
    """How many of these spans overlap at most."""
    turns = sorted([(span.begun_s, 1) for span in found] + [(span.ended_s, -1) for span in found])
    most = now = 0
    for _, change in turns:
        now += change
        most = max(most, now)
    return most


def slots_of(chosen: settings.Settings) -> dict[str, int]:
    """How many runs may be in progress, by what limits them."""
    runs = chosen.runs
    return {Lane.LIVE: runs.live_slots, Lane.REQUEST: runs.request_slots, Lane.BACKFILL: runs.backfill_slots, SUMMARIES: runs.llm_slots}


def check_queue(found: list[Span], moments: list[Moment], slots: dict[str, int], books: Books) -> None:
    """Slots, one run per video, and first come first served; by Dagster's own records, and by what was seen."""
    with judged(books, "never more runs in progress than slots") as facts:
        for name in sorted({span.slot for span in found}):
            most = max(most_at_once([span for span in found if span.slot == name]), *(moment.in_progress[name] for moment in moments))
            facts.append(f"{name} {most} of {slots.get(name, 0)}, at most {max(moment.queued[name] for moment in moments)} queued")
            books.expect(most <= slots.get(name, 0), f"{most} runs of {name} at once, {slots.get(name, 0)} slots")
    with judged(books, "never two runs of one video at once"):
        for video_id in sorted({span.video_id for span in found if span.video_id}):
            most = most_at_once([span for span in found if span.video_id == video_id])
            books.expect(most <= 1, f"{most} runs of {video_id} at once")
        books.expect(not any(moment.doubled for moment in moments), "two runs of one video were seen in progress")
    with judged(books, "first come, first served") as facts:
        for name in sorted({span.slot for span in found}):
            overtaken = most_overtaken([span for span in found if span.slot == name])
            facts.append(f"{name} overtaken by at most {overtaken}")
            # runs that leave the queue in one go are launched by threads, so these may change places
            books.expect(overtaken < slots.get(name, 1), f"a run of {name} was overtaken by {overtaken} that came later")


def most_overtaken(found: list[Span]) -> int:
    """How many runs that were made later, and are no more urgent, left the queue before an earlier one, at most."""
    return max(sum(later.number > span.number and later.priority <= span.priority and later.begun_s < span.begun_s for later in found) for span in found)


def check_flat(moments: list[Moment], books: Books) -> None:
    """The processes that carry a long pass do not grow with it; what the run needs afterwards is bounded."""
    child, run = longest(moments, "child"), longest(moments, "run")
    began_s, ended_s = child[0][0], child[-1][0]
    for part, life in (("child", child), ("run", [look for look in run if began_s <= look[0] <= ended_s])):
        with judged(books, f"{part} is flat during the pass") as facts:
            early, quarter, half = (at(life, began_s + after_s) for after_s in (EARLY_S, (ended_s - began_s) / 4, (ended_s - began_s) / 2))
            growth = max(mb for at_s, mb in life if at_s >= began_s + (ended_s - began_s) / 4) - quarter
            facts.append(f"{ended_s - began_s:.0f} s: {early:.0f} MB after {EARLY_S:.0f} s, {half:.0f} MB half way, {life[-1][1]:.0f} MB at the end")
            facts.append(f"{growth:+.0f} MB from a quarter on, bound {GROWTH_MB:.0f} MB")
            books.expect(growth < GROWTH_MB, f"{part} grew by {growth:.0f} MB after a quarter of the pass")
    with judged(books, "run is bounded after the pass") as facts:
        peak = max(mb for at_s, mb in run if at_s >= ended_s)
        growth = peak - at(run, ended_s)
        facts.append(f"{run[-1][0] - ended_s:.0f} s, peak {peak:.0f} MB, {growth:+.0f} MB, bound {AFTERWARDS_MB:.0f} MB")
        books.expect(growth < AFTERWARDS_MB, f"run grew by {growth:.0f} MB after the pass")
    with judged(books, f"the page answers within {PAGE_S:.0f} s"):
        slow = [(round(moment.at_s), round(moment.page_s, 1)) for moment in moments if moment.page_s > PAGE_S]
        books.expect(not slow, f"{len(slow)} of {len(moments)} answers took longer (at, took s): {slow[:10]}")


def longest(moments: list[Moment], part: str) -> list[tuple[float, float]]:
    """MB over time of the process of a part that was seen most often."""
    lives: dict[int, list[tuple[float, float]]] = {}
    for moment in moments:
        for pid, mb in moment.memory[part].items():
            lives.setdefault(pid, []).append((moment.at_s, mb))
    return max(lives.values(), key=len)


def at(life: list[tuple[float, float]], at_s: float) -> float:
    """MB at the look nearest to a time."""
    return min(life, key=lambda look: abs(look[0] - at_s))[1]


def check_alerts(platform: Platform, video_ids: list[str], books: Books) -> None:
    """The same pictures raise the same alerts, whichever file they came in."""
    with judged(books, "the same pictures have the same alerts") as facts:
        found = [
            sorted((alert.rule, alert.start_s, alert.end_s) for alert in ledger.page(platform.db, video_id=video_id, limit=1000)[0]) for video_id in video_ids
        ]
        facts.append(f"{[len(alerts) for alerts in found]} alerts")
        books.expect(all(alerts and alerts == found[0] for alerts in found), f"alerts differ or are missing: {found}")


def judge(name: str, home: Path, platform: Platform, watched: Watched, csv_path: Path | None) -> Books:
    """Print all that was found."""
    books = Books(faults=list(watched.faults))
    moments, count = watched.moments, len(watched.video_ids)
    pages = [moment.page_s for moment in moments]
    print_table(table(moments), csv_path)
    print(
        f"{count} videos: first alerts after {watched.alerted_s():.0f} s, first video ready after {watched.ready_s(1):.0f} s, "
        f"last after {watched.ready_s(count):.0f} s, with summaries after {watched.described_s():.0f} s"
    )
    print(f"the page answered in {statistics.median(pages):.2f} s, at most {max(pages):.2f} s")
    check_queue(spans(home), moments, slots_of(platform.settings), books)
    if name == "two":
        check_alerts(platform, watched.video_ids, books)
    if name == "long":
        check_flat(moments, books)
    with judged(books, "every video ready with all manifests, one run per event, alerts raised once"):
        check(home, set(watched.video_ids), books)
    return books


def main() -> int:
    """Play one scenario and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), required=True)
    parser.add_argument("--csv", type=Path, help="write the table of memory to this file too")
    options = parser.parse_args()
    scenario = SCENARIOS[options.scenario]
    folder = Path(tempfile.mkdtemp(prefix="vp-load-"))
    print(f"{options.scenario}: everything lies in {folder}", flush=True)
    home = folder / "home"
    clips = scenario.clips(folder)
    env = {"VIDEO_PLATFORM_RULES": str(scenario.rules)} if scenario.rules else {}
    with Up(home, env=env) as up, open_platform(settings.load(home=home)) as platform:
        watched = play(up, platform, clips, scenario.within_s)
        books = judge(options.scenario, home, platform, watched, options.csv)
    for fault in books.faults:
        print(f"FAULT {fault}")
    print("all checks hold" if not books.faults else f"{len(books.faults)} faults; {folder} is kept")
    if not books.faults:
        shutil.rmtree(folder)
    return 1 if books.faults else 0


if __name__ == "__main__":
    sys.exit(main())
