"""A backfill over a past while live videos arrive, on a running `vp up`: what live videos notice of it, whether it survives kills, how good its estimate is.

    python tests/chaos/backfill.py --videos 200 --live 20
    python tests/chaos/backfill.py --videos 200 --live 20 --launcher warm --folder /tmp/backfill

The past is processed once, by `vp process`. Then another rule and another setting of the detector outdate all of it, so that every video is decoded again.
Live videos are handed over one after another, without a backfill and during it; in its middle Dagster's daemon is killed, and, just after a pause, the
supervisor with a run of the backfill under way. Prints a table and what was checked; exit status 0 only when all holds.

Not under `nice`: runs of a backfill give way by a niceness of their own, and below 19 there is none.
"""

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accounts import account, settled
from killing import Books, distinct_clips
from load import Span, check_alerts, judged, most_at_once, spans
from running import ROOT, Up, wait

from video_platform import dagster_now, planning, settings
from video_platform.pipeline import tags
from video_platform.pipeline.resources import BEHIND
from video_platform.planning_causes import Cause
from video_platform.planning_present import NOT_ASKED, Present
from video_platform.platform import Platform, open_platform
from video_platform.records import Lane, VideoState
from video_platform.services.database import backfills, videos
from video_platform.services.database.backfills import Backfill, ItemState, State

CAMERA = "demo"
RULES = "version: 1\nrules:\n  - {name: person, when: {appears: person}}\n  - {name: somebody, when: {appears: person}}\n"
"""One rule more than a fresh home has."""

ANOTHER_DETECTION = {"VIDEO_PLATFORM_DETECTION__SAMPLES_PER_S": "4"}
"""One look a second less than the default: detections are made again, from the pixels."""

CHANGED = (Cause.DETECTOR, Cause.RULES)
CAUSE = Cause.DETECTOR
"""The cause of the backfill; alerts follow from detections, so that nothing is left for the other."""

RATIO = 2.0
"""What the backfill may make of the median from hand-over to ready. A live run has slots of its own, so it shares the cores with runs of the backfill and
waits for none of them. Those give way (`nice`); one that did not would take half of what both want, which makes two of one."""

QUEUE_S = 5.0
"""What a live run may wait in the queue beyond the longest wait without a backfill. The queue is looked at once a second, and a launch takes some. Who waited
for a slot of the backfill would wait for the rest of a run and for nobody else's turn."""

READY_S = 600.0
SETTLE_S = 900.0
SETTLE_S_PER_VIDEO = 60.0
"""Deadlines on a machine that does much else; they fail a script that hangs, not one that is slow."""

TICKS = 2
"""Of the sensor that asks for runs, after which a paused backfill would have asked."""


@dataclass
class Lives:
    """Live videos that were handed over one after another: seconds from hand-over to ready."""

    video_ids: list[str] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """Infinite when there are none."""
        return statistics.median(self.ready_s) if self.ready_s else math.inf

    @property
    def worst_s(self) -> float:
        """Infinite when there are none."""
        return max(self.ready_s, default=math.inf)

    def spans(self, found: Sequence[Span]) -> list[Span]:
        """The runs that processed them."""
        return [span for span in found if span.slot == Lane.LIVE and span.video_id in self.video_ids]


