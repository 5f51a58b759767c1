"""Small videos without a pause through a running `vp up`: what every process takes at the start and at the end, what grows per video, and what bounds it.

    python tests/chaos/steady.py --stack real --minutes 30          # Kafka, MinIO, PostgreSQL and Ollama, started here
    python tests/chaos/steady.py --stack embedded --minutes 30
    python tests/chaos/steady.py --stack embedded --minutes 30 --csv steady.csv

Runs and events are kept for minutes instead of weeks, so that what bounds them is seen at work. Prints tables and a verdict; exit status 0 only when all hold.
"""

import argparse
import csv
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing import Books, distinct_clips
from running import Up, descendants, wait

from scripts.services.servers import STACK, server, version
from video_platform import events, settings
from video_platform.errors import LogUnavailable
from video_platform.platform import Platform, open_platform
from video_platform.records import VideoState
from video_platform.services.database import ledger, measures, videos
from video_platform.services.event_log import open_log

MB = 1024 * 1024
SAMPLE_S = 20.0
IN_HAND = 6
"""Videos that are under way at once: the slots of a lane are always taken, and the queue stays short."""

WARM_SHARE = 0.2
END_SHARE = 0.15
"""The start is what is seen after the first fifth, when every process has loaded what it needs; the end is the last seventh. Each counts by its median."""

KEEP_RUNS_MINUTES = 8.0
KEEP_EVENTS_MINUTES = 4.0
MINUTES_A_DAY = 24 * 60

GROWTH_MB = 60.0
"""What a lasting process may grow between the two: caches fill, allocators keep what a burst took; a leak of 1 MB per video would be far above."""

GROWTH_SHARE = 0.25
"""Or this share of what it had, for servers that are large by design (the JVM of Kafka)."""

GROWTH_FILES = 25
GROWTH_THREADS = 10
SHORT_LIVED = frozenset({"run", "child"})
"""Parts whose processes come and go with each video."""

REST_S = 900.0
START_S = 180.0
UPLOAD_S = 120.0
FEED_S = 0.5


@dataclass(frozen=True)
class Look:
    """One process at one moment: proportional size in MB (what it alone takes, and its share of what is shared), open files, threads."""

    part: str
    pid: int
    pss_mb: float
    files: int
    threads: int


@dataclass
class Sample:
    """All processes at one moment, and how large is what grows."""

    at_s: float
    ready: int
    looks: list[Look]
    sizes: dict[str, float] = field(default_factory=dict)


def look(part: str, process: psutil.Process) -> Look | None:
    """A process as it is now, None when it has ended."""
    try:
        with process.oneshot():
            return Look(part, process.pid, process.memory_full_info().pss / MB, process.num_fds(), process.num_threads())
    except psutil.Error:
        return None


def processes(up: Up, servers: Mapping[str, psutil.Process]) -> Iterator[tuple[str, psutil.Process]]:
    """Every process of the platform and of the servers, by its part."""
    known: set[int] = set()
    for part, members in up.members().items():
        for process in members:
            known.add(process.pid)
            yield part, process
    for process in descendants(up.pid):
        if process.pid not in known:
            yield other(process), process
    yield "supervisor", psutil.Process(up.pid)
    for name, process in servers.items():
        yield name, process
        for below in process.children(recursive=True):
            yield name, below


def other(process: psutil.Process) -> str:
    """Dagster's page and the warden by their names; what is short-lived is `other`."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return "other"
    return next((name for name, mark in {"dagster page": "dagster_page", "warden": "supervisor.warden"}.items() if mark in words), "other")


def tree_mb(folder: Path) -> float:
    """Size of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total / MB


