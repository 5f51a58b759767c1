"""Rules over HTTP."""

import archives
import pytest
from serving import Served

from video_platform import rebuilding
from video_platform.settings import Settings

GOOD = "version: 1\nrules:\n  - {name: dog, when: {appears: dog}}\n"
BAD = "version: 1\nrules:\n  - {name: dog, when: {appears: dragon}}\n  - {name: dog, when: {appears: dog}, severty: info}\n"


def test_a_fresh_home_has_one_rule(served):
    found = served.client.get("/api/rules").json()
    assert "appears: person" in found["active"]["text"]
    assert found["draft"] is None


def test_a_check_says_everything_at_once_and_changes_nothing(served):
    before = served.client.get("/api/rules").json()["active"]
    checked = served.client.post("/api/rules/check", json={"text": BAD}).json()
    assert not checked["ok"]
    assert {each["line"] for each in checked["problems"]} == {3, 4}
    assert any("dragon" in each["message"] for each in checked["problems"])
    assert served.client.post("/api/rules/check", json={"text": GOOD}).json() == {"ok": True, "rules": ["dog"], "problems": [], "cannot_evaluate": {}}
    assert served.client.get("/api/rules").json()["active"] == before


def test_applied_rules_are_active_with_who_and_why(served):
    applied = served.client.post("/api/rules/apply", json={"text": GOOD, "who": "operator", "why": "dogs only"})
    assert applied.status_code == 200
    active = served.client.get("/api/rules").json()["active"]
    assert (active["text"], active["who"], active["why"]) == (GOOD, "operator", "dogs only")


def test_applied_rules_outlive_the_database_before_any_video_was_judged_by_them(served):
    served.client.post("/api/rules/apply", json={"text": GOOD, "who": "operator", "why": "dogs only"})
    kept = rebuilding.stored_rules(served.platform.store)
    assert [(version.text, version.who) for version in kept][-1] == (GOOD, "operator")


def test_rules_with_problems_are_refused_whole(served):
    before = served.client.get("/api/rules").json()["active"]
    refused = served.client.post("/api/rules/apply", json={"text": BAD})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert len(refused.json()["problems"]) >= 2
    assert served.client.get("/api/rules").json()["active"] == before


def with_file(served: Served, path) -> None:
    """Let the settings of the running server name a rules file, as a restart with the variable set would."""
    settings = served.platform.settings
    served.platform.settings = Settings(**{**{name: getattr(settings, name) for name in type(settings).model_fields}, "rules": path})


