import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from graphs import CROSSING, Graph, made, states
from stack import embedded_only

from video_platform import rules
from video_platform.analysis import summary
from video_platform.errors import StoreUnavailable, WorkerBudgetExceeded
from video_platform.layout import ALERTS, LLM_SUMMARY, RAW_VIDEO, TRACKS
from video_platform.pipeline.failures import INVALID
from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.made import read_manifest
from video_platform.pipeline.resources import Desk, Workplace
from video_platform.pipeline.steps import failed_state
from video_platform.records import VideoState
from video_platform.services.database import ledger, rulesets, videos
from video_platform.services.database.tables import rule_sets
from video_platform.services.folder_store import FolderStore
from video_platform.settings import MediaSettings, Settings

ROOT = Path(__file__).parents[2]


def ingest(graph, path, **given):
    with graph.platform() as platform:
        return platform.ingest.ingest_path(path, **given).video_id


def record(graph, video_id):
    with graph.platform() as platform:
        return videos.get(platform.db, video_id)


def attempts(result):
    return sum(event.is_step_start or event.is_step_restarted for event in result.all_events if event.step_key == RAW_VIDEO)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"this is not a video at all\n" * 50, "not_a_video"), (CROSSING.read_bytes()[:2000], None), (b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n", None)],
)
def test_footage_that_cannot_be_used_fails_at_once_with_its_reason(graph, tmp_path, content, code):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    video_id = ingest(graph, path)
    result = graph.run(video_id)
    assert not result.success
    assert attempts(result) == 1
    assert states(result) == {}
    after = record(graph, video_id)
    assert after.state is VideoState.FAILED
    assert after.failure_message
    assert code is None or after.failure_code == code
    with graph.platform() as platform:
        assert read_manifest(platform.store, video_id, RAW_VIDEO) is None


def test_a_stored_object_with_other_bytes_is_refused(graph):
    video_id = ingest(graph, CROSSING)
    with graph.platform() as platform:
        key = videos.get(platform.db, video_id).object_key
        platform.store.put_bytes(key, b"something else", media_type="video/mp4", if_absent=False)
    result = graph.run(video_id, [RAW_VIDEO])
    assert not result.success
    after = record(graph, video_id)
    assert (after.failure_code, after.state) == ("IntegrityError", VideoState.FAILED)


def test_an_unknown_and_a_deleted_video_say_so(graph):
    unknown = "0" * 16
    result = graph.run(unknown, [RAW_VIDEO])
    assert "no video 0000000000000000" in result.failure_data_for_node(RAW_VIDEO).user_failure_data.description
    video_id = ingest(graph, CROSSING)
    with graph.platform() as platform:
        platform.ingest.delete(video_id, "test")
    result = graph.run(video_id, [RAW_VIDEO])
    assert "was deleted" in result.failure_data_for_node(RAW_VIDEO).user_failure_data.description
    assert record(graph, video_id).state is VideoState.DELETED


def test_an_asset_whose_input_was_never_made_says_what_to_do(graph):
    video_id = ingest(graph, CROSSING)
    result = graph.run(video_id, [TRACKS])
    assert "has not been made yet" in result.failure_data_for_node(TRACKS).user_failure_data.description


def test_a_run_that_fails_before_it_makes_anything_says_so_although_the_video_was_ready(processed):
    graph, video_id = processed
    earlier = record(graph, video_id).run_id
    with graph.platform() as platform, platform.db.write() as connection:
        row = {"text": "version: 1\nrulez: []\n", "hash": "h", "source": "old.yaml", "who": "kim", "why": "", "applied_at": datetime.now(UTC)}
        connection.execute(sa.insert(rule_sets).values(**row))
    result = graph.run(video_id)
    assert made(result) == set()
    after = record(graph, video_id)
    assert (after.state, after.failure_code, after.run_id) == (VideoState.FAILED, "RulesError", result.run_id)
    assert "line 2" in after.failure_message
    with graph.platform() as platform:
        rulesets.apply(platform.db, rules.DEFAULT_TEXT, source="mended.yaml", who="kim", why="", now=datetime.now(UTC))
    again = graph.run(video_id)
    assert again.success
    after = record(graph, video_id)
    assert (after.state, after.failure_code, after.run_id) == (VideoState.READY, None, again.run_id)
    workplace = Workplace(graph.settings)
    with open_instance(graph.settings) as instance:
        for ended in (earlier, result.run_id):
            failed_state(Desk(workplace, ended, False), instance, video_id, ended, ALERTS)("WorkerCrashed", "a process outlived its run")
    workplace.close()
    assert record(graph, video_id) == after


def test_a_budget_that_is_too_small_has_a_name(processed):
    graph, video_id = processed
    tight = MediaSettings(worker_base_s=0.05, worker_per_second=1e-6)
    result = graph.run(video_id, [RAW_VIDEO], tags={"vp/force": "true"}, media=tight)
    assert not result.success
    assert record(graph, video_id).failure_code == "over_budget"