class Scene:
    """One home, its `vp up`, and the commands that a person types."""

    def __init__(self, folder: Path, launcher: str) -> None:
        self.home = folder / "home"
        self.env = {"VIDEO_PLATFORM_RUNS__LAUNCHER": launcher}
        self.up = Up(self.home, env=self.env)

    def change(self, env: dict[str, str]) -> None:
        """Settings that are read at the next start."""
        self.env |= env
        self.up.env |= env

    def vp(self, *words: str | Path) -> str:
        """What a command printed; RuntimeError with its words when it fails."""
        argv = [str(Path(sys.executable).parent / "vp"), *map(str, words)]
        done = subprocess.run(argv, cwd=ROOT, env={**os.environ, **self.up.env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"vp {' '.join(map(str, words[:3]))} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def settings(self) -> settings.Settings:
        """The settings of the home as its processes have them."""
        os.environ.update(self.up.env)
        return settings.load()


def hand_over(scene: Scene, platform: Platform, instance, clips: Sequence[Path]) -> Lives:
    """Upload the clips, each when nothing of the one before is under way any more."""
    lives = Lives()
    for clip in clips:
        began = time.monotonic()
        answer = httpx.post(f"{scene.up.addresses['web']}/api/videos", params={"name": clip.name, "camera": CAMERA}, content=clip.read_bytes(), timeout=READY_S)
        answer.raise_for_status()
        video_id = answer.json()["video_id"]
        wait(lambda video_id=video_id: is_ready(platform, video_id), READY_S, f"live video {video_id} is ready")
        lives.ready_s.append(time.monotonic() - began)
        lives.video_ids.append(video_id)
        wait(lambda video_id=video_id: settled(platform, instance, [video_id]), READY_S, f"live video {video_id} has its summary")
    return lives


def is_ready(platform: Platform, video_id: str) -> bool:
    """Whether a video has its alerts."""
    record = videos.get(platform.db, video_id)
    return record is not None and record.state is VideoState.READY


def under_way(instance, backfill_id: str, *, waiting: bool = False) -> list[str]:
    """Runs of a backfill that have begun and not ended, or that wait in the queue."""
    import dagster as dg

    states = dg.DagsterRunStatus
    chosen = [states.QUEUED, states.NOT_STARTED] if waiting else [states.STARTED]
    return [run.run_id for run in instance.get_runs(dg.RunsFilter(tags={tags.HISTORY: backfill_id}, statuses=chosen))]


def wait_under_way(platform: Platform, instance, backfill_id: str) -> None:
    """Until a run of the backfill is at work; RuntimeError when there is nothing left that could be."""

    def look() -> bool:
        if not backfills.get(platform.db, backfill_id).left:
            raise RuntimeError("the backfill came to its end before its middle was tried; give more --videos")
        return bool(under_way(instance, backfill_id))

    wait(look, SETTLE_S, "a run of the backfill is under way")


def wait_ticks(instance, count: int) -> None:
    """Until the sensor that asks for runs has ticked so many times more."""

    def ticked_at() -> float:
        found = [sensor.ticked_at for sensor in dagster_now.read_sensors(instance) if sensor.name == "backfills"]
        return found[0].timestamp() if found and found[0] else 0.0

    for _ in range(count):
        before = ticked_at()
        wait(lambda before=before: ticked_at() > before, READY_S, "the sensor of backfills ticks")


def kill_daemon(scene: Scene, platform: Platform, instance, backfill_id: str, books: Books) -> None:
    """SIGKILL Dagster's daemon while a run of the backfill is under way; the backfill goes on by itself."""
    wait_under_way(platform, instance, backfill_id)
    before = backfills.get(platform.db, backfill_id).left
    for process in scene.up.members()["daemon"]:
        process.kill()
        books.kills["daemon"] += 1
    print(f"  the daemon was killed with {before} videos left", flush=True)
    wait(lambda: backfills.get(platform.db, backfill_id).left < before, SETTLE_S, "the backfill goes on after its daemon was killed")


def pause_and_kill(scene: Scene, platform: Platform, instance, backfill_id: str, books: Books) -> float:
    """Pause, SIGKILL the supervisor with a run of the backfill under way, start again: it stays paused until it is resumed. Seconds that it stood still."""
    wait_under_way(platform, instance, backfill_id)
    scene.vp("backfill", "pause", backfill_id)
    paused = time.monotonic()
    lost = under_way(instance, backfill_id)
    below = scene.up.kill()
    books.kills["supervisor"] += 1
    _gone, alive = psutil.wait_procs(below, timeout=60)
    books.expect(not alive, f"{len(alive)} processes outlived a killed supervisor")
    standing = backfills.get(platform.db, backfill_id)
    print(f"  paused and killed with {standing.left} videos left and {len(lost)} runs under way", flush=True)
    books.expect(standing.left > 0, "nothing was left to resume; give more --videos")
    scene.up.start()
    wait(lambda: not backfills.listed(platform.db, backfill_id, states=[ItemState.ASKED]), SETTLE_S, "what had begun before the pause comes to its end")
    with judged(books, "paused, it asks for nothing, after a kill too") as facts:
        left = backfills.get(platform.db, backfill_id).left
        wait_ticks(instance, TICKS)
        after = backfills.get(platform.db, backfill_id)
        queued = under_way(instance, backfill_id, waiting=True) + under_way(instance, backfill_id)
        facts.append(f"{after.left} of {after.total} left, {TICKS} ticks later too")
        books.expect(after.state is State.PAUSED, f"the paused backfill is {after.state} after a kill")
        books.expect(not queued and after.left == left, f"{len(queued)} runs of a paused backfill wait or go on, {left - after.left} videos were settled")
    scene.vp("backfill", "resume", backfill_id)
    return time.monotonic() - paused


@dataclass
class Told:
    """What is told at the end: times of live videos, the backfill, and its wall time, of which it stood still for a while."""

    past: list[str]
    without: Lives
    during: Lives
    backfill: Backfill
    planned_s: float
    wall_s: float
    still_s: float

    def table(self) -> str:
        """As Markdown."""
        done, at_work_s = self.backfill, self.wall_s - self.still_s
        estimate = f"estimated {done.estimated_s:.0f} s, took {done.spent_s:.0f} s, {done.spent_s / done.estimated_s:.2f} times as much"
        rows = [
            ("live video, hand-over to ready, without backfill", f"median {self.without.median_s:.1f} s, worst {self.without.worst_s:.1f} s"),
            ("the same during the backfill", f"median {self.during.median_s:.1f} s, worst {self.during.worst_s:.1f} s"),
            ("ratio of the medians", f"{self.during.median_s / self.without.median_s:.2f}, bound {RATIO:.1f}"),
            ("backfill", f"{_words(done)}, {done.left} left"),
            ("seconds of a slot", f"{estimate}; `vp plan` said {self.planned_s:.0f} s"),
            ("wall time", f"{at_work_s:.0f} s, and {self.still_s:.0f} s paused, dead or starting"),
        ]
        return "\n".join(["| what | measured |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in rows)])


def check_live(told: Told, found: Sequence[Span], history: Sequence[Span], books: Books) -> None:
    """Live videos did not wait for the backfill: by the clock, and by Dagster's records."""
    without, during = told.without.spans(found), told.during.spans(found)
    with judged(books, f"a live video is ready within {RATIO:.1f} times of what it takes without a backfill") as facts:
        ratio = told.during.median_s / told.without.median_s
        facts.append(f"{ratio:.2f}")
        books.expect(ratio <= RATIO, f"live videos took {ratio:.2f} times as long during the backfill")
    with judged(books, "no live run waited for a slot") as facts:
        usual_s, longest_s = (max((span.begun_s - span.asked_s for span in part), default=math.inf) for part in (without, during))
        facts.append(f"in the queue for at most {usual_s:.1f} s without, {longest_s:.1f} s during the backfill")
        books.expect(longest_s <= usual_s + QUEUE_S, f"a live run waited {longest_s:.1f} s in the queue, {usual_s:.1f} s without a backfill")
    with judged(books, "live runs began while a run of the backfill held its slot") as facts:
        beside = [span for span in during if any(other.begun_s <= span.begun_s < other.ended_s for other in history)]
        facts.append(f"{len(beside)} of {len(during)}")
        books.expect(bool(beside), "no live run met one of the backfill, so nothing is shown; give more --videos or --live")


def check_past(told: Told, platform: Platform, instance, history: Sequence[Span], books: Books) -> None:
    """Every video of the past was made again, once; nothing is lost, nothing stands twice."""
    done = told.backfill
    with judged(books, f"all {len(told.past)} videos were made again, each once") as facts:
        items = {item.video_id: item for item in backfills.listed(platform.db, done.id, limit=len(told.past) + 1)}
        successes = Counter(run.tags[tags.VIDEO] for run in instance.get_runs(filters=_succeeded(done.id)))
        retried = sum("dagster/parent_run_id" in run.tags for run in instance.get_runs(filters=_all(done.id)))
        killed = sum(books.kills.values())
        facts.append(f"{sum(successes.values())} runs that ended well, {len(history)} that began, {retried} started again by Dagster")
        books.expect(set(items) == set(told.past), "the backfill has other videos than the past")
        books.expect(done.state is State.DONE and not done.left, f"the backfill is {done.state} with {done.left} left")
        books.expect(all(item.state is ItemState.DONE for item in items.values()), f"not all are done: {_words(done)}")
        books.expect(all(successes[each] == 1 for each in told.past), f"runs that ended well, by video: {dict(Counter(successes.values()))}")
        books.expect(len(history) <= len(told.past) + killed, f"{len(history)} runs began for {len(told.past)} videos and {killed} kills")
    with judged(books, "nothing is outdated any more") as facts:
        present = Present.of(platform.settings, platform.db, NOT_ASKED, NOT_ASKED, NOT_ASKED)
        plan = planning.make(platform.db, platform.store, present, lambda _runs: {}, causes=CHANGED)
        facts.append(f"{plan.current} of {plan.videos} current")
        books.expect(not plan.causes, f"outdated still: {[(str(each.cause), len(each.videos)) for each in plan.causes]}")
    with judged(books, "nothing lost, nothing doubled") as facts:
        mine = [*told.past, *told.without.video_ids, *told.during.video_ids]
        found = account(platform, instance, mine, None)
        facts.append(f"{found.alerts} alerts of {len(mine)} videos, {found.retries} retries")
        books.faults += found.faults
        books.expect(
            not (found.lost or found.doubled or found.alerts_doubled), f"{found.lost} lost, {found.doubled} runs and {found.alerts_doubled} alerts doubled"
        )
    check_alerts(platform, [*told.past, *told.without.video_ids, *told.during.video_ids], books)


def check_slots(found: Sequence[Span], history: Sequence[Span], slots: int, books: Books) -> None:
    """One slot of the backfill is one run; one video is in one run at a time."""
    with judged(books, "never more runs of the backfill than its slots, never two of one video") as facts:
        facts.append(f"{most_at_once(list(history))} of {slots}")
        books.expect(most_at_once(list(history)) <= slots, f"{most_at_once(list(history))} runs of the backfill at once, {slots} slots")
        doubled = [each for each in {span.video_id for span in found if span.video_id} if most_at_once([span for span in found if span.video_id == each]) > 1]
        books.expect(not doubled, f"two runs at once of {doubled[:5]}")


def _all(backfill_id: str):
    import dagster as dg

    return dg.RunsFilter(tags={tags.HISTORY: backfill_id})


def _succeeded(backfill_id: str):
    import dagster as dg

    return dg.RunsFilter(tags={tags.HISTORY: backfill_id}, statuses=[dg.DagsterRunStatus.SUCCESS])


def _words(backfill: Backfill) -> str:
    return ", ".join(f"{count} {state}" for state, count in backfill.counts.items() if count)


def play(scene: Scene, folder: Path, options: argparse.Namespace, books: Books) -> Told:
    """The past, the change, and the backfill with live videos and kills in its middle."""
    import dagster as dg

    clips = distinct_clips(folder, options.videos + 2 * options.live + 1)
    old, lives = clips[: options.videos], clips[options.videos :]
    began = time.monotonic()
    scene.home.mkdir(parents=True)
    past = [each["video_id"] for each in json.loads(scene.vp("process", *old, "--camera", CAMERA, "--json"))["videos"]]
    print(f"{len(past)} videos were processed in {time.monotonic() - began:.0f} s", flush=True)
    (folder / "rules.yaml").write_text(RULES)
    scene.vp("rules", "apply", folder / "rules.yaml")
    scene.change(ANOTHER_DETECTION)
    with scene.up, open_platform(scene.settings()) as platform, dg.DagsterInstance.from_config(str(scene.home / "dagster")) as instance:
        hand_over(scene, platform, instance, lives[:1])  # the first one waits for imports and caches, which is about neither
        without = hand_over(scene, platform, instance, lives[1 : 1 + options.live])
        print(f"without a backfill: {[round(each, 1) for each in without.ready_s]} s", flush=True)
        plan = json.loads(scene.vp("plan", "--json"))
        planned = {each["cause"]: each for each in plan["causes"]}
        print(f"vp plan: {planned}", flush=True)
        for cause in CHANGED:
            books.expect(planned.get(cause, {}).get("videos") == options.videos, f"not all of the past is outdated by {cause}: {planned.get(cause)}")
        key = json.loads(scene.vp("backfill", "start", "--cause", CAUSE, "--json"))["id"]
        started = time.monotonic()
        wait_under_way(platform, instance, key)
        during = hand_over(scene, platform, instance, lives[1 + options.live :])
        print(f"during the backfill: {[round(each, 1) for each in during.ready_s]} s; {_words(backfills.get(platform.db, key))}", flush=True)
        kill_daemon(scene, platform, instance, key, books)
        still_s = pause_and_kill(scene, platform, instance, key, books)
        within_s = SETTLE_S + SETTLE_S_PER_VIDEO * options.videos
        wait(lambda: backfills.get(platform.db, key).state is State.DONE, within_s, "the backfill is done")
        wall_s = time.monotonic() - started
        try:
            wait(lambda: settled(platform, instance, past), READY_S, "all summaries are written and nothing is under way")
        except TimeoutError as error:  # what is missing stands in the accounts
            books.faults.append(str(error))
        told = Told(past, without, during, backfills.get(platform.db, key), planned[CAUSE]["seconds"], wall_s, still_s)
        found = spans(scene.home)
        history = [span for span in found if span.slot == Lane.BACKFILL]
        print(f"\n{told.table()}\n", flush=True)
        check_live(told, found, history, books)
        check_slots(found, history, platform.settings.runs.backfill_slots, books)
        check_past(told, platform, instance, history, books)
    return told


def main() -> int:
    """Play it and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=200, help="of the past")
    parser.add_argument("--live", type=int, default=20, help="live videos without, and as many during the backfill")
    parser.add_argument("--launcher", choices=("warm", "default"), default="default")
    parser.add_argument("--folder", type=Path, help="an empty folder for everything; a temporary one when not given, removed when all holds")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background without the first
        signal.signal(number, lambda *_: sys.exit(130))
    if os.getpriority(os.PRIO_PROCESS, 0) >= BEHIND:
        print("note: at this niceness runs of a backfill cannot give way, so live videos share the cores with them as equals")
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="vp-backfill-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{options.videos} videos, {options.live} live, {options.launcher} launcher; everything lies in {folder}", flush=True)
    books = Books()
    play(Scene(folder, options.launcher), folder, options, books)
    for fault in books.faults:
        print(f"FAULT {fault}")
    print("all checks hold" if not books.faults else f"{len(books.faults)} faults; {folder} is kept")
    if not books.faults and options.folder is None:
        shutil.rmtree(folder)
    return 1 if books.faults else 0


if __name__ == "__main__":
    sys.exit(main())
