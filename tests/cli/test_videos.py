import hashlib

import pytest
from seeded import transcribe

from video_platform import layout, settings
from video_platform.platform import open_platform
from video_platform.records import SecondLook, SpeechSegment, Transcript
from video_platform.services.database import ledger, videos


def test_an_empty_home_says_what_to_do(vp):
    ran = vp("videos")
    assert ran.status == 0
    assert "vp process FILE" in ran.out
    assert vp("videos", "--json").json == []
    assert "No alerts." in vp("alerts").out


def test_videos_are_listed_and_filtered(vp, filled):
    processed, received, _ = filled
    listed = vp("videos", "--json").json
    assert [video["video_id"] for video in listed] == [received.video_id, processed.video_id]
    assert listed[1]["title"] == "A person walks"
    assert listed[1]["alerts"] == {"critical": 1}
    assert [video["camera"] for video in vp("videos", "--camera", "yard", "--json").json] == ["yard"]
    shown = vp("videos", "--state", "ready").out
    assert "crossing.mp4" in shown
    assert "second.mp4" not in shown


def test_a_limit_says_how_much_it_hides(vp, filled):
    ran = vp("videos", "--limit", "1")
    assert "1 older ones are not shown" in ran.err


def test_show_tells_the_whole_story(vp, filled):
    processed, _, alert = filled
    shown = vp("show", processed.video_id).out
    for told in ("crossing.mp4", "camera gate", "A person walks.", "rule crowd did not fire: 1 person in plaza, rule wants 4", "fire-call cannot be evaluated"):
        assert told in shown
    told = [shown.index(each) for each in ("summary:", "in the video", "did not fire", "search:", "made from")]
    assert told == sorted(told), "what was found comes before how it was made"
    assert shown.count(processed.video_id) == 2, "at the top and in the address of the page, not once more for each alert"
    body = vp("show", processed.video_id, "--json").json
    assert [each["id"] for each in body["alerts"]] == [alert]
    assert {each["name"] for each in body["assets"]} == set(layout.ASSETS)
    assert body["summary"]["engine"]["name"] == "template"


HEARD = Transcript(state="spoken", language="en", segments=[SpeechSegment(id="0", text="Fire!", start_s=1.0, end_s=2.0, words=[])])
UNHEARD = Transcript(state="not_transcribed", reason="no model that listens is installed")
FOREIGN = Transcript(state="unknown_language", reason="somebody speaks for 9.0 s, but the model knows English only")


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (HEARD, "speech: spoken, 1 line\n"),
        (FOREIGN, "speech: speech that was not understood: somebody speaks for 9.0 s, but the model knows English only\n"),
        (UNHEARD, "speech: nobody listened: no model that listens is installed\n"),
    ],
    ids=["spoken", "foreign", "unheard"],
)
def test_show_says_whether_anybody_speaks(vp, filled, heard, told):
    processed, other, _ = filled
    with open_platform(settings.load()) as platform:
        transcribe(platform, processed, heard)
    assert told in vp("show", processed.video_id).out
    speech = vp("show", processed.video_id, "--json").json["speech"]
    assert (speech["state"], speech["reason"], speech["segments"]) == (heard.state, heard.reason, len(heard.segments))
    assert "speech:" not in vp("show", other.video_id).out
    assert vp("show", other.video_id, "--json").json["speech"] is None


def test_alerts_are_filtered(vp, filled):
    processed, _, alert = filled
    assert [each["id"] for each in vp("alerts", "--json").json] == [alert]
    assert [each["id"] for each in vp("alerts", "--video", processed.video_id, "--rule", "person", "--severity", "critical", "--json").json] == [alert]
    assert vp("alerts", "--rule", "crowd", "--json").json == []
    assert vp("alerts", "--from", "2026-11-23T12:00+00:00", "--to", "2026-11-23T12:01+00:00", "--json").json != []
    assert vp("alerts", "--to", "2026-11-23T12:00+00:00", "--json").json == []
    assert "person" in vp("alerts").out
    assert "confirmed" not in vp("alerts").out
    with open_platform() as platform:
        ledger.set_second_look(platform.db, alert, SecondLook(outcome="confirmed", reason="A person.", model="seer"))
    assert "active, confirmed" in vp("alerts").out
    assert vp("alerts", "--json").json[0]["second_look"] == {"outcome": "confirmed", "reason": "A person.", "model": "seer"}


