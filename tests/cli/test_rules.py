from datetime import UTC, datetime

import archives
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
    assert "2 rules, 1 zone, 1 line" in ran.out
    assert "rule enters: added" in ran.out
    assert "rule person: removed" in ran.out
    assert "rule drone cannot be evaluated: it needs a model that can be shown frames" in ran.out
    assert "ollama pull qwen3-vl:4b" in ran.out
    assert vp("rules", "check", rules_file, "--json").json["changes"]["rule enters"] == "added"


def test_it_says_when_nobody_would_take_the_second_look_that_is_wanted(vp, rules_file, monkeypatch):
    assert "unverified" not in vp("rules", "check", rules_file).out
    monkeypatch.setenv("VIDEO_PLATFORM_SECOND_LOOK__ENABLED", "true")
    assert "alerts stay unverified: no vision model is named" in vp("rules", "check", rules_file).out
    assert "VISION_MODEL" in vp("rules", "check", rules_file, "--json").json["unverified"]


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


def test_of_very_many_mistakes_the_rest_is_counted(vp, rules_file):
    rules_file.write_text(GOOD + "".join(f"  - {{name: r{number}, when: {{appears: unicorn}}}}\n" for number in range(53)))
    ran = vp("rules", "check", rules_file)
    assert ran.status == 1
    assert sum("no class 'unicorn'" in line for line in ran.err.splitlines()) == 50
    assert ran.err.splitlines()[-1].endswith("3 more problems are not listed; mend these first")
    told = vp("rules", "check", rules_file, "--json").json["problems"]
    assert (len(told), sum(each["count"] for each in told)) == (51, 53)


def test_applying_makes_a_version_once(vp, rules_file):
    assert "version 2 is active" in vp("rules", "apply", rules_file, "--why", "a plaza").out
    assert "already active" in vp("rules", "apply", rules_file).out
    listed = vp("rules", "list", "--json").json
    assert (listed["version"], [rule["name"] for rule in listed["rules"]]) == (2, ["enters", "drone"])
    assert "enters" in vp("rules", "list").out


def test_applying_says_what_it_takes_the_place_of(vp, rules_file):
    assert "version 2 is active; it takes the place of version 1: 1 rule before, 2 now (" in vp("rules", "apply", rules_file).out
    rules_file.write_text(GOOD.replace("name: drone", "name: a-drone").replace("0.2], to", "0.3], to"))
    told = vp("rules", "apply", rules_file).out
    assert "it takes the place of version 2: 2 rules before, 2 now (rule a-drone added, rule drone removed, line path changed)" in " ".join(told.split())
    rules_file.write_text(rules_file.read_text() + "# a comment\n")
    assert "2 rules before, 2 now (no change to a rule, zone or line)" in vp("rules", "apply", rules_file).out
    assert "takes the place" not in vp("rules", "apply", rules_file).out


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
    assert "1 zone and 1 line for camera default" in ran.out
    assert (tmp_path / "x.jpg").read_bytes().startswith(b"\xff\xd8")
    for moment, status, words in (("1e9", 1, "s long, so there is no frame at"), ("inf", 1, "s long, so there is no frame at"), ("nan", 2, "--at")):
        beyond = vp("rules", "preview", video_id, "-o", tmp_path / "y.jpg", "--at", moment)
        assert (beyond.status, words in beyond.err) == (status, True), beyond.err
        assert not (tmp_path / "y.jpg").exists()


