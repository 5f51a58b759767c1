"""The metrics of this installation in Prometheus's text format.

Everything is read from the database, the event log and Dagster's storage, which all processes share, so one scrape of the web app tells of all of them. An
answer is kept for some seconds: many scrapers cost as much as one.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import video_platform
from video_platform import health
from video_platform.api.services import Ours, Services
from video_platform.dagster_now import DagsterNow
from video_platform.operations import Operations
from video_platform.platform import Platform
from video_platform.records import QUARANTINED
from video_platform.services.database import measures

router = APIRouter(tags=["health"])

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FRESH_S = 5.0
"""How long an answer is given again; scrapes come every 15 s or so."""

PREFIX = "video_platform_"

LONGEST_LABEL = 100
"""Names of rules and channels are cut at this; they are the only labels that people choose, and there are at most `measures.MOST_RULES`."""


@router.get("/metrics", operation_id="metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(ours: Ours) -> Response:
    """Lag, queue, seconds per step, videos, alerts, deliveries, dead letters, disk: for Prometheus, as text."""
    return Response(_KEPT.text(ours), media_type=CONTENT_TYPE)


class Scrape(Collector):
    """One look at everything, as metric families; a part that does not answer is left out, and its `up` is 0."""

    def __init__(self, ours: Services) -> None:
        self._ours = ours
        self._operations = Operations(ours.platform, ours.catalog)

    def collect(self) -> Iterator[Metric]:
        """All families. With the database away only health and versions are known."""
        began_s = time.monotonic()
        parts = health.check(self._ours.platform, self._ours.catalog.dagster)
        yield InfoMetricFamily(PREFIX + "build", "Version of the program.", value={"version": video_platform.__version__})
        up = _gauge("up", "Whether each server and process answers (1) or not (0).", "part")
        for name, part in parts.items():
            up.add_metric([name], float(part.ok))
        yield up
        now = self._operations.dagster()
        if now is not None:
            yield from _dagster(now)
        if parts["events"].ok:
            yield from self._log(now)
        if parts["database"].ok:
            yield from self._database()
        yield GaugeMetricFamily(PREFIX + "scrape_seconds", "How long this look took.", time.monotonic() - began_s)

    def _log(self, now: DagsterNow | None) -> Iterator[Metric]:
        lag = _gauge("lag_events", "Events of a topic that its sensor has not read yet.", "topic", "sensor")
        for each in self._operations.lags(now):
            if each.unread is not None:
                lag.add_metric([each.topic, each.sensor], each.unread)
        yield lag
        letters = self._operations.dead_letters()
        if letters is not None:
            yield GaugeMetricFamily(PREFIX + "dead_letters", "Messages on the dead-letter topic.", letters)

    def _database(self) -> Iterator[Metric]:
        yield from _tallies(self._operations.tallies())
        yield from _steps(self._operations.step_totals())
        pending = self._operations.outbox()
        waiting = _gauge("outbox_waiting", "Rows of the outbox that have not left.", "kind")
        waiting.add_metric(["event"], pending.events)
        waiting.add_metric(["notification"], pending.notifications)
        yield waiting
        yield GaugeMetricFamily(PREFIX + "outbox_dead", "Rows of the outbox that were given up.", pending.dead)
        age_s = pending.lag_s(datetime.now(UTC))
        yield GaugeMetricFamily(PREFIX + "outbox_oldest_seconds", "Age of the oldest row that waits; 0 when none does.", age_s)
        disk = self._operations.disk()
        yield GaugeMetricFamily(PREFIX + "disk_free_bytes", "Free space where the home lies.", disk.free)
        taken = _gauge("disk_used_bytes", "Space that the database and the embedded event log take.", "what")
        for what, size_bytes in (("database", disk.database), ("events", disk.events)):
            if size_bytes is not None:
                taken.add_metric([what], size_bytes)
        yield taken


def _dagster(now: DagsterNow) -> Iterator[Metric]:
    runs = _gauge("runs", "Runs that wait or go on, by Dagster's status and lane.", "status", "lane")
    for (status, lane), count in sorted(now.runs_by().items()):
        runs.add_metric([status, lane], count)
    yield runs
    ticked = _gauge("sensor_tick_timestamp_seconds", "End of each sensor's last tick.", "sensor")
    failing = _gauge("sensor_failing", "Whether the last tick of a sensor failed.", "sensor")
    for sensor in now.sensors:
        if sensor.ticked_at is not None:
            ticked.add_metric([sensor.name], sensor.ticked_at.timestamp())
        failing.add_metric([sensor.name], float(sensor.error is not None))
    yield ticked
    yield failing
    alive = _gauge("daemon_heartbeat_timestamp_seconds", "Last heartbeat of each of Dagster's daemons.", "daemon")
    for daemon in now.daemons:
        alive.add_metric([daemon.name], daemon.alive_at.timestamp())
    yield alive


def _tallies(found: measures.Tallies) -> Iterator[Metric]:
    videos = _gauge("videos", "Videos by state.", "state")
    for state, count in found.videos.items():
        videos.add_metric([str(state)], count)
    yield videos
    failures = _gauge("videos_failed", "Failed videos by the code of their failure.", "code")
    for code, count in found.failures.items():
        failures.add_metric([_label(code)], count)
    yield failures
    yield GaugeMetricFamily(PREFIX + "videos_quarantined", "Videos that were given up and wait for a person.", found.failures.get(QUARANTINED, 0))
    summaries = _gauge("summaries_failed", "Videos whose summary could not be written, by code.", "code")
    for code, count in found.summary_failures.items():
        summaries.add_metric([_label(code)], count)
    yield summaries
    alerts = _gauge("alerts", "Alerts in the ledger.", "rule", "severity", "lifecycle")
    totals: Counter[tuple[str, str, str]] = Counter()
    for rule, severity, lifecycle, count in found.alerts:
        totals[(_label(rule), severity, lifecycle)] += count
    for labels, count in totals.items():
        alerts.add_metric(labels, count)
    yield alerts
    deliveries = _gauge("deliveries", "Notifications by channel and where they stand.", "channel", "state")
    for (channel, state), count in found.deliveries.items():
        deliveries.add_metric([_label(channel), state], count)
    yield deliveries
    yield GaugeMetricFamily(PREFIX + "refusals", "Times that footage was refused, of those that are kept.", found.refusals)


def _steps(found: dict[str, measures.StepTotals]) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(PREFIX + "step_seconds", "Wall time of making one asset of one video.", labels=["asset"])
    reused = CounterMetricFamily(PREFIX + "step_reused", "Times that an asset was up to date and handed on.", labels=["asset"])
    cpu = CounterMetricFamily(PREFIX + "step_cpu_seconds", "CPU time of making an asset.", labels=["asset"])
    footage = CounterMetricFamily(PREFIX + "step_footage_seconds", "Length of the footage that an asset was made of.", labels=["asset"])
    tokens = CounterMetricFamily(PREFIX + "step_tokens", "Tokens of the language model, questions and answers.", labels=["asset"])
    factor = _gauge("step_real_time_factor", "Seconds of footage per second of wall time, over all that was made.", "asset")
    for asset, totals in found.items():
        bounds = [*(str(bound) for bound in measures.BUCKETS_S), "+Inf"]
        seconds.add_metric([asset], list(zip(bounds, accumulate(totals.buckets), strict=True)), totals.wall_s)
        reused.add_metric([asset], totals.reused)
        cpu.add_metric([asset], totals.cpu_s)
        footage.add_metric([asset], totals.footage_s)
        tokens.add_metric([asset], totals.tokens)
        if totals.real_time_factor is not None:
            factor.add_metric([asset], totals.real_time_factor)
    yield from (seconds, reused, cpu, footage, tokens, factor)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


def _label(text: str) -> str:
    """A name that people chose, on one line and not too long."""
    return " ".join(text.split())[:LONGEST_LABEL]


class _Kept:
    """The last answer of this process; one look at a time, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer: tuple[Platform, float, bytes] | None = None

    def text(self, ours: Services) -> bytes:
        with self._lock:
            if self._answer is None or self._answer[0] is not ours.platform or time.monotonic() - self._answer[1] > FRESH_S:
                registry = CollectorRegistry(auto_describe=False)
                registry.register(Scrape(ours))
                self._answer = (ours.platform, time.monotonic(), generate_latest(registry))
            return self._answer[2]


_KEPT = _Kept()
