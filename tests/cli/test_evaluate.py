"""`vp evaluate`: the figures of a real clip against another program's, settings side by side, marks, and what is wrong said in words."""

import json
from datetime import UTC, datetime
from pathlib import Path

import clips
import independent_figures
import pytest

from video_platform import layout, settings
from video_platform.platform import open_platform
from video_platform.records import Mark
from video_platform.services.database import ledger

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "crossing.mp4"
FOOTAGE = ROOT.parent / "shared" / "footage"
TRUTH, RULES = FOOTAGE / "crossing.gt.txt", FOOTAGE / "crossing.rules.yaml"
"""The annotation may be measured with but not be shipped (CC BY-NC-SA): it lies beside the clone where it is there at all."""

needs_annotation = pytest.mark.skipif(not TRUTH.is_file(), reason=f"THE ANNOTATION {TRUTH} IS NOT THERE: the figures of the sample clip are not shown")


@pytest.fixture
def crossing(vp, monkeypatch):
    """The sample clip with the rules that its annotation is measured by."""
    monkeypatch.setenv("VIDEO_PLATFORM_RULES", str(RULES))
    ran = vp("process", SAMPLE, "--json")
    assert ran.status == 0, ran.err
    return ran.json["videos"][0]["video_id"]


@needs_annotation
@pytest.mark.timeout(1800)
def test_the_figures_of_the_sample_clip_are_those_of_an_independent_script(vp, crossing, tmp_path):
    exported, alerts = tmp_path / "tracks.csv", tmp_path / "alerts.json"
    assert vp("export", crossing, "--format", "csv", "-o", exported).status == 0
    alerts.write_text(vp("alerts", "--video", crossing, "--json").out)
    truth = independent_figures.annotated_boxes(TRUTH)
    wanted = independent_figures.tracking(truth, independent_figures.tracked_boxes(exported, "person"), 300)

    ran = vp("evaluate", crossing, "--truth", TRUTH, "--with", "detection.samples_per_s=2", "--json")
    assert ran.status == 0, ran.err
    stored, other = ran.json["settings"]
    found = stored["classes"]["person"]
    assert found["annotated_boxes"] == wanted["num_objects"] == 1874
    counted = {"id_switches": "num_switches", "false_boxes": "num_false_positives", "missed_boxes": "num_misses"}
    assert {name: found[name] for name in counted} == {name: wanted[theirs] for name, theirs in counted.items()}
    for name in ("precision", "recall", "mota", "idf1"):
        assert found[name] == pytest.approx(wanted[name], abs=1e-9), name
    # Exported boxes are rounded to a hundredth of a pixel, which a few of 19 thresholds x 1,800 pairs feel.
    assert found["hota"] == pytest.approx(wanted["hota"], abs=1e-3)
    assert 0.6 < found["hota"] < found["idf1"] < found["mota"] + 0.1 < 1

    expected = independent_figures.expected_events(truth, RULES, 768, 576, 10)
    events = independent_figures.events(expected, alerts)
    assert sum(annotated for annotated, _, _ in events.values()) == 31
    assert {each["rule"]: (each["expected"], each["alerts"], each["matched"]) for each in stored["rules"]} == events
    missing = [each for each in stored["differences"] if each["what"] in ("no alert", "false alert")]
    assert len(missing) == sum(annotated + raised - 2 * both for annotated, raised, both in events.values())

    assert (other["name"], other["changes"]) == ("detection.samples_per_s=2", {"detection.samples_per_s": "2"})
    assert other["classes"]["person"]["mota"] == pytest.approx(0.661, abs=0.02), "docs/tracking.md"
    assert (other["events"]["expected"], other["events"]["recall"]) == (31, pytest.approx(0.806, abs=0.07))
    assert other["classes"]["person"]["annotated_boxes"] == 1874
    considered = vp("evaluate", crossing, "--truth", TRUTH, "--considered-only", "--json").json
    assert (considered["ignored"], considered["settings"][0]["classes"]["person"]["annotated_boxes"]) == (174, 1700)

    text = vp("evaluate", crossing, "--truth", TRUTH)
    assert f"{found['mota']:.3f}" in text.out
    assert f"/video?video={crossing}&t=" in text.out
    assert "174 boxes of this MOT15 file are marked" in text.err


BOX = "60,50,40,60,1,1,1"


@pytest.fixture
def processed(vp, tmp_path):
    """A clip of 45 frames, 1.5 s, of 320x240 in which the detector sees nobody."""
    ran = vp("process", clips.make(tmp_path / "a.mp4", frames=45).path, "--json")
    assert ran.status == 0, ran.err
    return ran.json["videos"][0]["video_id"]


