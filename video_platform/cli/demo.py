"""`vp demo`: the sample clip on the real way, on a home of its own: event log, sensor, run, results, page."""

import json
import os
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Container

    from video_platform.catalog import Catalog
    from video_platform.platform import Platform
    from video_platform.records import Manifest, VideoRecord
    from video_platform.settings import Settings
    from video_platform.supervisor.stack import Addresses
    from video_platform.supervisor.supervision import Supervision

CAMERA = "demo"
SAMPLES = Path(__file__).parents[2] / "samples"
CLIP = SAMPLES / "crossing.mp4"
RULES = SAMPLES / "rules.demo.yaml"

PATIENCE_S = 600.0
"""The sample takes half a minute; a loaded small machine some minutes. When nothing moves for so long, the demo says so and gives up."""

LOOK_S = 0.5

HOLDS = {
    "raw_video": {"duration_s": "s of footage", "codec": "", "frame_rate": "frames a second"},
    "processed_video": {"width": "wide", "height": "high, plays in a browser"},
    "detections": {"count": "boxes", "frames_looked_at": "frames looked at", "model": ""},
    "scenes": {"count": "scene(s)"},
    "tracks": {"tracks": "tracks"},
    "alerts": {"alerts": "alerts", "raised": "raised by this run"},
    "highlights": {"clips": "clips", "reel_s": "s of reel", "timelapse_s": "s of time-lapse"},
    "second_look": {"alerts": "alerts looked at again"},
    "transcript": {"state": "", "words": "words"},
    "captions": {"described": "frames described"},
    "described_alerts": {"alerts": "alerts on what is seen and said"},
    "llm_summary": {"title": ""},
    "search_index": {"passages": "passages that search finds"},
}
"""Asset -> fact of its manifest -> the words after it."""

TICKS = """query($run: ID!) { runOrError(runId: $run) { ... on Run { status startTime endTime tags { key value } } } }"""
"""What Dagster's own page knows of a run; its tags name the sensor and the tick that asked for it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End when the sample is through, instead of serving the page until Ctrl-C.")] = False,
) -> None:
    """Show the platform at work on a sample: real people, alerts, clips and a summary, with a page to look at. Needs no server and no account."""
    from video_platform.cli import output, up
    from video_platform.errors import NotFound

    for file in (CLIP, RULES):
        if not file.is_file():
            raise NotFound(f"{file} is missing; run the demo from a clone of the repository (`make demo`)")
    settings = demo_settings()
    output.say("The demo has a home of its own; nothing of yours is touched.")
    show = _Show(settings, once=once or not sys.stdout.isatty())
    up.serve(settings, "vp demo", show.begin)
    if show.failure is not None:
        raise show.failure


def demo_settings() -> "Settings":
    """The environment's settings, with the demo's home (unless VIDEO_PLATFORM_HOME names one) and the demo's rules."""
    from platformdirs import user_data_dir

    from video_platform import settings

    home = {} if os.environ.get(f"{settings.PREFIX}HOME") else {"home": Path(user_data_dir("video-platform-demo"))}
    os.environ.setdefault(f"{settings.PREFIX}RULES", str(RULES))
    return settings.load(**home)


@dataclass(frozen=True)
class Tick:
    """Which sensor asked for a run: its name, the id of its tick, and the run's own time."""

    sensor: str
    tick_id: str
    wall_s: float | None


class _Show:
    """What the demo does once everything answers; in a thread beside the supervision."""

    def __init__(self, settings: "Settings", *, once: bool) -> None:
        self._settings = settings
        self._once = once
        self.failure: Exception | None = None

    def begin(self, settings: "Settings", addresses: "Addresses", supervision: "Supervision") -> None:
        """Start the show."""
        from video_platform.cli import up

        up.announce(settings, addresses, supervision)
        threading.Thread(target=self._run, args=(addresses, supervision), name="demo", daemon=True).start()

    def _run(self, addresses: "Addresses", supervision: "Supervision") -> None:
        from video_platform.cli import output

        try:
            self._process(addresses)
        except Exception as error:  # handed to the thread that can raise it
            self.failure = error
            supervision.request_end()
            return
        if self._once:
            supervision.request_end()
        else:
            output.say("The page stays up until Ctrl-C. Your own footage: `vp process FILE`, or `vp up` and drop it on the page.")

    def _process(self, addresses: "Addresses") -> None:
        from video_platform.catalog import Catalog
        from video_platform.cli import output
        from video_platform.platform import open_platform

        with open_platform(self._settings) as platform:
            catalog = Catalog(platform.settings, platform.db, platform.store)
            begun = time.monotonic()
            taken = platform.ingest.ingest_path(CLIP, camera=CAMERA)
            output.say(f"\n{CLIP.name}: video {taken.video_id}, {'taken in and announced on topic video-events' if taken.created else 'already there'}")
            record = _await(platform, taken.video_id)
            if taken.created:
                output.say(f"processed {time.monotonic() - begun:.1f} s after it was handed over")
            _results(catalog, record, addresses)
            catalog.close()