class TestThePast:
    """`what-if`, `promote`, `diff`, `rollback` over stored tracks."""

    @pytest.fixture
    def archive(self, tmp_path, home, vp, rules_file):
        vp("rules", "apply", rules_file)
        with open_platform(settings.load()) as platform:
            for number in range(3):
                tracks, samples = archives.crowd(number, 10.0)
                begins = datetime(2026, 11, 20, 8, number, tzinfo=UTC)
                archives.judge(platform, archives.add(platform, tmp_path, number, tracks, samples, ("person", "car"), recorded_at=begins))
        rules_file.write_text(GOOD + "  - {name: cars, when: {appears: car}}\n")
        return home

    def test_a_draft_is_tried_promoted_compared_and_rolled_back(self, vp, rules_file, archive):
        before = vp("alerts", "--json").json
        tried = vp("rules", "what-if", rules_file, "--json").json
        assert (tried["videos"], tried["base_version"], tried["removed"]) == (3, 2, [])
        assert {alert["id"] for alert in tried["unchanged"]} == {alert["id"] for alert in before}
        assert {alert["rule"] for alert in tried["added"]} == {"cars"}
        assert tried["added"][0].keys() >= {"id", "video_id", "camera", "severity", "lifecycle", "mark", "start_s", "end_s", "start_time", "track_ids", "why"}
        assert vp("alerts", "--json").json == before
        shown = vp("rules", "what-if", rules_file)
        assert f"{len(tried['added'])} added, 0 removed, {len(before)} unchanged" in shown.out
        assert "rule drone cannot be evaluated in 3 videos" in shown.out
        assert vp("rules", "what-if", rules_file, "--camera", "yard", "--json").json["videos"] == 0
        assert vp("rules", "what-if", rules_file, "--since", "2026-11-20T08:02:05+00:00", "--json").json["videos"] == 1

        done = vp("rules", "promote", rules_file, "--why", "cars too", "--json").json
        assert (done["version"], done["raised"], done["superseded"], done["notified"]) == (3, len(tried["added"]), 0, 0)
        assert {alert["id"] for alert in vp("alerts", "--json").json} == {alert["id"] for alert in tried["added"] + tried["unchanged"]}
        assert "say why" in vp("rules", "promote", rules_file, "--why", " ").err
        assert "0 videos judged again" in vp("rules", "promote", rules_file, "--why", "again").out

        compared = vp("rules", "diff", "2", "--json").json
        assert compared["changes"] == {"rule cars": "added"}
        assert "+  - {name: cars" in vp("rules", "diff", "2", "3").out
        assert "They are the same." in vp("rules", "diff", rules_file).out
        assert "version 4 is active" in vp("rules", "rollback", "2", "--why", "no").out
        assert {alert["id"] for alert in vp("alerts", "--json").json} == {alert["id"] for alert in before}
        versions = vp("rules", "list", "--versions", "--json").json
        assert [(each["version"], each["why"]) for each in versions] == [(4, "no"), (3, "cars too"), (2, ""), (1, "the first rule set of this home")]
        assert "cars too" in vp("rules", "list", "--versions").out

    def test_a_file_that_was_tried_on_other_rules_than_the_active_ones_is_compared_first(self, vp, rules_file, archive, tmp_path):
        other = tmp_path / "other.yaml"
        other.write_text(GOOD + "  - {name: dogs, when: {appears: dog}}\n")
        vp("rules", "what-if", rules_file)
        assert vp("rules", "promote", other, "--why", "dogs too").status == 0
        for command in ("promote", "apply"):
            refused = vp("rules", command, rules_file, "--why", "cars too")
            assert refused.status == 1
            assert "after version 2 came version 3" in refused.err
            assert "(dogs too), with rule dogs added" in refused.err
        assert vp("rules", "promote", rules_file, "--why", "cars too", "--on", "2").status == 1
        assert "rule dogs: added" in vp("rules", "diff", rules_file).out
        assert vp("rules", "promote", rules_file, "--why", "cars too").status == 0
        assert vp("rules", "promote", other, "--why", "dogs too", "--on", "4").status == 0
        assert vp("rules", "list", "--json").json["version"] == 5

    def test_of_a_file_that_was_never_tried_it_is_said_what_it_takes_the_place_of(self, vp, rules_file, archive, tmp_path):
        other = tmp_path / "other.yaml"
        other.write_text(GOOD.replace("name: enters", "name: enters-plaza"))
        blind = vp("rules", "promote", other, "--why", "another name")
        assert blind.status == 0
        assert f"{other} was never tried or compared here" in blind.err
        assert "it takes the place of version 2 by" in blind.err
        assert "rule enters removed; rule enters-plaza added; `vp rules rollback 2` brings that back" in " ".join(blind.err.split())
        assert vp("rules", "promote", other, "--why", "again").err == ""
        vp("rules", "what-if", rules_file)
        assert vp("rules", "promote", rules_file, "--why", "tried").err == ""

    def test_a_file_that_was_compared_with_an_older_version_is_not_known_to_the_active_one(self, vp, rules_file, archive, tmp_path):
        vp("rules", "what-if", rules_file)
        (tmp_path / "other.yaml").write_text(GOOD + "  - {name: dogs, when: {appears: dog}}\n")
        vp("rules", "apply", tmp_path / "other.yaml")
        vp("rules", "diff", "2", rules_file)
        assert vp("rules", "apply", rules_file).status == 1
        vp("rules", "diff", rules_file, "3")
        assert vp("rules", "apply", rules_file).status == 0

    def test_what_cannot_be_is_said(self, vp, rules_file):
        ran = vp("rules", "rollback", "99")
        assert ran.status == 1
        assert "there is no version 99" in ran.err
        rules_file.write_text(GOOD.replace("enters: plaza", "enters: place"))
        for command in ("what-if", "promote"):
            assert vp("rules", command, rules_file).status == 1
        assert vp("rules", "what-if", rules_file, "--since", "yesterday").status == 2