def sizes(platform: Platform, home: Path, folders: Mapping[str, Path]) -> dict[str, float]:
    """What grows: MB of databases, logs and folders; rows and files by count."""
    found = {"platform database MB": (measures.disk_bytes(platform.db) or 0) / MB}
    config = platform.settings
    if config.event_log.kind == "sqlite":
        found["event log MB"] = sum(path.stat().st_size for path in home.glob("events.db*")) / MB
    if url := config.dagster.storage_url.get_secret_value():
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            found["Dagster's database MB"] = connection.execute(sa.text("select pg_database_size(current_database())")).scalar_one() / MB
            for table in ("runs", "event_logs", "job_ticks"):
                found[f"Dagster's rows of {table}"] = connection.execute(sa.text(f"select count(*) from {table}")).scalar_one()
    found["Dagster's folder MB"] = tree_mb(home / "dagster")
    found["Dagster's files"] = sum(1 for path in (home / "dagster").rglob("*") if path.is_file())
    found["logs MB"] = tree_mb(home / "logs")
    found["scratch and spool MB"] = tree_mb(home / "scratch") + tree_mb(home / "spool")
    for name, folder in folders.items():
        found[f"{name}'s data MB"] = tree_mb(folder)
    if config.objects.kind == "folder":
        found["objects MB"] = tree_mb(home / "objects")
    with platform.db.read() as connection:
        for table in ("outbox", "alerts", "deliveries"):
            found[f"rows of {table}"] = connection.execute(sa.text(f"select count(*) from {table}")).scalar_one()
    held = 0
    for topic in (events.TOPIC_VIDEO_EVENTS, events.TOPIC_PROCESSED, events.TOPIC_ALERTS):
        held += sum(platform.log.end_offsets(topic).values()) - sum(platform.log.begin_offsets(topic).values())
    found["events held"] = held
    return found


class Feeder(threading.Thread):
    """Uploads the next clip whenever fewer than `IN_HAND` videos are under way, until it is told to stop."""

    def __init__(self, web: str, platform: Platform, clips: Iterator[Path]) -> None:
        super().__init__(daemon=True)
        self.web, self.platform, self.clips = web, platform, clips
        self.done = threading.Event()
        self.video_ids: list[str] = []
        self.fault: str | None = None

    def run(self) -> None:
        with httpx.Client(timeout=UPLOAD_S) as client:
            while not self.done.wait(FEED_S):
                counts = videos.counts(self.platform.db)
                if counts[VideoState.RECEIVED] + counts[VideoState.PROCESSING] >= IN_HAND:
                    continue
                clip = next(self.clips)
                try:
                    answer = client.post(f"{self.web}/api/videos", params={"name": clip.name, "camera": "steady"}, content=clip.read_bytes())
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    self.fault = f"an upload failed: {error}"
                    return
                self.video_ids.append(answer.json()["video_id"])
                clip.unlink()


def endless(folder: Path) -> Iterator[Path]:
    """Clips, each another video, made some hundred at a time."""
    batch = 0
    while True:
        place = folder / f"clips-{batch}"
        place.mkdir(parents=True)
        for number, clip in enumerate(distinct_clips(place, 300)):
            clip.write_bytes(clip.read_bytes() + b"\0\0\0\x10free" + f"{batch:04d}{number:04d}".encode())
            yield clip
        batch += 1


@contextmanager
def stack(kind: str, folder: Path) -> Iterator[tuple[dict[str, str], dict[str, psutil.Process], dict[str, Path]]]:
    """The settings of the stack, the processes of its servers and the folders of their data."""
    if kind == "embedded":
        yield {}, {}, {}
        return
    environment: dict[str, str] = {"VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE": "auto"}
    found: dict[str, psutil.Process] = {}
    with ExitStack() as ends:
        for name in STACK:
            before = {process.pid for process in psutil.Process().children(recursive=True)}
            each = server(name, folder / name)
            each.start(ends_with_parent=True)
            ends.callback(each.stop)
            environment |= each.environment
            started = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
            if started:
                found[name] = started[0]
            print(f"{name} {version(name)} answers", flush=True)
        yield environment, found, {name: folder / name for name in ("kafka",)}


def topics_made() -> bool:
    """Whether the event log has its topics: a broker that has just started on a busy machine takes its time to make them."""
    log = open_log(settings.load())
    try:
        log.create_topics()
    except LogUnavailable:
        return False
    finally:
        log.close()
    return True


