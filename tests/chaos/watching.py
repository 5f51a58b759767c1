"""Looking at a running `vp up` about once a second: memory by part, runs by what limits them, and whether the page answers."""

import math
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing import summarised
from running import Up, descendants

from video_platform.pipeline import tags
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.platform import Platform
from video_platform.records import VideoState
from video_platform.services.database import videos

SUPERVISOR, OTHER = "supervisor", "other"
SUMMARIES = "llm"
"""Runs without a lane of their own: they wait for a slot of this pool."""

SAMPLE_S = 1.0
TOLD_EVERY_S = 60
ANSWER_WITHIN_S = 30
MB = 1024 * 1024


@dataclass(frozen=True)
class Moment:
    """One look at the platform; memory is the resident size in MB of each process of each part, runs are counted by what limits them."""

    at_s: float
    memory: dict[str, dict[int, float]]
    in_progress: Counter[str]
    queued: Counter[str]
    doubled: bool
    ready: int
    described: bool
    page_s: float

    def __str__(self) -> str:
        sizes = ", ".join(f"{part} {sum(self.memory[part].values()):.0f} MB" for part in ("run", "child"))
        return f"{self.at_s:.0f} s: {self.ready} ready, in progress {dict(self.in_progress)}, queued {dict(self.queued)}; {sizes}"

    def finished(self, videos: int) -> bool:
        """Whether so many videos have all their results, and no run is open."""
        return self.ready == videos and self.described and not self.in_progress and not self.queued


class Watch(threading.Thread):
    """Looks at a running platform about once a second until `done`."""

    def __init__(self, up: Up, platform: Platform) -> None:
        super().__init__(daemon=True)
        self.up, self.platform = up, platform
        self.began = time.monotonic()
        self.moments: list[Moment] = []
        self.done = threading.Event()

    def run(self) -> None:
        import dagster as dg

        with dg.DagsterInstance.from_config(str(self.up.home / "dagster")) as instance, httpx.Client(base_url=self.up.addresses["web"]) as web:
            told = 0
            while not self.done.wait(SAMPLE_S):
                self.moments.append(self.look(instance, web))
                if self.moments[-1].at_s // TOLD_EVERY_S > told:
                    told += 1
                    print(self.moments[-1], flush=True)

    def now_s(self) -> float:
        """Seconds since the watch began, as in `Moment.at_s`."""
        return time.monotonic() - self.began

    @property
    def last(self) -> Moment:
        """The latest look.

        Raises:
            RuntimeError: the thread has died; its traceback stands above.
        """
        if not self.is_alive():
            raise RuntimeError("nobody watches any more")
        return self.moments[-1]

    def look(self, instance, web: httpx.Client) -> Moment:
        """One sample."""
        runs = [run for run in instance.get_runs(open_runs()) if not run.is_finished]
        busy = [run for run in runs if not waits(run)]
        ready = videos.ids(self.platform.db, [VideoState.READY])
        return Moment(
            at_s=self.now_s(),
            memory=memory_of(self.up),
            in_progress=Counter(slot(run) for run in busy),
            queued=Counter(slot(run) for run in runs if waits(run)),
            doubled=any(count > 1 for count in Counter(run.tags.get(tags.VIDEO) for run in busy).values()),
            ready=len(ready),
            described=summarised(self.platform, set(ready)),
            page_s=answer_s(web),
        )


def open_runs():
    """The filter of runs that have not ended."""
    import dagster as dg

    states = dg.DagsterRunStatus
    return dg.RunsFilter(statuses=[states.QUEUED, states.NOT_STARTED, states.STARTING, states.STARTED, states.CANCELING])


def waits(run) -> bool:
    """Whether a run is in the queue."""
    return run.status.value in ("QUEUED", "NOT_STARTED")


def slot(run) -> str:
    """What a run needs a slot of: its lane, or the pool of summaries."""
    return run.tags.get(tags.LANE) or (SUMMARIES if run.job_name == DESCRIBE_VIDEO else OTHER)


def memory_of(up: Up) -> dict[str, dict[int, float]]:
    """MB by part and process; what is no part that `running` knows (Dagster's page, short-lived helpers) is `other`."""
    parts = up.members()
    known = {process.pid for members in parts.values() for process in members}
    parts = {**parts, OTHER: [process for process in descendants(up.pid) if process.pid not in known], SUPERVISOR: [psutil.Process(up.pid)]}
    found: dict[str, dict[int, float]] = {part: {} for part in parts}
    for part, members in parts.items():
        for process in members:
            try:
                found[part][process.pid] = process.memory_info().rss / MB
            except psutil.Error:
                continue  # it ended between the two questions
    return found


def answer_s(web: httpx.Client) -> float:
    """Seconds until the list of videos was there; infinite when it did not come."""
    started = time.monotonic()
    try:
        web.get("/api/videos", timeout=ANSWER_WITHIN_S).raise_for_status()
    except httpx.HTTPError:
        return math.inf
    return time.monotonic() - started