@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [
        (WorkerBudgetExceeded("it took longer than 60 s"), "over_budget", "it took longer than 60 s"),
        (ValueError("no such key"), "ValueError", "This is a fault of the program"),
        (None, INVALID, "llm_summary of video"),
    ],
)
def test_a_summary_that_fails_says_why_and_the_word_goes_when_one_is_written(processed, monkeypatch, broken, code, message):
    graph, video_id = processed
    write = summary.write

    def fails(*arguments, **options):
        if broken is not None:
            raise broken
        written = write(*arguments, **options)
        return replace(written, summary=written.summary.model_copy(update={"title": ""}))

    monkeypatch.setattr(summary, "write", fails)
    assert not graph.run(video_id, [LLM_SUMMARY], tags={"vp/force": "true"}).success
    after = record(graph, video_id)
    assert (after.state, after.failure_code) == (VideoState.READY, None)
    assert after.summary_failure_code == code
    assert message in after.summary_failure_message
    monkeypatch.setattr(summary, "write", write)
    assert made(graph.run(video_id, [LLM_SUMMARY], tags={"vp/force": "true"})) == {LLM_SUMMARY}
    assert record(graph, video_id).summary_failure_code is None


class Flaky(Workplace):
    """A store that is away for the first `away` manifests."""

    away = 1

    @property
    def platform(self):
        opened = super().platform
        if not isinstance(opened.store, FlakyStore):
            opened.store = FlakyStore(self.settings.objects_folder, type(self).away)
        return opened


class FlakyStore(FolderStore):
    def __init__(self, folder, away):
        super().__init__(folder)
        self.away = away

    def put_bytes(self, key, data, *, media_type, if_absent=False):
        if self.away:
            self.away -= 1
            raise StoreUnavailable(f"the store does not answer for {key}", key=key)
        return super().put_bytes(key, data, media_type=media_type, if_absent=if_absent)


@embedded_only  # the store that fails is a folder
def test_an_outage_is_waited_out(graph):
    video_id = ingest(graph, CROSSING)
    graph.workplace_type = Flaky
    result = graph.run(video_id, [RAW_VIDEO])
    assert result.success
    assert attempts(result) == 2
    assert made(result) == {RAW_VIDEO}


KILLED = """
import os, signal, sys
from graphs import Graph
from video_platform.pipeline.resources import Workplace
from video_platform.services.folder_store import FolderStore
from video_platform.settings import Settings

home, video_id, asset, moment = sys.argv[1:]

class Deadly(FolderStore):
    def put_bytes(self, key, data, *, media_type, if_absent=False):
        mine = key.endswith(f"/{asset}/manifest.json")
        if mine and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().put_bytes(key, data, media_type=media_type, if_absent=if_absent)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

class DeadlyPlace(Workplace):
    @property
    def platform(self):
        opened = super().platform
        opened.store = Deadly(self.settings.objects_folder)
        return opened

Graph(Settings(home=home), DeadlyPlace).run(video_id, [asset], tags={"vp/force": "true"})
"""


@embedded_only  # the store that kills is a folder
@pytest.mark.parametrize("asset", [ALERTS, TRACKS])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_manifest(processed, asset, moment):
    """Readers see the old version or the new one; the next run completes it, and no alert comes twice."""
    graph, video_id = processed
    with graph.platform() as platform:
        old = read_manifest(platform.store, video_id, asset)
        alerts = {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", KILLED, str(graph.settings.home), video_id, asset, moment]
    assert subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False).returncode == -signal.SIGKILL
    with graph.platform() as platform:
        seen = read_manifest(platform.store, video_id, asset)
        assert (seen == old) is (moment == "before")
        assert all(platform.store.stat(entry.key).size_bytes == entry.size_bytes for entry in seen.files)
    result = graph.run(video_id)
    assert result.success
    with graph.platform() as platform:
        assert {alert.id for alert in ledger.page(platform.db, video_id=video_id)[0]} == alerts
        assert videos.get(platform.db, video_id).state is VideoState.READY


def test_scratch_is_gone_after_success_and_failure(graph, tmp_path):
    video_id = ingest(graph, CROSSING)
    graph.run(video_id, [RAW_VIDEO])
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"no video")
    graph.run(ingest(graph, path))
    assert list(graph.settings.scratch.glob("*")) == []


def test_settings_of_one_home_do_not_leak(tmp_path):
    first, second = Graph(Settings(home=tmp_path / "a")), Graph(Settings(home=tmp_path / "b"))
    video_id = ingest(first, CROSSING)
    assert first.run(video_id, [RAW_VIDEO]).success
    assert not second.run(video_id, [RAW_VIDEO]).success