def _await(platform: "Platform", video_id: str) -> "VideoRecord":
    """The video once it is through, its summary included; each result is told of as it comes."""
    from video_platform.cli import output
    from video_platform.errors import StateError
    from video_platform.layout import LLM_SUMMARY
    from video_platform.records import VideoState
    from video_platform.services.database import videos

    begun = moved = time.monotonic()
    there: set[str] = set()
    stands: tuple[object, ...] = ()
    asked_again = False
    while time.monotonic() - moved < PATIENCE_S:
        record = videos.get(platform.db, video_id)
        if record is not None and record.state is VideoState.FAILED:
            if asked_again or record.failure_code is None:
                raise StateError(f"the sample failed: {record.failure_code}: {record.failure_message}", video_id=video_id)
            output.say(f"  {record.failure_message}; asked for once more")
            platform.ingest.retry(video_id)
            asked_again = True
        for asset in _made(platform, video_id, there):
            there.add(asset)
            output.say(f"  {asset} is there after {time.monotonic() - begun:.0f} s")
        if record is not None and record.state is VideoState.READY and LLM_SUMMARY in there:
            return record
        now = (len(there), record and (record.state, record.step, record.progress))
        if now != stands:
            stands, moved = now, time.monotonic()
        time.sleep(LOOK_S)
    where = ", ".join(sorted(there)) or "nothing"
    words = f"the sample does not get on: nothing new for {PATIENCE_S:g} s, there is {where}; the logs in {platform.settings.home / 'logs'} say why"
    raise StateError(words, video_id=video_id)


def _made(platform: "Platform", video_id: str, known: "Container[str]") -> "list[str]":
    """The assets of the video whose manifests are there and that are not known yet, in the order in which they are made."""
    from video_platform.layout import ASSETS, manifest_key

    return [asset for asset in ASSETS if asset not in known and any(True for _ in platform.store.list(manifest_key(video_id, asset)))]


def _results(catalog: "Catalog", record: "VideoRecord", addresses: "Addresses") -> None:
    from video_platform.cli import alerts, output
    from video_platform.layout import page_video

    detail = catalog.video(record.video_id)
    for run in reversed(catalog.runs(record.video_id)):
        tick = ask_tick(addresses.dagster, run.run_id)
        asked = f", asked for by sensor {tick.sensor}, tick {tick.tick_id}" if tick and tick.sensor else ""
        took = f", {tick.wall_s:.1f} s" if tick and tick.wall_s else ""
        output.say(f"run {run.run_id} of job {run.job}: {run.status}{asked}{took}")
    rows = []
    for asset in detail.assets:
        if asset.manifest is not None:
            rows.append((asset.name, "reused" if asset.reused else "made", _holds(asset.manifest), round(asset.manifest.cost.wall_s, 1)))
    output.say()
    output.table(("asset", "", "what it holds", "seconds"), rows)
    output.say()
    alerts.show(sorted(catalog.alerts(video_id=record.video_id, limit=100).items, key=lambda alert: alert.start_s), of_one=True)
    summary = catalog.summary(record.video_id)
    if summary is not None:
        reason = f": {summary.engine.reason}" if summary.engine.reason else ""
        output.say(f"\n{summary.title}\n{summary.overview}\n(written by {summary.engine.model or summary.engine.name}{reason})")
    output.say(f"\nsee it: {addresses.web}{page_video(record.video_id)}")


def _holds(manifest: "Manifest") -> str:
    """The few facts of a manifest that are worth a cell."""
    return ", ".join(f"{manifest.facts[name]} {words}".strip() for name, words in HOLDS.get(manifest.asset, {}).items() if name in manifest.facts)


def ask_tick(dagster: str, run_id: str) -> Tick | None:
    """Which tick asked for a run, by Dagster's own page; None when it does not say."""
    question = json.dumps({"query": TICKS, "variables": {"run": run_id}}).encode()
    request = urllib.request.Request(f"{dagster}/graphql", data=question, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as reply:
            run = json.load(reply)["data"]["runOrError"]
        tags = {tag["key"]: tag["value"] for tag in run.get("tags", [])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    started, ended = run.get("startTime"), run.get("endTime")
    return Tick(tags.get("dagster/sensor_name", ""), tags.get("dagster/tick", ""), ended - started if started and ended else None)
