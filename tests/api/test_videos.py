"""Videos over HTTP: lists, one video, its results, corrections, deletion."""

import json

import pytest
from fake_ollama import FakeOllama
from seeded import SECONDS, ingest
from serving import serving

from video_platform import layout
from video_platform.events import TOPIC_VIDEO_EVENTS
from video_platform.records import Manifest, Verdict
from video_platform.services.database import videos


def test_a_list_shows_what_people_look_for(served, video, tmp_path):
    ingest(served.platform, tmp_path, name="later.mp4", camera="yard")
    page = served.client.get("/api/videos").json()
    assert page["total"] == 2
    later, first = page["items"]
    assert (later["original_name"], later["thumbnail_url"], later["title"], later["alerts"]) == ("later.mp4", None, None, {})
    assert (first["video_id"], first["state"], first["duration_s"], first["title"]) == (video.video_id, "ready", SECONDS, "A person walks")
    assert first["alerts"] == {"critical": 1}
    picture = served.client.get(first["thumbnail_url"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"camera": "yard"}, ["later.mp4"]),
        ({"text": "cross"}, ["crossing.mp4"]),
        ({"text": "100%_"}, []),
        ({"state": "received"}, ["later.mp4"]),
        ({"state": ["received", "ready"]}, ["later.mp4", "crossing.mp4"]),
        ({"state": "deleted"}, []),
        ({"limit": 1}, ["later.mp4"]),
        ({"limit": 1, "offset": 1}, ["crossing.mp4"]),
        ({"offset": 10}, []),
    ],
)
def test_filters(served, video, tmp_path, query, names):
    ingest(served.platform, tmp_path, name="later.mp4", camera="yard")
    assert [each["original_name"] for each in served.client.get("/api/videos", params=query).json()["items"]] == names


