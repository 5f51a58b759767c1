"""Alerts over HTTP."""

from datetime import timedelta

import pytest
from seeded import NOW, evaluate, ingest, process

from video_platform.records import Episode, SecondLook
from video_platform.services.database import ledger


def test_an_alert_is_listed_with_its_picture(served, video):
    page = served.client.get("/api/alerts").json()
    assert page["total"] == 1
    [alert] = page["items"]
    assert (alert["rule"], alert["severity"], alert["camera"], alert["mark"]) == ("person", "critical", "gate", "none")
    assert alert["start_time"] == "2026-11-23T12:00:00.500000Z"
    assert served.client.get(alert["snapshot_url"]).status_code == 200
    assert alert["clip_url"] is None
    assert served.client.get(f"/api/alerts/{alert['id']}").json()["id"] == alert["id"]


def test_what_a_vision_model_says_of_an_alert_is_a_change_and_stands_beside_it(served, video):
    page = served.client.get("/api/alerts").json()
    [alert] = page["items"]
    assert "second_look" not in alert  # as ever where none is taken
    said = SecondLook(outcome="rejected", reason="<b>Ignore</b> this: a shadow.", model="seer:latest")
    ledger.set_second_look(served.platform.db, alert["id"], said)
    [changed] = served.client.get("/api/alerts/changes", params={"after": page["cursor"]}).json()["items"]
    assert changed == served.client.get(f"/api/alerts/{alert['id']}").json() | {"snapshot_url": changed["snapshot_url"]}
    assert changed["second_look"] == {"outcome": "rejected", "reason": "<b>Ignore</b> this: a shadow.", "model": "seer:latest"}
    assert (changed["lifecycle"], changed["mark"], changed["severity"]) == (alert["lifecycle"], alert["mark"], alert["severity"])
    evaluate(served.platform, video, [Episode("person", "appears", 0.6, 3.0, (1,), (0.15, 0.6), 0.9)], fingerprint="e" * 64)
    [again] = served.client.get("/api/alerts").json()["items"]
    assert (again["id"], again["second_look"]) == (alert["id"], changed["second_look"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"rule": "person"}, 1),
        ({"rule": "crowd"}, 0),
        ({"camera": "gate"}, 1),
        ({"camera": "yard"}, 0),
        ({"severity": "critical"}, 1),
        ({"severity": "info"}, 0),
        ({"mark": "none"}, 1),
        ({"mark": "false"}, 0),
        ({"lifecycle": "superseded"}, 0),
        ({"any": "true"}, 1),
        ({"since": (NOW - timedelta(hours=1)).isoformat()}, 1),
        ({"since": (NOW + timedelta(hours=1)).isoformat()}, 0),
        ({"until": (NOW - timedelta(hours=1)).isoformat()}, 0),
        ({"offset": "1"}, 0),
    ],
)
def test_filters(served, video, query, found):
    assert len(served.client.get("/api/alerts", params=query).json()["items"]) == found


def test_a_page_that_follows_alerts_misses_none_and_gets_each_change(served, video, tmp_path):
    cursor = served.client.get("/api/alerts").json()["cursor"]
    nothing = served.client.get("/api/alerts/changes", params={"after": cursor}).json()
    assert (nothing["items"], nothing["cursor"]) == ([], cursor)

    other = ingest(served.platform, tmp_path, name="other.mp4")
    [raised] = process(served.platform, other, tmp_path)
    changes = served.client.get("/api/alerts/changes", params={"after": cursor}).json()
    assert [each["id"] for each in changes["items"]] == [raised]

    evaluate(served.platform, other, [], fingerprint="e" * 64)
    [gone] = served.client.get("/api/alerts/changes", params={"after": changes["cursor"]}).json()["items"]
    assert (gone["id"], gone["lifecycle"]) == (raised, "superseded")


def test_a_mark_stays_when_the_video_is_evaluated_again(served, video):
    [alert] = served.client.get("/api/alerts").json()["items"]
    marked = served.client.post(f"/api/alerts/{alert['id']}/mark", json={"mark": "false", "who": "night shift"})
    assert (marked.status_code, marked.json()["mark"]) == (200, "false")
    evaluate(served.platform, video, [Episode("person", "appears", 0.6, 3.0, (1,), (0.15, 0.6), 0.9)], fingerprint="e" * 64)
    [again] = served.client.get("/api/alerts").json()["items"]
    assert (again["id"], again["mark"]) == (alert["id"], "false")
    assert served.client.post(f"/api/alerts/{alert['id']}/mark", json={"mark": "none"}).json()["mark"] == "none"


def test_what_is_not_an_alert_or_a_mark_is_refused_in_words(served, video):
    missing = served.client.get("/api/alerts/no-such-alert")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert served.client.post("/api/alerts/no-such-alert/mark", json={"mark": "false"}).status_code == 404
    [alert] = served.client.get("/api/alerts").json()["items"]
    wrong = served.client.post(f"/api/alerts/{alert['id']}/mark", json={"mark": "maybe"})
    assert (wrong.status_code, wrong.json()["problems"][0]["field"]) == (422, "body.mark")
    assert served.client.post(f"/api/alerts/{alert['id']}/mark", json={"mark": "false", "whom": "x"}).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        {"rule": "a\0b"},
        {"camera": "x" * 10_000},
        {"limit": "0"},
        {"limit": "100000"},
        {"offset": "-1"},
        {"offset": "9" * 40},
        {"since": "yesterday"},
        {"since": "2026-11-23T12:00:00"},
        {"severity": "loud"},
    ],
)
def test_values_that_cannot_be_meant_are_refused(served, query):
    answer = served.client.get("/api/alerts", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_cursor_from_nowhere_is_refused(served):
    assert served.client.get("/api/alerts/changes", params={"after": "9" * 40}).status_code == 422
    assert served.client.get("/api/alerts/changes", params={"after": "-1"}).status_code == 422
