"""Query parameters that a route does not take."""

import re


def test_a_filter_that_there_is_not_is_refused_with_the_names_of_those_that_there_are(served, video):
    answer = served.client.get("/api/alerts", params={"video": video.video_id, "limit": "5", "colour": "red"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [each["field"] for each in answer.json()["problems"]] == ["query.video", "query.colour"]
    assert "this route takes video_id, rule, camera, severity, lifecycle, any, mark, since, until, limit, offset" in answer.json()["detail"]
    assert served.client.get("/api/alerts", params={"video_id": video.video_id, "limit": "5"}).status_code == 200


def test_every_route_refuses_what_it_does_not_take(served):
    paths = served.client.get("/api/openapi.json").json()["paths"]
    asked = [(method, re.sub(r"\{\w+\}", "0123456789abcdef", path)) for path, methods in paths.items() for method in methods]
    assert len(asked) > len(paths) > 20
    for method, path in asked:
        answer = served.client.request(method, f"/api{path}", params={"camrea": "gate"})
        assert (answer.status_code, [each["field"] for each in answer.json().get("problems", [])]) == (422, ["query.camrea"]), (method, path)


def test_footage_with_a_misspelt_camera_is_not_taken_in_under_the_wrong_one(served):
    assert served.client.post("/api/videos?name=a.mp4&camrea=gate", content=b"footage").status_code == 422
    assert served.client.get("/api/videos").json()["total"] == 0