def watch(up: Up, platform: Platform, options: argparse.Namespace, servers: Mapping[str, psutil.Process], folders: Mapping[str, Path]) -> list[Sample]:
    """A look every `SAMPLE_S` while the feeder feeds."""
    feeder = Feeder(up.addresses["web"], platform, endless(options.folder / "clips"))
    feeder.start()
    began, samples = time.monotonic(), []
    while (at_s := time.monotonic() - began) < options.minutes * 60:
        looks = [found for part, process in processes(up, servers) if (found := look(part, process)) is not None]
        ready = videos.counts(platform.db)[VideoState.READY]
        samples.append(Sample(at_s, ready, looks, sizes(platform, up.home, folders)))
        total = sum(each.pss_mb for each in looks)
        print(f"{at_s / 60:5.1f} min: {ready} ready of {len(feeder.video_ids)}, {total:.0f} MB, {samples[-1].sizes['events held']:.0f} events held", flush=True)
        if not feeder.is_alive():
            raise RuntimeError(feeder.fault or "the feeder died")
        feeder.done.wait(SAMPLE_S)
    feeder.done.set()
    feeder.join()
    wait(lambda: at_rest(platform), REST_S, "every video comes to rest")
    return samples


def at_rest(platform: Platform) -> bool:
    """Whether nothing waits or is being processed."""
    counts = videos.counts(platform.db)
    return counts[VideoState.RECEIVED] + counts[VideoState.PROCESSING] == 0


@dataclass(frozen=True)
class Line:
    """A part at the start and at the end: medians over the looks of each time, summed over its processes."""

    part: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    processes: int


def lines(samples: list[Sample]) -> list[Line]:
    """Every part that was seen at both times."""
    last_s = samples[-1].at_s
    warm = [sample for sample in samples if WARM_SHARE * last_s <= sample.at_s <= (WARM_SHARE + END_SHARE) * last_s]
    end = [sample for sample in samples if sample.at_s >= (1 - END_SHARE) * last_s]
    parts = dict.fromkeys(each.part for sample in warm for each in sample.looks)
    found = []
    for part in parts:
        count = max((sum(each.part == part for each in sample.looks) for sample in end), default=0)
        if count:
            found.append(Line(part, middle(warm, part), middle(end, part), count))
    return found


def middle(samples: list[Sample], part: str) -> tuple[float, float, float]:
    """Medians of MB, files and threads of one part; of those that come and go, of one process."""

    def value(of: Callable[[Look], float]) -> float:
        found = []
        for sample in samples:
            values = [of(each) for each in sample.looks if each.part == part]
            if values:
                found.append(statistics.mean(values) if part in SHORT_LIVED else sum(values))
        return statistics.median(found) if found else 0.0

    return value(lambda each: each.pss_mb), value(lambda each: each.files), value(lambda each: each.threads)


def judge(samples: list[Sample], platform: Platform, books: Books, *, embedded: bool) -> None:
    """The tables, and what does not hold."""
    print(f"\n{'process':14} {'n':>2} {'MB start':>9} {'end':>8} {'files':>6} {'end':>5} {'threads':>8} {'end':>5}")
    for line in lines(samples):
        (mb, files, threads), (mb_end, files_end, threads_end) = line.start, line.end
        print(f"{line.part:14} {line.processes:2} {mb:9.1f} {mb_end:8.1f} {files:6.0f} {files_end:5.0f} {threads:8.0f} {threads_end:5.0f}")
        if line.part == "other":
            continue
        grown = mb_end - mb
        books.expect(grown <= max(GROWTH_MB, GROWTH_SHARE * mb), f"{line.part} grew by {grown:.0f} MB")
        books.expect(files_end - files <= GROWTH_FILES, f"{line.part} holds {files_end - files:.0f} more files")
        books.expect(threads_end - threads <= GROWTH_THREADS, f"{line.part} has {threads_end - threads:.0f} more threads")
    first = next(sample for sample in samples if sample.at_s >= WARM_SHARE * samples[-1].at_s)
    last = samples[-1]
    done = max(1, last.ready - first.ready)
    print(f"\n{'what grows':28} {'start':>10} {'end':>10} {'per video':>10}   over {done} videos")
    for name, value in last.sizes.items():
        before = first.sizes.get(name, 0.0)
        print(f"{name:28} {before:10.1f} {value:10.1f} {(value - before) / done:10.3f}")
    counts = videos.counts(platform.db)
    print(f"\nvideos: {dict(counts)}; alerts: {ledger.page(platform.db, limit=1)[1]}; {last.ready / (last.at_s / 60):.1f} ready a minute")
    books.expect(counts[VideoState.FAILED] == 0, f"{counts[VideoState.FAILED]} videos failed")
    books.expect(last.ready >= done > 1, "hardly a video was finished")
    bounded(samples, books, embedded=embedded)


