"""What asks for the runs of backfills: a short queue, nothing twice whatever is killed, pause, budget, and videos that fail."""

from datetime import UTC, datetime

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from graphs import Ticking

from sensors import backfills_sensor, batches_sensor
from sensors.backfills import AHEAD, BATCH, MAX_FAILURES, MAX_QUEUED
from video_platform import layout
from video_platform.layout import ALERTS, CAPTIONS, DESCRIBED_ALERTS, HIGHLIGHTS, LLM_SUMMARY, SEARCH_INDEX, TRACKS
from video_platform.pipeline.failures import INTERRUPTED
from video_platform.records import Lane, Manifest, Verdict
from video_platform.services.database import backfills
from video_platform.services.database.backfills import ItemState, State, Wanted
from video_platform.services.database.tables import videos
from video_platform.settings import RunSettings, Settings

NOW = datetime.now(UTC)
REPOSITORY = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="video_platform.definitions")), "__repository__")
"""Where the queue would find the code of a run."""


@dg.job
def process_video():
    pass


@dg.job
def judge_videos():
    pass


class Home:
    """A home with ready videos, its two sensors, and Dagster's part played by hand."""

    def __init__(self, settings):
        self.settings = settings
        self.asking, self.batching = Ticking(settings, backfills_sensor), Ticking(settings, batches_sensor)
        self.db, self.instance = self.asking.workplace.platform.db, self.asking.instance

    def ready(self, count):
        """Rows of ready videos without any result; their ids."""
        ids = [f"{number:016x}" for number in range(1, count + 1)]
        same = {"original_name": "a.mp4", "camera": "gate", "size_bytes": 1, "media_type": "video/mp4", "lane": "live", "generation": 1, "state": "ready"}
        with self.db.write() as connection:
            rows = [{"video_id": each, "sha256": each * 4, "object_key": f"videos/{each}/raw_video/{each * 4}.mp4", **same} for each in ids]
            connection.execute(sa.insert(videos), [{**row, "ingested_at": NOW, "updated_at": NOW} for row in rows])
        return ids

    def start(self, ids, assets, **more):
        return backfills.start(self.db, "unfinished", [Wanted(each, assets, 10.0) for each in ids], who="test", now=NOW, **more)

    def tick(self, sensor=None):
        """The run requests of one tick."""
        result = (sensor or self.asking).tick()
        return result.run_requests or [] if isinstance(result, dg.SensorResult) else []

    def make(self, requests, status=dg.DagsterRunStatus.QUEUED):
        """What the daemon does with requests: runs, one for each key."""
        job = {"process_video": process_video}
        for request in requests:
            known = dg.RunsFilter(tags={"vp/request": request.run_key})
            if not self.instance.get_runs_count(known):
                tags = {**request.tags, "dagster/max_retries": "0"} | ({"dagster/partition": request.partition_key} if request.partition_key else {})
                chosen = job.get(request.job_name, judge_videos)
                self.instance.create_run_for_job(chosen, status=status, tags=tags, remote_job_origin=RemoteJobOrigin(REPOSITORY, chosen.name))

    def end(self, status):
        """Every run that has not ended comes to this end."""
        for run in self.instance.get_runs():
            if not run.is_finished:
                event = {dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.PIPELINE_SUCCESS, dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.PIPELINE_FAILURE}
                self.instance.report_dagster_event(dg.DagsterEvent(event[status].value, run.job_name, message="ended"), run.run_id)

    def counts(self, backfill):
        return {state: count for state, count in backfills.get(self.db, backfill.id).counts.items() if count}

    def close(self):
        self.asking.close()
        self.batching.close()


def publish(home, video_id, asset, run_id):
    """The manifest of a result that this run made."""
    said = {"files": [], "fingerprint": "f", "content_hash": "c", "code_version": "1", "verdict": Verdict(passed=True)}
    manifest = Manifest(asset=asset, video_id=video_id, run_id=run_id, created_at=NOW, **said)
    store = home.asking.workplace.platform.store
    store.put_bytes(layout.manifest_key(video_id, asset), manifest.model_dump_json().encode(), media_type="application/json")


