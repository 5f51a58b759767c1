"""DESIGN rows 3 to 5: what orchestration adds to a video, a sensor tick with 100 events, and the way from upload to alert.

python -m benchmarks.orchestration
"""

import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.platforms import ROOT, Up, wait
from video_platform import settings
from video_platform.platform import open_platform
from video_platform.records import Lane

SAMPLE = ROOT / "samples" / "crossing.mp4"
RULES = ROOT / "samples" / "rules.demo.yaml"
REPEATS = 15
"""Runs measured with each launcher: the queue is looked at once a second, so single ones differ by as much."""

EVENTS = 100
RUN_DEADLINE_S = 300.0


def instance(home: Path):
    """Dagster's instance of the home; close it with `dispose()`."""
    import dagster as dg

    return dg.DagsterInstance.from_config(str(home / "dagster"))


def upload_to_alert(up: Up) -> tuple[str, float]:
    """`(video_id, seconds)` from the end of an upload of the 30 s sample until its first alert is told by the API."""
    web = up.addresses["web"]
    answer = httpx.post(f"{web}/api/videos", params={"name": "crossing.mp4", "camera": "demo"}, content=SAMPLE.read_bytes(), timeout=60)
    answer.raise_for_status()
    started = time.monotonic()
    video_id = answer.json()["video_id"]
    wait(lambda: httpx.get(f"{web}/api/alerts", params={"video_id": video_id}, timeout=30).json()["items"], RUN_DEADLINE_S, "the first alert")
    return video_id, time.monotonic() - started


def run_overhead(up: Up, video_id: str) -> list[float]:
    """Seconds from a run's creation to its end, of runs in which every step is reused: all of it is orchestration."""
    import dagster as dg

    platform = open_platform(settings.load(home=up.home))
    found = []
    with instance(up.home) as dagster:
        wait(lambda: not _open_runs(dagster), RUN_DEADLINE_S, "the first runs end")
        for number in range(REPEATS):
            request = f"bench-{number}"
            platform.ingest.request_processing(video_id, lane=Lane.REQUEST, request_id=request)
            platform.announce()
            before = {record.dagster_run.run_id for record in dagster.get_run_records()}

            def done(known: set[str] = before):
                fresh = [record for record in dagster.get_run_records() if record.dagster_run.run_id not in known]
                return next((record for record in fresh if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS), None)

            record = wait(done, RUN_DEADLINE_S, "the run ends")
            found.append(record.end_time - record.create_timestamp.timestamp())
    return found


def _open_runs(dagster) -> bool:
    return any(not run.is_finished for run in dagster.get_runs(limit=10))


def tick_of_100(folder: Path) -> float:
    """Seconds of the sensor tick that turns 100 waiting events into 100 queued runs."""
    home = folder / "burst"
    platform = open_platform(settings.load(home=home))
    for number in range(EVENTS):
        clip = folder / f"{number}.mp4"
        clip.write_bytes(SAMPLE.read_bytes() + number.to_bytes(4, "big"))
        platform.ingest.ingest_path(clip, camera="burst")
    platform.announce()
    with Up(home, env={"VIDEO_PLATFORM_RUNS__LIVE_SLOTS": "1"}), instance(home) as dagster:
        return wait(lambda: _tick_with(dagster, EVENTS), RUN_DEADLINE_S, "a tick with 100 runs")


def _tick_with(dagster, runs: int) -> float | None:
    for state in dagster.all_instigator_state():
        for tick in dagster.get_ticks(state.instigator_origin_id, state.selector_id, limit=20):
            if len(tick.run_ids) >= runs and tick.end_timestamp:
                return tick.end_timestamp - tick.timestamp
    return None


def rows() -> list[str]:
    """The table rows of RESULTS.md."""
    table = []
    for launcher, bound in (("default", "<= 4 s"), ("warm", "<= 1.5 s")):
        with tempfile.TemporaryDirectory() as folder:
            env = {"VIDEO_PLATFORM_RULES": str(RULES), "VIDEO_PLATFORM_RUNS__LAUNCHER": launcher}
            with Up(Path(folder) / "home", env=env) as up:
                video_id, seconds = upload_to_alert(up)
                if launcher == "default":
                    table.append(f"| 30 s clip: upload finished to alert (API) | <= 20 s | {seconds:.1f} s | one upload, default launcher |")
                overhead = run_overhead(up, video_id)
        detail = f"runs with every step reused, creation to end; {min(overhead):.1f} to {max(overhead):.1f} s, n = {len(overhead)}"
        table.append(f"| orchestration per video, {launcher} launcher | {bound} | {statistics.median(overhead):.1f} s | {detail} |")
    with tempfile.TemporaryDirectory() as folder:
        table.append(f"| sensor tick with {EVENTS} events | <= 15 s | {tick_of_100(Path(folder)):.1f} s | evaluation and {EVENTS} runs queued |")
    return table


if __name__ == "__main__":
    print("\n".join(rows()))