@pytest.mark.parametrize("query", [{"text": "a\0b"}, {"camera": "a\nb"}, {"text": "x" * 10_000}, {"limit": "-1"}, {"offset": "1e9"}, {"state": "lost"}])
def test_values_that_cannot_be_meant_are_refused(served, query):
    answer = served.client.get("/api/videos", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_one_video_with_everything_known_of_it(served, video):
    found = served.client.get(f"/api/videos/{video.video_id}").json()
    assert found["video"]["original_name"] == "crossing.mp4"
    assets = {each["name"]: each for each in found["assets"]}
    assert list(assets) == list(layout.ASSETS)
    assert (assets["tracks"]["made"], assets["tracks"]["passed"], assets["tracks"]["run_id"]) == (True, True, "run-1")
    assert assets["tracks"]["run_url"].endswith("/runs/run-1")
    assert (assets["highlights"]["made"], assets["highlights"]["fingerprint"]) == (False, None)
    assert found["near_misses"] == [{"rule": "crowd", "text": "1 person in plaza, rule wants 4", "at_s": 1.0}]
    assert found["cannot_evaluate"] == [{"rule": "fire-call", "reason": "there is no transcript"}]
    assert found["runs"] == []


def test_results(served, video, tmp_path):
    base = f"/api/videos/{video.video_id}"
    assert served.client.get(f"{base}/tracks").json()["tracks"][0]["class_name"] == "person"
    assert served.client.get(f"{base}/summary").json()["sentences"][0]["evidence"][0]["id"] == "1"
    assert served.client.get(f"{base}/captions").json()["captions"][0]["text"] == "A person in a yard."
    assert served.client.get(f"{base}/near-misses").json()[0]["rule"] == "crowd"
    [scene] = served.client.get(f"{base}/scenes").json()
    assert (scene["start_s"], scene["end_s"]) == (0.0, SECONDS)
    assert served.client.get(scene["thumbnail_url"]).status_code == 200

    bare = ingest(served.platform, tmp_path, name="bare.mp4")
    base = f"/api/videos/{bare.video_id}"
    assert [served.client.get(f"{base}/{what}").json() for what in ("tracks", "summary", "scenes", "near-misses", "files")] == [None, None, [], [], []]


def test_every_listed_file_can_be_read_and_is_what_it_says(served, video):
    files = served.client.get(f"/api/videos/{video.video_id}/files").json()
    assert {(each["asset"], each["role"]) for each in files} >= {
        ("raw_video", "video"),
        ("processed_video", "poster"),
        ("tracks", "tracks"),
        ("alerts", "alerts"),
    }
    for each in files:
        answer = served.client.get(each["url"])
        assert (answer.status_code, len(answer.content)) == (200, each["size_bytes"])
        assert answer.headers["etag"] == f'"{each["sha256"]}"'
    [raw] = [each for each in files if each["asset"] == "raw_video"]
    assert 'attachment; filename="crossing.mp4"' in served.client.get(raw["download_url"]).headers["content-disposition"]


@pytest.mark.parametrize(
    ("kind", "media_type", "name"),
    [("mot", "text/plain", "crossing.mot.txt"), ("coco", "application/json", "crossing.coco.json"), ("csv", "text/csv", "crossing.csv")],
)
def test_exports(served, video, kind, media_type, name):
    answer = served.client.get(f"/api/videos/{video.video_id}/export", params={"format": kind})
    assert answer.headers["content-type"].startswith(media_type)
    assert f'filename="{name}"' in answer.headers["content-disposition"]
    assert len(answer.content) > 1000


def test_an_export_of_nothing_says_what_to_do(served, tmp_path):
    bare = ingest(served.platform, tmp_path)
    answer = served.client.get(f"/api/videos/{bare.video_id}/export", params={"format": "mot"})
    assert answer.status_code == 409
    assert "process it first" in answer.json()["detail"]
    assert served.client.get(f"/api/videos/{bare.video_id}/export", params={"format": "xml"}).status_code == 422


def test_a_correction_counts_and_asks_for_a_new_evaluation(served, video):
    url = f"/api/videos/{video.video_id}"
    changed = served.client.patch(url, json={"camera": "yard", "recorded_at": "2026-11-20T10:00:00Z"}).json()
    assert (changed["changed"], changed["video"]["camera"], changed["video"]["recorded_at"]) == (True, "yard", "2026-11-20T10:00:00Z")
    assert served.client.patch(url, json={"camera": "yard"}).json()["changed"] is False
    assert served.client.get(url).json()["video"]["recorded_at"] == "2026-11-20T10:00:00Z"


@pytest.mark.parametrize(
    "body", [{"camera": ""}, {"camera": "x" * 121}, {"camera": "a\0"}, {"recorded_at": "2026-11-20"}, {"camrea": "x"}, {"recorded_at": "2026-11-20T10:00:00"}]
)
def test_corrections_that_cannot_be_meant_are_refused(served, video, body):
    assert served.client.patch(f"/api/videos/{video.video_id}", json=body).status_code in (400, 422)


def test_processing_is_queued_and_said(served, video):
    assert served.client.post(f"/api/videos/{video.video_id}/process").status_code == 202
    assert served.client.post(f"/api/videos/{video.video_id}/process", json={"force": True}).status_code == 202
    assert served.client.post(f"/api/videos/{video.video_id}/process", json={"force": "maybe"}).status_code == 422


def test_what_failed_is_tried_again(served, video, tmp_path):
    broken = ingest(served.platform, tmp_path, name="broken.mp4")
    videos.failed(served.platform.db, broken.video_id, None, "not_a_video", "This file is not a video.")
    shown = served.client.get(f"/api/videos/{broken.video_id}").json()["video"]
    assert (shown["state"], shown["failure_code"], shown["failure_message"]) == ("failed", "not_a_video", "This file is not a video.")
    assert served.client.post(f"/api/videos/{broken.video_id}/retry").status_code == 202
    assert served.client.get(f"/api/videos/{broken.video_id}").json()["video"]["state"] == "received"


def test_what_was_noticed_of_the_footage_is_told_once(served, video):
    assert served.client.get(f"/api/videos/{video.video_id}").json()["notes"] == []
    store, note = served.platform.store, "The recording is cut off or damaged: 2.0 s of 4.0 s could be decoded."
    for asset in (layout.PROCESSED_VIDEO, layout.DETECTIONS):
        key = layout.manifest_key(video.video_id, asset)
        noted = Manifest.model_validate_json(store.get_bytes(key)).model_copy(update={"verdict": Verdict(passed=True, notes=[note])})
        store.put_bytes(key, noted.model_dump_json().encode(), media_type="application/json")
    assert served.client.get(f"/api/videos/{video.video_id}").json()["notes"] == [note]


def test_a_summary_that_failed_is_told_and_tried_again_alone(served, video):
    videos.summary_failed(served.platform.db, video.video_id, "over_budget", "it took longer than 60 s")
    told = served.client.get(f"/api/videos/{video.video_id}").json()["video"]
    assert (told["state"], told["summary_failure_code"], told["summary_failure_message"]) == ("ready", "over_budget", "it took longer than 60 s")
    assert served.client.get("/api/videos").json()["items"][0]["summary_failure_code"] == "over_budget"
    before = served.platform.log.end_offsets(TOPIC_VIDEO_EVENTS)
    assert served.client.post(f"/api/videos/{video.video_id}/retry").status_code == 202
    assert served.platform.log.end_offsets(TOPIC_VIDEO_EVENTS) == before
    assert served.client.get(f"/api/videos/{video.video_id}").json()["video"]["summary_failure_code"] is None


def test_a_deleted_video_is_gone_and_known_to_be(served, video, tmp_path):
    url = f"/api/videos/{video.video_id}"
    [file, *_] = served.client.get(f"{url}/files").json()
    deleted = served.client.delete(url)
    assert (deleted.status_code, deleted.json()["cancelled_runs"]) == (200, [])
    assert deleted.json()["objects"] > 5
    gone = served.client.get(url)
    assert (gone.status_code, gone.json()["title"]) == (410, "VideoDeleted")
    assert "ingest it again" in gone.json()["detail"]
    assert served.client.delete(url).status_code == 410
    assert served.client.get("/api/videos").json()["total"] == 0
    assert served.client.get("/api/alerts").json()["total"] == 0
    assert served.client.get(file["url"]).status_code in (404, 410)
    assert list(served.platform.store.list("videos/")) == []
    process_again = served.client.post(f"{url}/process")
    assert process_again.status_code == 410


@pytest.mark.parametrize("video_id", ["0123456789abcdef", "nobody", "..", "%2e%2e%2f", "x" * 5000, "0123456789ABCDEF", "%00"])
@pytest.mark.parametrize("what", ["", "/tracks", "/scenes", "/summary", "/captions", "/transcript", "/files", "/near-misses", "/export?format=mot"])
def test_what_is_not_there_is_not_found(served, video_id, what):
    answer = served.client.get(f"/api/videos/{video_id}{what}", follow_redirects=False)
    assert answer.status_code in (404, 307), answer.text
    if answer.status_code == 404:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 1000


def test_errors_carry_no_trace(served, video):
    entry = served.catalog.manifest(video.video_id, layout.TRACKS).file("player")
    served.platform.store.put_bytes(entry.key, b"{broken", media_type="application/json")
    answer = served.client.get(f"/api/videos/{video.video_id}/tracks")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "Traceback" not in answer.text
    assert "with force" in answer.json()["detail"]


def test_paths_and_methods_that_do_not_exist(served):
    assert (served.client.get("/api/nothing").status_code, served.client.put("/api/videos").status_code) == (404, 405)
    assert served.client.get("/api/nothing").headers["content-type"] == "application/problem+json"
    broken = served.client.post("/api/rules/check", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.headers["content-type"]) == (422, "application/problem+json")


def test_the_reference_needs_nothing_from_elsewhere(served):
    page = served.client.get("/api/docs")
    assert page.status_code == 200
    assert "/api/videos/{video_id}/media/{asset}/{name}" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    document = served.client.get("/api/openapi.json").json()
    assert json.dumps(document)
    assert "/videos/{video_id}" in document["paths"]


def test_health(served):
    found = served.client.get("/api/healthz")
    parts = found.json()["parts"]
    assert (found.status_code, found.json()["status"]) == (200, "degraded")  # nothing runs on this home but the web app
    assert {name for name, part in parts.items() if part["needed"]} == {"database", "objects", "events"}
    assert {name for name, part in parts.items() if not part["ok"]} == {"relay", "runs", "sensors"}
    assert "SQLite" in parts["database"]["detail"]
    assert "vp up" in parts["relay"]["detail"]


def test_a_language_model_that_is_missed_is_said_and_keeps_nobody_from_working(tmp_path, monkeypatch):
    with FakeOllama() as server:
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE", "ollama")
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__HOST", server.address)
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__MODEL", "qwen3")
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__VISION_MODEL", "llama3:latest")
        with serving(tmp_path) as served:
            found = served.client.get("/api/healthz")
    assert (found.status_code, found.json()["status"]) == (200, "degraded")
    parts = found.json()["parts"]
    assert not parts["language_model"]["ok"]
    assert "get it with: ollama pull qwen3" in parts["language_model"]["detail"]
    assert not parts["vision_model"]["ok"]
    assert "llama3:latest of Ollama 0.32.15" in parts["vision_model"]["detail"]
    assert "has no vision" in parts["vision_model"]["detail"]