@pytest.fixture
def home(tmp_path):
    made = Home(Settings(home=tmp_path / "home"))
    yield made
    made.close()


@pytest.mark.parametrize(("slots", "expected"), [(1, AHEAD), (50, MAX_QUEUED)])
def test_few_runs_wait_and_never_more_than_a_hundred(tmp_path, slots, expected):
    home = Home(Settings(home=tmp_path / "home", runs=RunSettings(backfill_slots=slots)))
    ids = home.ready(MAX_QUEUED + 20)
    home.start(ids, [TRACKS, ALERTS, HIGHLIGHTS, LLM_SUMMARY, SEARCH_INDEX])
    asked = 0
    for _ in range(8):
        requests = home.tick()
        asked += len(requests)
        home.make(requests)
    assert asked == expected
    request = home.instance.get_runs(limit=1)[0]
    assert (request.tags["vp/lane"], request.tags["dagster/priority"]) == ("backfill", "-10")
    home.close()


def test_a_full_queue_of_live_videos_is_never_made_by_a_backfill(tmp_path):
    home = Home(Settings(home=tmp_path / "home", runs=RunSettings(max_queued=6)))
    home.start(home.ready(20), [TRACKS])
    assert len(home.tick()) == 3
    home.close()


def test_a_run_has_what_is_outdated_and_no_summary_of_its_own(home):
    (video_id,) = home.ready(1)
    home.start([video_id], [TRACKS, ALERTS, HIGHLIGHTS, LLM_SUMMARY, SEARCH_INDEX])
    (request,) = home.tick()
    assert (request.job_name, request.partition_key) == ("process_video", video_id)
    assert [key.path[-1] for key in request.asset_selection] == [TRACKS, ALERTS, HIGHLIGHTS]


def test_a_summary_alone_waits_for_the_pool_and_for_no_lane(home):
    (video_id,) = home.ready(1)
    backfills.start(home.db, backfills.AGAIN, [Wanted(video_id, [LLM_SUMMARY], 1.0)], who="t", now=NOW, lane=Lane.REQUEST, force=LLM_SUMMARY)
    (request,) = home.tick()
    assert (request.job_name, request.tags["dagster/priority"], request.tags["vp/force-asset"]) == ("describe_video", "15", LLM_SUMMARY)
    assert "vp/lane" not in request.tags


def test_an_index_alone_has_its_lane_and_waits_for_no_pool(home):
    (video_id,) = home.ready(1)
    home.start([video_id], [SEARCH_INDEX])
    (request,) = home.tick()
    assert (request.job_name, request.tags["vp/lane"]) == ("describe_video", "backfill")
    assert [key.path[-1] for key in request.asset_selection] == [SEARCH_INDEX]


def test_a_summary_with_its_index_is_one_run(home):
    (video_id,) = home.ready(1)
    home.start([video_id], [LLM_SUMMARY, SEARCH_INDEX])
    (request,) = home.tick()
    assert (request.job_name, "vp/lane" in request.tags) == ("describe_video", False)
    assert [key.path[-1] for key in request.asset_selection] == [LLM_SUMMARY, SEARCH_INDEX]


def test_captions_wait_for_the_pool_and_the_summary_follows_them(home):
    (video_id,) = home.ready(1)
    home.start([video_id], [CAPTIONS, SEARCH_INDEX])
    (request,) = home.tick()
    assert (request.job_name, "vp/lane" in request.tags) == ("describe_video", False)
    assert [key.path[-1] for key in request.asset_selection] == [CAPTIONS, LLM_SUMMARY, SEARCH_INDEX]