def test_a_file_of_an_asset_is_fetched_whole(vp, filled, tmp_path, monkeypatch):
    processed, _, alert = filled
    monkeypatch.chdir(tmp_path)
    ran = vp("get", processed.video_id, "--asset", "raw_video", "-o", "copy.mp4")
    assert ran.status == 0
    assert hashlib.sha256((tmp_path / "copy.mp4").read_bytes()).hexdigest() == processed.sha256
    vp("get", processed.video_id, "--asset", "alerts", "--file", f"snapshot:{alert}")
    assert (tmp_path / f"{processed.video_id}-alerts.jpg").read_bytes().endswith(alert.encode())
    assert [each["role"] for each in vp("get", processed.video_id, "--asset", "alerts", "--list", "--json").json] == ["alerts", f"snapshot:{alert}"]
    assert vp("get", processed.video_id, "--asset", "llm_summary", "-o", "-").json["title"] == "A person walks"


def test_a_file_that_cannot_be_written_is_one_line_with_what_to_do(vp, filled, tmp_path):
    video_id = filled[0].video_id
    for arguments in (("get", video_id, "--asset", "tracks"), ("export", video_id, "--format", "csv")):
        ran = vp(*arguments, "-o", tmp_path / "nowhere" / "x")
        assert ran.status == 1
        assert "cannot be written: No such file or directory; name a file in a folder" in ran.err
        assert "not expected" not in ran.err


def test_what_was_not_made_cannot_be_fetched(vp, filled, tmp_path):
    processed, received, _ = filled
    assert "has not been made" in vp("get", received.video_id, "--asset", "tracks").err
    ran = vp("get", processed.video_id, "--asset", "alerts", "--file", "clip:x", "-o", tmp_path / "x.mp4")
    assert ran.status == 1
    assert "it has: alerts, snapshot:" in ran.err
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("format_name", ["mot", "coco", "csv", "jsonl"])
def test_every_format_is_exported(vp, filled, tmp_path, format_name):
    target = tmp_path / "tracks.out"
    ran = vp("export", filled[0].video_id, "--format", format_name, "-o", target)
    assert ran.status == 0
    assert target.stat().st_size > 100


def test_an_attribute_is_corrected_once(vp, filled):
    processed, _, _ = filled
    assert "corrected" in vp("set", processed.video_id, "--camera", "door", "--recorded-at", "2026-11-22T08:00Z").out
    assert "nothing changes" in vp("set", processed.video_id, "--camera", "door").out
    record = vp("show", processed.video_id, "--json").json
    assert (record["camera"], record["recorded_at"]) == ("door", "2026-11-22T08:00:00Z")
    ran = vp("set", processed.video_id, "--camera", "../etc")
    assert ran.status == 1
    assert "letters, digits" in ran.err


def test_deleting_goes_on_after_a_bad_id_and_leaves_a_tombstone(vp, filled):
    processed, received, _ = filled
    assert "--yes" in vp("delete", processed.video_id).err
    ran = vp("delete", "--yes", processed.video_id, "0" * 16, received.video_id)
    assert ran.status == 1
    assert ran.out.count("deleted") == 2
    assert "0000000000000000" in ran.err
    assert vp("videos", "--json").json == []
    assert "was deleted on" in vp("show", processed.video_id).err


def test_retry_asks_again(vp, filled):
    _, received, _ = filled
    ran = vp("retry", received.video_id)
    assert ran.status == 0
    assert "asked for again" in ran.out
    assert "start `vp up`" in ran.err
    assert {"topic": "video-events", "events": 3} in vp("topics", "list", "--json").json


def test_a_summary_that_failed_is_told_and_asked_for_alone(vp, filled, tmp_path):
    processed, _, _ = filled
    with open_platform(settings.load()) as platform:
        videos.summary_failed(platform.db, processed.video_id, "over_budget", "it took longer than 60 s")
    shown = vp("show", processed.video_id).out
    assert "state: ready" in shown
    assert "summary failed: it took longer than 60 s" in shown
    assert f"`vp retry {processed.video_id}`" in shown
    assert "ready: no summary" in vp("videos").out
    assert vp("show", processed.video_id, "--json").json["summary_failure_message"] == "it took longer than 60 s"
    before = {row["topic"]: row["events"] for row in vp("topics", "list", "--json").json}
    assert "asked for again" in vp("retry", processed.video_id).out
    after = {row["topic"]: row["events"] for row in vp("topics", "list", "--json").json}
    assert {topic: count - before[topic] for topic, count in after.items() if count != before[topic]} == {"processed-videos": 1}
    assert "summary failed" not in vp("show", processed.video_id).out


def test_topics_are_created_once(vp):
    assert "already there" in vp("topics", "create").out
    assert len(vp("topics", "create", "--json").json) == 5
