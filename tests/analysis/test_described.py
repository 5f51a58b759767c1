from datetime import UTC, datetime

import pytest

from video_platform import rules
from video_platform.analysis.described import Heard, evaluate, open_spans
from video_platform.analysis.seen import Answer
from video_platform.records import SpeechSegment, Transcript

NIGHT = 'schedule: {days: mon-sun, from: "22:00", to: "06:00", timezone: UTC}'
AT_NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
BEFORE_TEN = datetime(2026, 11, 30, 21, 59, 50, tzinfo=UTC)
BLIND = "no vision model is named"


def camera_rules(*lines):
    text = "version: 1\ndefaults: {cooldown: 0s}\nrules:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    return rules.parse(text).for_camera("yard").on_description


def talk(*utterances):
    segments = [SpeechSegment(id=str(n), text=text, start_s=at_s, end_s=at_s + 2.0) for n, (at_s, text) in enumerate(utterances)]
    return Heard(Transcript(state="spoken", language="en", segments=segments))


def yes_at(*seconds, of=range(20)):
    return [Answer(float(at_s), "d" * 64, at_s in seconds) for at_s in of]


def judged(*lines, heard=None, unseen=None, answers=(), recorded_at=AT_NOON):
    given = camera_rules(*lines)
    by_rule = {rule.name: answers for rule in given.rules if rule.kind == "sees"}
    return evaluate(given, duration_s=60.0, recorded_at=recorded_at, heard=heard or Heard(None, "no transcript"), unseen=unseen, answers=by_rule, model="seer")


DRONE, CALL = 'name: drone, when: {sees: "a drone"}', "name: call, when: {says: [fire, help]}"


def test_what_is_seen_and_said_become_episodes_with_their_reasons():
    found = judged(DRONE, CALL, heard=talk((3.0, "Help, there is a fire")), answers=yes_at(8, 9))
    assert [(each.rule, each.kind, each.start_s, each.end_s) for each in found.episodes] == [("call", "says", 3.0, 5.0), ("drone", "sees", 8.0, 9.0)]
    call, drone = found.episodes
    assert call.why == {
        "rule": "call",
        "at_s": 3.0,
        "said": ["fire", "help"],
        "segment": {"id": "0", "text": "Help, there is a fire", "start_s": 3.0, "end_s": 5.0},
    }
    assert drone.why == {"rule": "drone", "at_s": 8.0, "frames": 2, "asked": 20, "question": "a drone", "model": "seer"}
    assert (found.near_misses, found.cannot_evaluate) == ([], [])


def test_the_words_there_is_no_drone_raise_nothing():
    """Neither said, nor in a caption, which no rule reads: for `sees` only the answers count, and they are no."""
    found = judged(DRONE, heard=talk((1.0, "there is a drone"), (2.0, "a drone, a drone")), answers=yes_at())
    assert found.episodes == []
    assert found.near_misses[0].text == "'a drone' was seen in none of 20 frames"


def test_cooldown_and_merging_are_those_of_all_rules():
    seen = {"answers": yes_at(1, 2, 8, 9, 15, 16)}
    assert [each.start_s for each in judged(f"{DRONE}, cooldown: 10s", **seen).episodes] == [1.0, 15.0]
    assert judged(f"{DRONE}, cooldown: 10s", **seen).episodes[0].why["more_within_cooldown"] == 1
    (whole,) = judged(f"{DRONE}, merge: 6s", **seen).episodes
    assert (whole.start_s, whole.end_s, whole.why["merged"]) == (1.0, 16.0, 3)


def test_a_schedule_lets_in_what_begins_in_it():
    talked = talk((3.0, "fire"), (20.0, "fire"))
    assert [each.start_s for each in judged(f"{CALL}, {NIGHT}", heard=talked, recorded_at=BEFORE_TEN).episodes] == [20.0]
    assert judged(f"{CALL}, {NIGHT}", heard=talked, recorded_at=AT_NOON).episodes == []
    (rule,) = camera_rules(f"{DRONE}, {NIGHT}").rules
    assert open_spans(rule, BEFORE_TEN, 60.0) == ((10.0, 60.0),)
    assert open_spans(camera_rules(DRONE).rules[0], BEFORE_TEN, 60.0) is None


@pytest.mark.parametrize(
    ("line", "more", "reason"),
    [
        (DRONE, {"unseen": BLIND}, BLIND),
        (CALL, {}, "no transcript"),
        (CALL, {"heard": Heard(Transcript(state="not_transcribed", reason="no model of speech is installed"))}, "no model of speech is installed"),
        (CALL, {"heard": Heard(Transcript(state="unknown_language", reason="German is spoken", language="de"))}, "German is spoken"),
        (CALL, {"heard": Heard(Transcript(state="unknown_language"))}, "the language that is spoken is not known to the model of speech"),
        (f"{CALL}, {NIGHT}", {"heard": talk((1.0, "fire")), "recorded_at": None}, "--recorded-at"),
        (f"{DRONE}, {NIGHT}", {"recorded_at": None}, "--recorded-at"),
    ],
)
def test_what_cannot_be_evaluated_is_never_nothing_found(line, more, reason):
    found = judged(line, **more)
    assert (found.episodes, found.near_misses) == ([], [])
    ((_, said),) = found.cannot_evaluate
    assert reason in said


@pytest.mark.parametrize(
    ("transcript", "text"),
    [
        (Transcript(state="no_audio"), "the video has no sound"),
        (Transcript(state="no_speech"), "nobody speaks in the video"),
        (talk((1.0, "all is well")).transcript, "'fire' or 'help' is not said in 1 utterances"),
    ],
)
def test_where_nothing_is_said_nothing_is_found(transcript, text):
    found = judged(CALL, heard=Heard(transcript))
    assert (found.episodes, found.cannot_evaluate) == ([], [])
    assert found.near_misses[0].text == text


def test_track_rules_are_left_to_tracks():
    assert [rule.name for rule in camera_rules(DRONE, "name: person, when: {appears: person}").rules] == ["drone"]