def test_what_is_seen_and_said_waits_for_the_pool_on_behalf_of_its_lane(home):
    (video_id,) = home.ready(1)
    home.start([video_id], [DESCRIBED_ALERTS])
    (request,) = home.tick()
    assert (request.job_name, "vp/lane" in request.tags, request.tags["vp/asked-lane"]) == ("describe_video", False, "backfill")
    assert [key.path[-1] for key in request.asset_selection] == [DESCRIBED_ALERTS]


def test_a_tick_that_was_killed_before_its_runs_were_made_asks_for_the_same_runs(home):
    home.start(home.ready(4), [TRACKS])
    lost = home.tick()
    again = home.tick()
    assert len(lost) == 4
    assert {request.run_key for request in again} == {request.run_key for request in lost}
    home.make(again)
    assert home.tick() == []


def test_many_videos_of_which_only_alerts_are_outdated_share_a_run(home):
    started = home.start(home.ready(BATCH + 5), [ALERTS, HIGHLIGHTS])
    assert home.tick() == [], "the other sensor asks for these"
    requests = home.tick(home.batching)
    assert sorted(len(request.run_config["ops"]["judge"]["config"]["videos"]) for request in requests) == [5, BATCH]
    assert {request.run_key for request in home.tick(home.batching)} == {request.run_key for request in requests}
    home.make(requests)
    assert home.tick(home.batching) == []
    assert home.counts(started) == {ItemState.ASKED: BATCH + 5}


def test_pause_takes_what_waits_out_of_the_queue_and_resume_asks_again_under_other_ids(home):
    started = home.start(home.ready(3), [TRACKS])
    first = home.tick()
    home.make(first)
    backfills.turn(home.db, started.id, State.PAUSED, now=NOW)
    assert home.tick() == []
    assert {run.status for run in home.instance.get_runs()} == {dg.DagsterRunStatus.CANCELED}
    assert home.tick() == []
    assert home.counts(started) == {ItemState.WAITING: 3}
    backfills.turn(home.db, started.id, State.RUNNING, now=NOW)
    second = home.tick()
    assert len(second) == 3
    assert not {request.run_key for request in first} & {request.run_key for request in second}


@pytest.mark.parametrize("state", [State.PAUSED, State.CANCELLED])
def test_a_run_that_goes_on_where_its_process_died_is_not_taken_back(home, state):
    started = home.start(home.ready(2), [TRACKS])
    dead, waits = home.tick()
    home.make([dead], dg.DagsterRunStatus.STARTED)
    home.end(dg.DagsterRunStatus.FAILURE)
    (died,) = home.instance.get_runs()
    home.instance.add_run_tags(died.run_id, {"dagster/will_retry": "true"})
    own = {**dead.tags, "dagster/parent_run_id": died.run_id, "dagster/partition": dead.partition_key}
    origin = RemoteJobOrigin(REPOSITORY, process_video.name)
    again = home.instance.create_run_for_job(process_video, status=dg.DagsterRunStatus.QUEUED, tags=own, remote_job_origin=origin)
    home.make([waits])
    backfills.turn(home.db, started.id, state, now=NOW)
    home.tick()
    assert home.instance.get_run_by_id(again.run_id).status is dg.DagsterRunStatus.QUEUED, "its video is half made"
    home.end(dg.DagsterRunStatus.SUCCESS)
    home.tick()
    assert home.counts(started) == {ItemState.REUSED: 1, (ItemState.CANCELLED if state is State.CANCELLED else ItemState.WAITING): 1}


def test_cancel_ends_what_waits_and_what_was_taken_back(home):
    started = home.start(home.ready(AHEAD + 3), [TRACKS])
    home.make(home.tick())
    backfills.turn(home.db, started.id, State.CANCELLED, now=NOW)
    home.tick()
    home.tick()
    assert home.counts(started) == {ItemState.CANCELLED: AHEAD + 3}
    assert home.tick() == []


