"""What Prometheus is told, read with its own parser."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from video_platform import events, health
from video_platform.api import metrics
from video_platform.dead_letters import letter
from video_platform.events import Message
from video_platform.pipeline.instance import open_instance
from video_platform.records import Cost, Episode, Severity
from video_platform.services.database import ledger, measures
from video_platform.services.relay import HEARTBEAT


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(metrics, "_KEPT", metrics._Kept())


def scrape(served):
    answer = served.client.get("/api/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            key = (sample.name.removeprefix("video_platform_"), tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} comes twice"
            found[key] = sample.value
    return found


def value(found, name, **labels):
    return found[(name, tuple(sorted(labels.items())))]


def test_a_fresh_home_has_every_family(served):
    found = scrape(served)
    assert value(found, "up", part="database") == 1
    assert value(found, "up", part="relay") == 0
    assert value(found, "lag_events", topic="video-events", sensor="video_events") >= 0
    assert value(found, "dead_letters") == 0
    assert value(found, "outbox_oldest_seconds") == 0
    assert value(found, "disk_free_bytes") > 0
    assert value(found, "disk_used_bytes", what="database") > 0
    assert value(found, "videos", state="deleted") == 0


def test_what_there_is_is_counted(served):
    platform = served.platform
    measures.add_step(platform.db, "tracks", Cost(wall_s=2.0, cpu_s=3.0, tokens=0, real_time_factor=15.0), reused=False)
    measures.add_step(platform.db, "tracks", Cost(), reused=True)
    platform.log.append(
        events.TOPIC_DEAD_LETTERS, [letter(Message(b"k", b"v", ()), topic="video-events", partition=0, offset=1, reason="malformed", detail="no")]
    )
    before = scrape(served)
    assert value(before, "step_seconds_bucket", asset="tracks", le="1.0") == 0
    assert value(before, "step_seconds_bucket", asset="tracks", le="2.5") == 1
    assert value(before, "step_seconds_count", asset="tracks") == value(before, "step_reused_total", asset="tracks") == 1
    assert (value(before, "step_seconds_sum", asset="tracks"), value(before, "step_real_time_factor", asset="tracks")) == (2.0, 15.0)
    assert value(before, "dead_letters") == 1


def test_names_that_people_choose_cannot_break_the_text(served, video):
    record = video
    hostile = 'a"} 1\nvideo_platform_up{part="x\\'
    for number, name in enumerate((hostile, hostile.replace("\n", " "), "x" * 250, "x" * 251)):
        facts = {name: (Severity.INFO, (name,))}
        given = ledger.EvaluationInput(
            record.video_id,
            f"asset {number}",
            name[:64],
            "c",
            "t",
            "1",
            [Episode(name[:255], "appears", 0, 1, (1,), None, None)],
            facts,
            record.lane,
            None,
            datetime.now(UTC),
            "1",
        )
        ledger.reconcile(served.platform.db, given)
    found = scrape(served)
    rules = {dict(labels)["rule"]: count for (name, labels), count in found.items() if name == "alerts"}
    assert rules[" ".join(hostile.split())] == 2
    assert rules["x" * metrics.LONGEST_LABEL] == 2


def test_runs_sensors_and_daemons_of_dagster(served):
    settings = served.platform.settings

    @dg.job
    def process_video():
        pass

    with open_instance(settings) as instance:
        for lane in ("live", "live", "backfill"):
            instance.create_run_for_job(process_video, status=dg.DagsterRunStatus.STARTED, tags={"vp/lane": lane, "dagster/partition": "0" * 16})
    found = scrape(served)
    assert value(found, "runs", status="started", lane="live") == 2
    assert value(found, "runs", status="started", lane="backfill") == 1


def test_one_look_serves_many(served, monkeypatch):
    monkeypatch.setattr(metrics, "FRESH_S", 600.0)
    first = served.client.get("/api/metrics").text
    measures.add_step(served.platform.db, "tracks", Cost(wall_s=2.0), reused=False)
    assert served.client.get("/api/metrics").text == first


def test_the_relay_is_known_by_its_sign_of_life(served):
    now = datetime.now(UTC)
    measures.beat(served.platform.db, HEARTBEAT, "here:1", now)
    assert health.check(served.platform, served.catalog.dagster)["relay"].ok
    measures.beat(served.platform.db, HEARTBEAT, "here:1", now - timedelta(seconds=health.RELAY_SILENCE_S + 60))
    part = health.check(served.platform, served.catalog.dagster)["relay"]
    assert not part.ok
    assert "silent for 2 min" in part.detail


def test_a_part_that_hangs_is_given_up_on(served, monkeypatch):
    monkeypatch.setattr(health, "CHECK_S", 0.2)
    monkeypatch.setattr(type(served.platform.store), "check", lambda _self: time.sleep(1.0) or "late")
    answer = served.client.get("/api/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["parts"]["objects"]["detail"] == "no answer within 0.2 s"


def test_parts_that_hang_are_given_up_on_together_and_one_that_fails_alone(served, monkeypatch):
    monkeypatch.setattr(health, "CHECK_S", 2.0)
    for part in (served.platform.store, served.platform.log, served.platform.db):
        monkeypatch.setattr(type(part), "check", lambda _self: time.sleep(8.0) or "late")

    def gone(_path):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(health.shutil, "disk_usage", gone)
    began = time.monotonic()
    parts = health.check(served.platform, served.catalog.dagster)
    assert time.monotonic() - began < 5.0  # one after the other they take six
    assert [parts[name].ok for name in ("database", "objects", "events", "disk")] == [False] * 4
    assert "No such file" in parts["disk"].detail
