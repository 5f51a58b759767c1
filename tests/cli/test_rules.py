from datetime import UTC, datetime

import clips
import pytest
import sqlalchemy as sa

from video_platform import settings
from video_platform.platform import open_platform
from video_platform.rules_yaml import MAX_BYTES
from video_platform.services.database import backfills
from video_platform.services.database.tables import rule_sets

GOOD = """\
version: 1
zones:
  plaza: {polygon: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.9]}
rules:
  - {name: enters, when: {enters: plaza, class: person}}
  - {name: drone, when: {sees: "a drone"}}
"""


@pytest.fixture
def rules_file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_file_says_what_would_change_and_what_cannot_be_evaluated(vp, rules_file):
    ran = vp("rules", "check", rules_file)
    assert ran.status == 0
    assert "2 rules, 1 zones, 1 lines" in ran.out
    assert "rule enters: added" in ran.out
    assert "rule person: removed" in ran.out
    assert "rule drone cannot be evaluated here" in ran.out
    assert vp("rules", "check", rules_file, "--json").json["changes"]["rule enters"] == "added"


def test_every_mistake_is_named_with_its_line(vp, rules_file):
    rules_file.write_text(GOOD.replace("enters: plaza", "enters: place").replace("class: person", "class: unicorn"))
    ran = vp("rules", "check", rules_file)
    assert ran.status == 1
    assert "line 7" in ran.err
    assert "place" in ran.err
    assert "unicorn" in ran.err
    assert not vp("rules", "check", rules_file, "--json").json["valid"]
    assert vp("rules", "apply", rules_file).status == 1
    assert [rule["name"] for rule in vp("rules", "list", "--json").json["rules"]] == ["person"]


def test_applying_makes_a_version_once(vp, rules_file):
    assert "version 2 is active" in vp("rules", "apply", rules_file, "--why", "a plaza").out
    assert "already active" in vp("rules", "apply", rules_file).out
    listed = vp("rules", "list", "--json").json
    assert (listed["version"], [rule["name"] for rule in listed["rules"]]) == (2, ["enters", "drone"])
    assert "enters" in vp("rules", "list").out


def test_applying_says_which_command_judges_older_videos_again_and_it_does(vp, rules_file, filled):
    processed, _, _ = filled
    told = vp("rules", "apply", rules_file).out
    assert "1 video has alerts of older rules; `vp retry --older-rules`" in told
    assert "older rules" in vp("rules", "apply", rules_file).out, "it stays true until they are judged again"
    ran = vp("retry", "--older-rules")
    assert ran.status == 0
    assert "1 video asked for again" in ran.out
    assert "start `vp up`" in ran.err
    with open_platform(settings.load()) as platform:
        (backfill,) = backfills.page(platform.db)
        (item,) = backfills.listed(platform.db, backfill.id)
    assert (backfill.cause, backfill.lane, item.video_id, item.assets) == ("rules", "backfill", processed.video_id, ("alerts", "highlights"))
    assert vp("retry", "--older-rules").status == 0, "the open backfill takes them up"
    assert vp("retry").status == 2
    assert vp("retry", processed.video_id, "--older-rules").status == 2


def test_a_rule_that_changes_no_alert_makes_no_video_older(vp, rules_file, filled):
    rules_file.write_text("# the same in other words\nversion: 1\nrules:\n  - {name: person, when: {appears: person}, severity: critical}\n")
    assert "older rules" not in vp("rules", "apply", rules_file).out


def test_active_rules_that_this_version_cannot_read_are_named_with_what_to_do(vp, rules_file):
    with open_platform(settings.load()) as platform, platform.db.write() as connection:
        row = {"text": "version: 1\nrulez: []\n", "hash": "h", "source": "old.yaml", "who": "kim", "why": "", "applied_at": datetime.now(UTC)}
        connection.execute(sa.insert(rule_sets).values(**row))
    for command in (("up",), ("rules", "list")):
        ran = vp(*command)
        assert ran.status == 1
        assert "version 2 of the rules, from old.yaml, cannot be used: " in ran.err
        assert "line 2" in ran.err
        assert "`vp rules apply FILE`" in ran.err
    assert "default" in ran.out, "the versions are listed all the same"
    listed = vp("rules", "list", "--json").json
    assert [(each["version"], each["source"]) for each in listed["versions"]] == [(2, "old.yaml"), (1, "default")]
    assert "line 2" in listed["problem"]
    ran = vp("rules", "check", rules_file)
    assert ran.status == 0
    assert "version 2 of the rules, from old.yaml" in ran.err
    assert "version 3 is active" in vp("rules", "apply", rules_file).out
    assert vp("rules", "list").status == 0


def test_a_file_that_cannot_be_read_is_an_error_in_words(vp, tmp_path):
    assert "cannot be read" in vp("rules", "check", tmp_path / "missing.yaml").err
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert vp("rules", "apply", tmp_path / "binary.yaml").status == 1


def test_of_a_video_that_was_named_by_mistake_only_the_beginning_is_read(vp, tmp_path):
    path = tmp_path / "holiday.mp4"
    path.write_bytes(b"version: 1\n" + b" " * MAX_BYTES + b"\xff")
    ran = vp("rules", "apply", path)
    assert ran.status == 1
    assert f"has more than {MAX_BYTES} bytes" in ran.err


def test_a_preview_is_a_picture_of_a_frame(vp, rules_file, tmp_path):
    clips.make(tmp_path / "a.mp4", frames=30)
    vp("ingest", tmp_path / "a.mp4")
    video_id = vp("videos", "--json").json[0]["video_id"]
    ran = vp("rules", "preview", video_id, "--rules", rules_file, "-o", tmp_path / "x.jpg", "--at", "0.5")
    assert (ran.status, ran.err) == (0, "")
    assert "1 zones and 1 lines for camera default" in ran.out
    assert (tmp_path / "x.jpg").read_bytes().startswith(b"\xff\xd8")