def test_a_budget_that_is_spent_ends_it_and_a_greater_one_goes_on(home):
    started = home.start(home.ready(6), [TRACKS], budget_s=25.0)
    requests = home.tick()
    assert len(requests) == 2, "three would be estimated at more than the budget"
    home.make(requests)
    for item in backfills.listed(home.db, started.id, states=[ItemState.ASKED]):
        backfills.settle(home.db, item, ItemState.DONE, now=NOW, spent_s=15.0)
    assert home.tick() == []
    ended = backfills.get(home.db, started.id)
    assert (ended.state, ended.reason, ended.left) == (State.ENDED, "the budget of 25 s is spent", 4)
    backfills.turn(home.db, started.id, State.RUNNING, now=NOW, budget_s=100.0)
    assert len(home.tick()) == 4, "15 s a video, as the others took"


def test_what_joins_a_backfill_whose_budget_is_spent_is_made_all_the_same(home):
    ids = home.ready(3)
    started = home.start(ids[:2], [TRACKS], budget_s=5.0)
    home.make(home.tick())
    (item,) = backfills.listed(home.db, started.id, states=[ItemState.ASKED])
    backfills.settle(home.db, item, ItemState.DONE, now=NOW, spent_s=15.0)
    assert home.tick() == []
    joined = home.start(ids[2:], [TRACKS], join=True)
    assert (joined.id, joined.state, joined.budget_s) == (started.id, State.RUNNING, None)
    assert len(home.tick()) == 2


def test_what_joins_while_it_waits_is_made_with_what_was_asked_for_before(home):
    """Rules on what is seen were promoted before its turn came by the rules before: a run for many would make no described alerts."""
    ids = home.ready(1)
    started = home.start(ids, [ALERTS, HIGHLIGHTS])
    home.start(ids, [DESCRIBED_ALERTS], join=True)
    (item,) = backfills.listed(home.db, started.id)
    assert item.assets == (ALERTS, HIGHLIGHTS, DESCRIBED_ALERTS)
    requests = home.tick()
    assert [request.job_name for request in requests] == ["process_video"]
    home.make(requests, dg.DagsterRunStatus.STARTED)
    home.start(ids, [TRACKS], join=True)
    (item,) = backfills.listed(home.db, started.id)
    assert (item.state, item.assets) == (ItemState.ASKED, (ALERTS, HIGHLIGHTS, DESCRIBED_ALERTS, TRACKS)), "its run may die before it makes anything"


def test_what_joins_before_a_run_for_many_is_made_is_taken_out_of_it(home):
    ids = home.ready(2)
    started = home.start(ids, [ALERTS, HIGHLIGHTS])
    assert home.tick() == [], "the other sensor makes runs for many"
    home.start(ids[:1], [DESCRIBED_ALERTS], join=True)
    requests = [*home.tick(), *home.tick(home.batching)]
    assert [request.partition_key for request in requests] == [ids[0], None], "one video, and a run for those that are left"
    home.make(requests)
    home.end(dg.DagsterRunStatus.SUCCESS)
    home.tick()
    assert home.counts(started)[ItemState.REUSED] == 1


@pytest.mark.parametrize("assets", [[TRACKS, ALERTS], [ALERTS, HIGHLIGHTS]])
def test_what_joins_while_a_run_has_it_is_asked_for_again_when_that_has_ended(home, assets):
    ids = home.ready(1)
    started = home.start(ids, assets)
    home.make(home.tick() or home.tick(home.batching))
    home.start(ids, assets, join=True)
    assert home.counts(started) == {ItemState.ASKED: 1}
    assert home.tick() == []
    home.end(dg.DagsterRunStatus.SUCCESS)
    if assets == [ALERTS, HIGHLIGHTS]:  # a run for many says itself of each video what became of it
        (item,) = backfills.listed(home.db, started.id)
        assert backfills.settle(home.db, item, ItemState.DONE, now=NOW, made=assets)
        assert not backfills.settle(home.db, item, ItemState.DONE, now=NOW)
    second = home.tick() or home.tick(home.batching)
    assert len(second) == 1
    assert home.counts(started) == {ItemState.ASKED: 1}
    (item,) = backfills.listed(home.db, started.id)
    assert (item.attempt, item.message) == (2, None)
    home.make(second)
    backfills.settle(home.db, item, ItemState.DONE, now=NOW)
    assert home.counts(started) == {ItemState.DONE: 1}


