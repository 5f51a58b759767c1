"""The plan and backfills over HTTP, over a home whose results were made from something else."""

from datetime import UTC, datetime

import pytest

from video_platform.planning_causes import CAUSE_WORDS, Cause
from video_platform.services.database import audit, backfills
from video_platform.services.database.backfills import ItemState, State

NOW = datetime.now(UTC)


@pytest.fixture
def started(served, video):
    """A backfill that is running, over one video."""
    answer = served.client.post("/api/backfills", json={"cause": "tracker", "limit": 5, "budget_s": 60})
    assert answer.status_code == 201
    return answer.json()


def turn(served, started, way, **body):
    return served.client.post(f"/api/backfills/{started['id']}/{way}", **body)


def test_a_home_without_videos_has_nothing_outdated(served):
    nothing = {"causes": [], "videos": 0, "current": 0, "seconds": 0, "slots": 1, "run": {"seconds": 3.0, "measured": 0}, "unknown": {}}
    assert served.client.get("/api/plan").json() == nothing
    assert served.client.get("/api/backfills").json() == {"items": []}
    refused = served.client.post("/api/backfills", json={"cause": "tracker"})
    assert (refused.status_code, "tracker settings changed" in refused.json()["detail"]) == (409, True)


def test_the_plan_names_causes_with_results_videos_and_seconds(served, video):
    found = served.client.get("/api/plan", params={"cause": ["rules", "tracker"]}).json()
    assert (found["videos"], found["current"]) == (1, 0)
    causes = {each["cause"]: each for each in found["causes"]}
    assert set(causes) == {"rules", "tracker"}
    assert causes["rules"]["assets"] == {"alerts": 1, "highlights": 1}
    assert causes["tracker"]["why"] == CAUSE_WORDS[Cause.TRACKER]
    assert causes["tracker"]["seconds"] > causes["rules"]["seconds"] > 0
    assert served.client.get("/api/plan", params={"cause": "weather"}).status_code == 422


def test_what_is_started_is_listed_and_told_of_by_the_beginning_of_its_id(served, started, video):
    assert (started["cause"], started["lane"], started["state"], started["budget_s"]) == ("tracker", "backfill", "running", 60)
    assert [started[name] for name in ("videos", "waiting", "asked", "done", "left")] == [1, 1, 0, 0, 1]
    assert started["estimated_s"] == started["left_s"] > 0
    assert served.client.get("/api/backfills").json()["items"] == [started]
    assert served.client.get("/api/backfills", params={"state": ["paused", "done"]}).json()["items"] == []
    assert served.client.get(f"/api/backfills/{started['id'][:8]}").json() == {**started, "failures": []}
    again = served.client.post("/api/backfills", json={"cause": "tracker"})
    assert (again.status_code, "resume or cancel that one first" in again.json()["detail"]) == (409, True)


def test_a_failed_video_is_named_with_its_reason(served, started, video):
    db = served.platform.db
    (item,) = backfills.listed(db, started["id"])
    backfills.settle(db, item, ItemState.FAILED, now=NOW, message="given up after 3 runs", failed=True)
    told = served.client.get(f"/api/backfills/{started['id']}").json()
    assert (told["failed"], told["failures"]) == (1, [{"video_id": video.video_id, "message": "given up after 3 runs"}])


def test_it_is_paused_resumed_and_cancelled_and_the_log_says_so(served, started):
    assert turn(served, started, "pause").json()["state"] == "paused"
    assert turn(served, started, "pause").json()["state"] == "paused", "the same again changes nothing"
    resumed = turn(served, started, "resume", json={"budget_s": 120.5}).json()
    assert (resumed["state"], resumed["budget_s"]) == ("running", 120.5)
    cancelled = turn(served, started, "cancel").json()
    assert (cancelled["state"], cancelled["cancelled"], cancelled["left"]) == ("cancelled", 1, 0)
    assert turn(served, started, "resume").status_code == 409
    actions = [entry.action for entry in audit.page(served.platform.db)[0]]
    assert actions[:4] == ["backfill-cancel", "backfill-resume", "backfill-pause", "backfill-start"]


def test_a_budget_that_is_spent_wants_a_greater_one(served, started):
    db = served.platform.db
    (item,) = backfills.listed(db, started["id"])
    backfills.settle(db, item, ItemState.WAITING, now=NOW, spent_s=61.0)
    backfills.turn(db, started["id"], State.ENDED, now=NOW, reason="the budget of 60 s is spent")
    assert served.client.get(f"/api/backfills/{started['id']}").json()["reason"] == "the budget of 60 s is spent"
    refused = turn(served, started, "resume")
    assert (refused.status_code, "give a greater one" in refused.json()["detail"]) == (409, True)
    assert turn(served, started, "resume", json={"budget_s": 61}).status_code == 409
    assert turn(served, started, "resume", json={"budget_s": 90}).json()["state"] == "running"


@pytest.mark.parametrize(
    "body",
    [{}, {"cause": "weather"}, {"cause": "again"}, {"cause": "rules", "limit": 0}, {"cause": "rules", "budget_s": -1}, {"cause": "rules", "budget": 60}],
    ids=str,
)
def test_what_cannot_be_started_is_refused_and_starts_nothing(served, video, body):
    assert served.client.post("/api/backfills", json=body).status_code == 422
    assert backfills.page(served.platform.db) == []


@pytest.mark.parametrize(("backfill", "status"), [("0000", 404), ("%25", 422), ("weather", 422), ("a" * 37, 422)])
def test_one_that_is_not_there_is_said_so(served, backfill, status):
    for method, way in (("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/cancel")):
        assert served.client.request(method, f"/api/backfills/{backfill}{way}").status_code == status
