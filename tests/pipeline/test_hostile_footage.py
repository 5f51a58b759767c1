"""Files that point elsewhere, brought in through every door and processed: a failed state with a name, and nobody else's file or address is touched."""

from pathlib import Path

import pytest
from canaries import EVIL, Canary
from graphs import Graph
from serving import serving

from video_platform.records import VideoState
from video_platform.services.database import videos
from video_platform.settings import Settings

DOORS = ("upload", "form", "path")


def bring_in(served, folder: Path, name: str, content: bytes, door: str) -> str:
    """The video's id."""
    if door == "path":
        path = folder / name
        path.write_bytes(content)
        return served.platform.ingest.ingest_path(path).video_id
    if door == "form":
        answer = served.client.post("/api/videos", files={"file": (name, content, "video/mp4")})
    else:
        answer = served.client.post("/api/videos", params={"name": name}, content=content)
    return answer.json()["video_id"]


def test_no_door_leads_from_a_file_to_another(tmp_path):
    canary = Canary(tmp_path)
    try:
        with serving(tmp_path) as served:
            brought = {}
            for number, name in enumerate(EVIL):
                content = EVIL[name](canary)
                video_id = bring_in(served, tmp_path, name, content, DOORS[number % len(DOORS)])
                brought.setdefault(video_id, name)
            assert len(brought) > 10
            graph = Graph(Settings(home=tmp_path / "home"))
            for video_id, name in brought.items():
                assert not graph.run(video_id).success, name
                found = videos.get(served.platform.db, video_id)
                assert (found.state, found.failure_code in ("format_refused", "not_a_video")) == (VideoState.FAILED, True), (name, found.failure_code)
        assert not canary.touched()
    finally:
        canary.close()


@pytest.mark.parametrize(
    "name", ["-i", ";rm -rf ~", "pipe:0", "concat:a|b", "line\nbreak.mp4", "cod.\u202e4pm", "x" * 900, "\x1b]0;pwned\x07\x1b[31mred.mp4", "a\0b.mp4"]
)
def test_a_name_stays_a_name_in_every_output(tmp_path, name):
    """Through upload, list, run tags and results: what comes out is one line without control characters, and never longer than 200."""
    with serving(tmp_path) as served:
        content = b"no video at all " + name.encode("utf-8", "replace")[:50]
        answer = served.client.post("/api/videos", files={"file": (name, content, "video/mp4")})
        assert answer.status_code == 201
        record = answer.json()["video"]
        shown = record["original_name"]
        assert shown
        assert len(shown) <= 200
        assert shown.isprintable() or all(sign.isprintable() or sign == "\u200d" for sign in shown)
        result = Graph(Settings(home=tmp_path / "home")).run(record["video_id"])
        assert not result.success
        tags = result.dagster_run.tags
        assert all(value.isprintable() for value in tags.values())
        found = served.client.get(f"/api/videos/{record['video_id']}").json()["video"]
        assert found["failure_code"] == "not_a_video"
        assert "\x1b" not in found["failure_message"]


@pytest.mark.parametrize("how", ["form", "query"])
def test_a_name_without_end_is_refused_in_words(tmp_path, how):
    with serving(tmp_path) as served:
        if how == "form":
            answer = served.client.post("/api/videos", files={"file": ("x" * 10_000, b"content", "video/mp4")})
        else:
            answer = served.client.post("/api/videos", params={"name": "x" * 10_000}, content=b"content")
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.text) < 2000
        assert served.client.get("/api/videos").json()["total"] == 0