def test_runs_that_die_are_asked_for_again_alone_and_given_up_in_the_end(home):
    started = home.start(home.ready(2), [ALERTS, HIGHLIGHTS])
    home.tick()
    requests = home.tick(home.batching)
    assert len(requests) == 1
    for _ in range(MAX_FAILURES - 1):
        home.make(requests, dg.DagsterRunStatus.STARTED)
        home.end(dg.DagsterRunStatus.FAILURE)
        requests = home.tick()
        assert [request.job_name for request in requests] == ["process_video"] * 2, "what a run died of must not end others"
    home.make(requests, dg.DagsterRunStatus.STARTED)
    home.end(dg.DagsterRunStatus.FAILURE)
    assert home.tick() == []
    assert home.counts(started) == {ItemState.FAILED: 2}
    assert "given up after 3 runs" in backfills.listed(home.db, started.id)[0].message
    home.tick()
    assert backfills.get(home.db, started.id).state is State.DONE


def test_a_run_that_ends_well_is_reused_when_it_made_nothing(home):
    started = home.start(home.ready(1), [TRACKS])
    home.make(home.tick(), dg.DagsterRunStatus.STARTED)
    home.end(dg.DagsterRunStatus.SUCCESS)
    home.tick()
    assert home.counts(started) == {ItemState.REUSED: 1}


def test_what_a_run_made_before_it_was_killed_counts_as_made(home):
    (video_id,) = home.ready(1)
    started = home.start([video_id], [TRACKS, ALERTS])
    (request,) = home.tick()
    home.make([request], dg.DagsterRunStatus.STARTED)
    (killed,) = home.instance.get_runs()
    publish(home, video_id, TRACKS, killed.run_id)
    home.end(dg.DagsterRunStatus.FAILURE)
    home.instance.add_run_tags(killed.run_id, {"dagster/will_retry": "true"})
    assert home.tick() == [], "Dagster starts it again itself"
    again = home.instance.create_run_for_job(process_video, status=dg.DagsterRunStatus.STARTED, tags={**request.tags, "dagster/parent_run_id": killed.run_id})
    publish(home, video_id, ALERTS, "somebody else")
    home.end(dg.DagsterRunStatus.SUCCESS)
    assert home.instance.get_run_by_id(again.run_id).status is dg.DagsterRunStatus.SUCCESS
    home.tick()
    assert home.counts(started) == {ItemState.DONE: 1}
    assert list(backfills.listed(home.db, started.id)[0].made) == [TRACKS]


def test_videos_that_are_gone_or_failed_are_said_so(home):
    gone, failed, busy = home.ready(3)
    started = home.start([gone, failed, busy], [TRACKS])
    with home.db.write() as connection:
        for video_id, state in ((gone, "deleted"), (failed, "failed"), (busy, "processing")):
            connection.execute(sa.update(videos).where(videos.c.video_id == video_id).values(state=state))
    assert home.tick() == []
    assert home.counts(started) == {ItemState.FAILED: 2, ItemState.WAITING: 1}


def test_a_video_that_was_interrupted_waits_for_whoever_brings_it_back(home):
    (video_id,) = home.ready(1)
    started = home.start([video_id], [TRACKS])

    def becomes(state, code):
        with home.db.write() as connection:
            connection.execute(sa.update(videos).where(videos.c.video_id == video_id).values(state=state, failure_code=code))

    becomes("failed", INTERRUPTED)
    assert home.tick() == []
    assert home.counts(started) == {ItemState.WAITING: 1}
    becomes("ready", None)
    assert len(home.tick()) == 1