def test_a_changed_file_is_a_draft(served, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    with_file(served, path)
    draft = served.client.get("/api/rules").json()["draft"]
    assert (draft["path"], draft["text"], draft["problems"]) == ("rules.yaml", GOOD, [])
    assert draft["changes"] == {"rule dog": "added", "rule person": "removed"}
    served.client.post("/api/rules/apply", json={"text": GOOD})
    assert served.client.get("/api/rules").json()["draft"] is None
    path.write_text("# a comment changes nothing\n" + GOOD)
    assert served.client.get("/api/rules").json()["draft"] is None


@pytest.mark.parametrize("content", [BAD.encode(), b"\xff\xfe\x00", b"version: [", b"x" * 2_000_000, None])
def test_a_draft_that_cannot_be_used_says_why(served, tmp_path, content):
    path = tmp_path / "rules.yaml"
    if content is not None:
        path.write_bytes(content)
    with_file(served, path)
    found = served.client.get("/api/rules")
    assert found.status_code == 200
    assert found.json()["draft"]["problems"]


CARS = "version: 1\nrules:\n  - {name: person, when: {appears: person}}\n  - {name: cars, when: {appears: car}}\n"


def test_a_draft_is_tried_promoted_and_rolled_back(served, tmp_path):
    for number in range(2):
        tracks, samples = archives.crowd(number, 10.0)
        archives.judge(served.platform, archives.add(served.platform, tmp_path, number, tracks, samples, ("person", "car")))
    before = {alert["id"] for alert in served.client.get("/api/alerts").json()["items"]}
    tried = served.client.post("/api/rules/what-if", json={"text": CARS, "limit": 1}, timeout=120).json()
    assert (tried["base_version"], tried["videos"], tried["left_out"]) == (1, 2, [])
    cars, people = tried["rules"]
    assert (cars["rule"], cars["removed"], people["rule"], people["added"], people["unchanged"]) == ("cars", 0, "person", 0, len(before))
    assert cars["added"] > 1
    assert [len(tried[what]) for what in ("added", "removed", "unchanged")] == [1, 0, 1]
    assert {alert["id"] for alert in served.client.get("/api/alerts").json()["items"]} == before

    done = served.client.post("/api/rules/promote", json={"text": CARS, "who": "ana", "why": "cars too"}, timeout=120).json()
    assert (done["version"]["id"], done["version"]["who"], done["raised"], done["notified"], done["waiting"]) == (2, "ana", cars["added"], 0, [])
    assert [each["id"] for each in served.client.get("/api/rules/versions").json()["items"]] == [2, 1]
    compared = served.client.get("/api/rules/diff", params={"before": 1, "after": 2}).json()
    assert compared["changes"] == {"rule cars": "added"}
    assert "+  - {name: cars" in compared["diff"]
    back = served.client.post("/api/rules/versions/1/rollback", json={"who": "ben", "why": "no"}, timeout=120).json()
    assert (back["version"]["id"], back["version"]["source"], back["superseded"]) == (3, "version 1", cars["added"])
    assert {alert["id"] for alert in served.client.get("/api/alerts").json()["items"]} == before


def test_a_draft_with_problems_and_a_version_that_is_not_are_refused(served):
    for route in ("what-if", "promote"):
        why = {"why": "t"} if route == "promote" else {}
        assert served.client.post(f"/api/rules/{route}", json={"text": BAD, **why}).status_code == 422
    assert served.client.post("/api/rules/promote", json={"text": GOOD, "why": " "}).status_code == 400
    assert served.client.post("/api/rules/versions/99/rollback", json={}).status_code == 404
    assert served.client.get("/api/rules/diff", params={"before": 1, "after": 99}).status_code == 404
    assert [each["id"] for each in served.client.get("/api/rules/versions").json()["items"]] == [1]


def test_who_promotes_on_a_version_that_is_not_active_any_more_is_told_what_came_meanwhile(served):
    mine, theirs = GOOD, CARS
    served.client.post("/api/rules/promote", json={"text": theirs, "who": "ben", "why": "cars too", "base": 1}, timeout=120).raise_for_status()
    for route in ("apply", "promote"):
        refused = served.client.post(f"/api/rules/{route}", json={"text": mine, "who": "ana", "why": "dogs", "base": 1}, timeout=120)
        body = refused.json()
        assert (refused.status_code, body["title"], body["base"], body["active"], body["changes"]) == (409, "RulesMovedOn", 1, 2, {"rule cars": "added"})
        assert "after version 1 came version 2 by ben (cars too), with rule cars added" in body["detail"]
        assert "`vp rules diff 1 2`" in body["detail"]
    back = served.client.post("/api/rules/versions/1/rollback", json={"who": "ana", "why": "no", "base": 1}, timeout=120)
    assert back.status_code == 409
    assert "no version 7" in served.client.post("/api/rules/promote", json={"text": mine, "why": "dogs", "base": 7}, timeout=120).json()["detail"]
    assert served.client.get("/api/rules").json()["active"]["text"] == theirs
    again = served.client.post("/api/rules/promote", json={"text": theirs, "who": "ben", "why": "cars too", "base": 1}, timeout=120)
    assert (again.status_code, again.json()["version"]["id"]) == (200, 2)
    assert served.client.post("/api/rules/promote", json={"text": mine, "who": "ana", "why": "dogs", "base": 2}, timeout=120).status_code == 200


def test_what_was_taken_back_meanwhile_stands_in_nobodys_way(served):
    first = served.client.get("/api/rules").json()["active"]["text"]
    for text in (CARS, first):
        served.client.post("/api/rules/apply", json={"text": text}).raise_for_status()
    assert served.client.post("/api/rules/apply", json={"text": GOOD, "base": 1}).json()["id"] == 4


def test_marks_give_the_precision_of_each_rule(served, video):
    alerts = served.client.get("/api/alerts").json()["items"]
    served.client.post(f"/api/alerts/{alerts[0]['id']}/mark", json={"mark": "false", "who": "kim"})
    found = served.client.get("/api/rules/precision").json()
    (row,) = [each for each in found["rules"] if each["rule"] == alerts[0]["rule"]]
    assert (found["by"], row["false"], row["acknowledged"], row["precision"], row["start"]) == ("all", 1, 0, 0.0, None)
    assert served.client.get("/api/rules/precision", params={"by": "day", "rule": alerts[0]["rule"]}).json()["rules"][0]["start"] is not None
    assert served.client.get("/api/rules/precision", params={"camera": "nowhere"}).json()["rules"] == []
    assert served.client.get("/api/rules/precision", params={"by": "year"}).status_code == 422