def bounded(samples: list[Sample], books: Books, *, embedded: bool) -> None:
    """What retention bounds has stopped growing: its last third is not above what its keeping time allows."""
    minutes = samples[-1].at_s / 60
    if minutes < 2 * KEEP_RUNS_MINUTES:
        print(f"too short to see retention at work: runs are kept {KEEP_RUNS_MINUTES:g} minutes")
        return
    per_minute = samples[-1].ready / minutes
    runs = "Dagster's rows of runs"
    if runs in samples[-1].sizes:
        most = 2 * per_minute * (KEEP_RUNS_MINUTES + 5) + 50
        books.expect(samples[-1].sizes[runs] <= most, f"{samples[-1].sizes[runs]:.0f} runs are held, {most:.0f} would be right")
    if embedded:
        files = samples[-1].sizes["Dagster's files"]
        most = 2 * 6 * per_minute * (KEEP_RUNS_MINUTES + 5) + 400
        books.expect(files <= most, f"{files:.0f} files of Dagster's are held, {most:.0f} would be right")
        held, most = samples[-1].sizes["events held"], 5 * per_minute * (KEEP_EVENTS_MINUTES + 5) + 50
        books.expect(held <= most, f"{held:.0f} events are held, {most:.0f} would be right")


def write_csv(path: Path, samples: list[Sample]) -> None:
    """Every look, a line each."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("at_s", "part", "pid", "pss_mb", "files", "threads"))
        for sample in samples:
            rows.writerows((f"{sample.at_s:.0f}", each.part, each.pid, f"{each.pss_mb:.1f}", each.files, each.threads) for each in sample.looks)


def main() -> int:
    """Start everything, feed it, and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", choices=["embedded", "real"], default="embedded")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--folder", type=Path, default=None, help="where everything lies (default: a new one, removed when all holds)")
    parser.add_argument("--csv", type=Path, help="every look as a table")
    options = parser.parse_args()
    options.folder = options.folder or Path(tempfile.mkdtemp(prefix="vp-steady-"))
    print(f"{options.stack} stack, {options.minutes:g} minutes, everything lies in {options.folder}", flush=True)
    keep = {"RUNS_DAYS": KEEP_RUNS_MINUTES, "EVENTS_DAYS": KEEP_EVENTS_MINUTES, "OUTBOX_DAYS": KEEP_EVENTS_MINUTES}
    retention = {f"VIDEO_PLATFORM_RETENTION__{name}": str(minutes / MINUTES_A_DAY) for name, minutes in keep.items()}
    books = Books()
    with stack(options.stack, options.folder / "servers") as (environment, servers, folders):
        (options.folder / "home").mkdir(parents=True)
        up = Up(options.folder / "home", env={**environment, **retention})
        os.environ.update(up.env)
        wait(topics_made, START_S, "the topics are made")
        with up, open_platform(settings.load()) as platform:
            samples = watch(up, platform, options, servers, folders)
            judge(samples, platform, books, embedded=options.stack == "embedded")
    if options.csv:
        write_csv(options.csv, samples)
    for fault in books.faults:
        print(f"FAULT {fault}")
    print("it is steady" if not books.faults else f"{len(books.faults)} faults; {options.folder} is kept")
    if not books.faults:
        shutil.rmtree(options.folder, ignore_errors=True)
    return 1 if books.faults else 0


if __name__ == "__main__":
    sys.exit(main())