def manifests(home):
    """Every file of results, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in (home / "objects").rglob("*") if path.is_file()}


@pytest.mark.timeout(600)
def test_what_nobody_saw_is_missed_and_every_mistake_is_named(vp, processed, tmp_path, home):
    truth = tmp_path / "gt.txt"
    truth.write_text("".join(f"{frame},1,{BOX}\n" for frame in range(1, 46)) + "3,2,1,1,5,5,1,7,1\n4,3,1,1,5,5,0,1,1\n")
    before = manifests(home)
    ran = vp("evaluate", processed, "--truth", truth, "--with", "detection.samples_per_s=2", "--with", "tracking.lost_s=2", "--json")
    assert ran.status == 0, ran.err
    said = ran.json
    assert (said["frames"], said["left_out"], said["ignored"], said["rules_version"]) == (45, {"7": 1}, 1, "1")
    for one in said["settings"]:
        assert (one["classes"]["person"]["recall"], one["classes"]["person"]["precision"], one["classes"]["person"]["missed_boxes"]) == (0, None, 45)
        assert one["rules"] == [{"rule": "person", "kind": "appears", "expected": 1, "alerts": 0, "matched": 0, "precision": None, "recall": 0, "f1": 0}]
        assert {each["what"]: each["page"].rpartition("/")[2] for each in one["differences"]} == {
            "no alert": f"video?video={processed}&t=0.00",
            "not followed": f"video?video={processed}&t=0.00",
        }
    assert said["settings"][1]["name"] == "detection.samples_per_s=2 tracking.lost_s=2"
    assert manifests(home) == before, "nothing of the video was made again"
    assert not list((home / "scratch").glob("evaluate-*"))
    text = vp("evaluate", processed, "--truth", truth, "--class", "7=dog")
    assert (text.status, "dog: 1 object, 1 box annotated" in text.out) == (0, True)
    assert "rule person is not measured: the annotation has no class person" in text.out
    assert "45 boxes of class 1 left out; --class 1=NAME takes them in" in text.err

    truth.write_text(f"1,1,{BOX}\n2,1,x\n46,1,{BOX}\n")
    assert "line 2: 3 values" in vp("evaluate", processed, "--truth", truth).err
    truth.write_text(f"1,1,{BOX}\n46,1,{BOX}\n2,1,900,50,40,60,1,1,1\n")
    wrong = vp("evaluate", processed, "--truth", truth).err
    assert "line 2: frame: frame 46 of a video that has 45; line 3: box: the box lies outside the picture of 320x240 pixels" in wrong
    assert "the annotation of another video" in wrong
    truth.write_text("1,1,60,50,40,60,1,4,1\n")
    assert (
        "has boxes of class 4, and asked for was none (person), 1 (person); say what they are, such as `--class 4=person`"
        in vp("evaluate", processed, "--truth", truth).err
    )
    for given, words in (
        (("--class", "unicorn"), "no class 'unicorn'"),
        (("--with", "detection.samples=3"), "did you mean 'detection.samples_per_s'?"),
        (("--with", "tracking.lost_s=-1"), "tracking.lost_s: Input should be greater than 0"),
        (("--with", "detection.model=best"), "no detector is called 'best'; known: dfine-nano, "),
    ):
        refused = vp("evaluate", processed, "--truth", truth, *given)
        assert (refused.status, words in refused.err) == (1, True), refused.err


def test_what_cannot_be_measured_is_said(vp, filled, tmp_path):
    _, received, _ = filled
    truth = tmp_path / "gt.txt"
    truth.write_text(f"1,1,{BOX}\n")
    assert "there is no video '0123456789abcdef'" in vp("evaluate", "0123456789abcdef", "--truth", truth).err
    assert f"video {received.video_id} has no {layout.DETECTIONS} yet; process it first" in vp("evaluate", received.video_id, "--truth", truth).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name a video and its annotation"),
        (("0123456789abcdef",), "name a video and its annotation"),
        (("0123456789abcdef", "--marks"), "--marks speaks of all videos"),
        (("0123456789abcdef", "--truth", "gt.txt", "--by", "week"), "go with --marks"),
        (("--marks", "--by", "year"), "--by is all, month, week, day; got 'year'"),
        (("0123456789abcdef", "--truth", "gt.txt", "--with", "tracking.lost_s"), "--with takes NAME=VALUE"),
        (("0123456789abcdef", "--truth", "gt.txt", "--class", "person", "--class", "1=car"), "says twice what class 1 is"),
        *((("0123456789abcdef", "--truth", "gt.txt", "--class", text), f"got {text!r}") for text in ("3=", "3= ", "=car", "x=car", "3=a=b", " ")),
    ],
)
def test_wrong_usage_says_what_is_right(vp, arguments, words):
    ran = vp("evaluate", *arguments)
    assert (ran.status, words in ran.err) == (2, True), ran.err


def test_marks_give_the_precision_of_each_rule(vp, filled):
    _, _, alert_id = filled
    assert vp("evaluate", "--marks", "--json").json["rules"][0]["precision"] is None
    assert "nobody has marked an alert yet" in vp("evaluate", "--marks").err
    with open_platform(settings.load()) as platform:
        alert = ledger.mark(platform.db, alert_id, Mark.FALSE, "kim", datetime.now(UTC))
    said = vp("evaluate", "--marks", "--by", "month", "--json").json
    assert said["by"] == "month"
    (row,) = [each for each in said["rules"] if each["rule"] == alert.rule]
    assert row == {
        "rule": alert.rule,
        "version": "1",
        "start": f"{alert.start_time.astimezone():%Y-%m-01}",
        "acknowledged": 0,
        "false": 1,
        "unmarked": row["unmarked"],
        "precision": 0.0,
    }
    assert alert.rule in vp("evaluate", "--marks", "--rule", alert.rule).out
    assert "No alerts." in vp("evaluate", "--marks", "--rule", "nothing").out
    assert json.loads(vp("evaluate", "--marks", "--since", "2030-01-01", "--json").out)["rules"] == []
