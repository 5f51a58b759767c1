import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform import rules
from video_platform.errors import RulesError
from video_platform.fingerprints import content_hash
from video_platform.model_registry import COCO_CLASSES
from video_platform.records import Severity
from video_platform.rules_schema import polygon_problem

FULL = """\
version: 1
zones:
  plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.90, 0.75], [0.10, 0.75]]}
  gate:  {polygon: [[0, 0], [0.2, 0], [0.2, 1], [0, 1]], cameras: ["gate-*"]}
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.9]}
channels:
  ops: {url_env: OPS_URL}
defaults: {min_score: 0.5, severity: warning, cooldown: 30s}
rules:
  - {name: person-enters, when: {enters: plaza, class: person}}
  - {name: person-leaves, when: {leaves: plaza, class: [car, person]}, notify_again_after: 10m}
  - {name: crossing, when: {crosses: path, class: person, direction: left_to_right}, cooldown: 0s}
  - {name: loitering, when: {dwells: plaza, class: person, for: 10s}, severity: critical, channels: [ops]}
  - {name: crowd, when: {count: person, in: plaza, at_least: 4, for: 2s}}
  - {name: dog, when: {appears: dog, in: plaza}, cameras: ["gate-*"]}
  - {name: desk-empty, when: {absent: person, in: gate, for: 60s}, schedule: {days: mon-fri, from: "08:00", to: 18:00, timezone: Europe/Berlin}}
  - {name: too-close, when: {near: [person, truck], within: 0.05, for: 1s}}
  - {name: speeding, when: {speed: car, above: 0.3, for: 0.5}}
  - {name: drone, when: {sees: "a drone"}}
  - {name: fire-call, when: {says: [fire, help]}}
  - {name: dark, when: {silent: gate-1, for: 20m}}
"""


def parsed(text: str = FULL) -> rules.RuleSet:
    return rules.parse(text, classes=COCO_CLASSES)


def problems(text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        rules.parse(text, classes=COCO_CLASSES)
    return [str(problem) for problem in caught.value.facts["problems"]]


OPTIONS_THAT_COUNT = ("merge: 5s", "max_gap: 2s", "min_frames: 3", "min_size: 0.01", "max_size: 0.5", "moving: true", "moving: false")
MASK = "{tree: {polygon: [[0, 0], [0.3, 0], [0.3, 0.3]]}}"


def with_rule(rule: str) -> str:
    return FULL.split("rules:")[0] + f"rules:\n  - {{{rule}}}\n"


def test_every_kind_of_rule_parses():
    rule_set = parsed()
    assert {rule.kind for rule in rule_set.rules} == set(rules.KINDS)
    assert rule_set.channels == {"ops": "OPS_URL"}
    assert rule_set.lines == {"path": ((0.5, 0.2), (0.5, 0.9))}


def test_defaults_fill_in_what_a_rule_leaves_out():
    rule_set = parsed()
    enters, crossing, loitering = (rule_set.rule(name) for name in ("person-enters", "crossing", "loitering"))
    assert enters
    assert crossing
    assert loitering
    assert (enters.cooldown_s, enters.severity, enters.min_score, enters.channels) == (30.0, Severity.WARNING, 0.5, ())
    assert crossing.cooldown_s == 0.0
    assert (loitering.severity, loitering.channels, loitering.when.for_s) == (Severity.CRITICAL, ("ops",), 10.0)
    assert rule_set.rule("nobody") is None


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("2m", 120), ("1h", 3600), ("0.5", 0.5), ("45", 45), ("1.5m", 90)])
def test_durations(text, seconds):
    rule = parsed(with_rule(f"name: a, when: {{appears: person}}, cooldown: {text}")).rules[0]
    assert rule.cooldown_s == seconds


def test_a_schedule_knows_days_times_and_zone():
    rule = parsed().rule("desk-empty")
    assert rule
    assert rule.schedule == rules.Schedule((0, 1, 2, 3, 4), 480, 1080, "Europe/Berlin")


def test_days_may_run_over_sunday():
    line = "name: a, when: {appears: person}, schedule: {days: [sat-mon, wed], timezone: UTC}"
    schedule = parsed(with_rule(line)).rules[0].schedule
    assert schedule
    assert schedule.days == (0, 2, 5, 6)


def test_the_rule_set_of_a_fresh_home_is_one_zone_free_rule():
    (rule,) = parsed(rules.DEFAULT_TEXT).rules
    assert (rule.kind, rule.when.classes, rule.when.zone) == ("appears", ("person",), None)


def test_words_that_yaml_takes_for_something_else_stay_words():
    assert parsed(with_rule("name: no, when: {appears: person}")).rules[0].name == "no"


WRONG_RULES = [
    ("name: a, when: {enter: plaza, class: person}", "line 11, column 21: rules[0].when: no kind of rule where one is needed; did you mean 'enters'?"),
    (
        "name: a, when: {enters: plaza, class: persn}",
        "line 11, column 44: rules[0].when.class: the detector has no class 'persn'; did you mean 'person'? It knows: person, ",
    ),
    ("name: a, when: {enters: palza, class: person}", "line 11, column 30: rules[0].when.enters: no zone is called 'palza'; did you mean 'plaza'?"),
    ("name: a, when: {crosses: plaza, class: person}", "rules[0].when.crosses: no line is called 'plaza'; known: path"),
    ("name: a, when: {dwells: plaza, class: person}", "line 11, column 21: rules[0].when: 'for' is missing"),
    (
        "name: a, when: {dwells: plaza, class: person, for: 10 days}",
        "a duration such as 30s, 2m or 1h (or seconds) of at most 31 days is needed",
    ),
    ("name: a, when: {appears: person, for: 3s}", "rules[0].when.for: unknown key 'for'"),
    ("name: a, when: {appears: person, crosses: path}", "2 kinds of rule (appears, crosses) where one is needed"),
    ("name: a, when: {count: person, at_least: 0}", "a whole number from 1 to 10000 is needed here, not '0'"),
    ("name: a, when: {count: person, at_least: 2.5}", "a whole number is needed here, not '2.5'"),
    ("name: a, when: {appears: person}, severity: high", "'high' is none of: info, warning, critical"),
    ("name: a, when: {appears: person}, min_score: 50", "rules[0].min_score: a number from 0 to 1 is needed here, not '50'"),
    ("name: a, when: {appears: person}, coolown: 3s", "unknown key 'coolown'; did you mean 'cooldown'?"),
    ("name: a, when: {appears: person}, channels: [opps]", "no channel is called 'opps'; did you mean 'ops'?"),
    ("name: a, when: {appears: person}, schedule: {days: mon-fry, timezone: UTC}", "'mon-fry' is no day"),
    ("name: a, when: {appears: person}, schedule: {from: '25:00', timezone: UTC}", 'a time of day such as "08:00" is needed here'),
    ("name: a, when: {appears: person}, schedule: {timezone: Europe/Belin}", "no time zone is called 'Europe/Belin'"),
    ("name: a, when: {appears: person}, schedule: {timezone: ../../etc/passwd}", "no time zone is called '../../etc/passwd'"),
    ("name: a, when: {crosses: path, class: person, direction: left}", "'left' is none of: left_to_right, right_to_left, any"),
    ("name: a, when: {near: [person], within: 0.1}", "two classes are needed here"),
    ("name: , when: {appears: person}", "rules[0].name: a name of at most"),
    ("name: '<script>', when: {appears: person}", "'<script>' is not a name"),
    ("when: {appears: person}", "rules[0]: 'name' is missing"),
    ("name: a, when: {appears: person}, moving: maybe", "rules[0].moving: 'maybe' is none of: true, false"),
    ("name: a, when: {appears: person}, min_frames: 0", "rules[0].min_frames: a whole number from 1 to 100000 is needed here, not '0'"),
    ("name: a, when: {appears: person}, min_size: 2", "a fraction of the picture's area from 0 to 1 is needed here, not '2'"),
    ("name: a, when: {appears: person}, min_size: 0.2, max_size: 0.1", "rules[0].min_size: min_size 0.2 is more than max_size 0.1"),
    ("name: a, when: {appears: person}, min_score: {persn: 0.4}", "column 52: rules[0].min_score.persn: the detector has no class 'persn'; did you mean"),
    ("name: a, when: {appears: person}, min_score: {person: 4}", "rules[0].min_score.person: a number from 0 to 1 is needed here, not '4'"),
    ("name: a, when: {silent: gate-1}", "rules[0].when: 'for' is missing"),
    ("name: a, when: {near: [[person, car], dog], within: 0.1}", "rules[0].when.near[0]: each side is one class here"),
    ("name: a, when: {appears: person}, schedule: {days: mon-, timezone: UTC}", "'mon-' is no day"),
]


@pytest.mark.parametrize(("rule", "expected"), WRONG_RULES)
def test_a_problem_says_line_column_field_and_what_to_do(rule, expected):
    found = problems(with_rule(rule))
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (r'name: a, when: {sees: "\ud800"}', r"rules[0].when.sees: '\ud800' has a character that no text may have"),
        (r'name: a, when: {appears: person}, cameras: ["gate\0"]', r"'gate\x00' has a character that no text may have"),
        (r'name: "\UFFFFFFFF", when: {appears: person}', "this is not YAML"),
    ],
)
def test_an_escape_that_is_no_character_of_a_text_is_a_problem(rule, expected):
    assert any(expected in problem for problem in problems(with_rule(rule)))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("version: 2", "line 1, column 10: version: this installation reads version 1 of the rule language"),
        ("zones: {a: {polygon: [[0,0],[1,1]]}}", "a polygon needs at least 3 points; this has 2"),
        ("zones: {a: {polygon: [[0,0],[1,1],[1,0],[0,1]]}}", "edges 1 and 3 cross or touch"),
        ("zones: {a: {polygon: [[0,0],[1,1.2],[1,0]]}}", "zones.a.polygon[1][1]: a fraction of the frame from 0 to 1 is needed here, not '1.2'"),
        ("zones: {a: {polygon: [[0,0],[0.5,.nan],[1,0]]}}", "a fraction of the frame from 0 to 1 is needed here"),
        ("zones: {a: {polygon: [[0,0],[0.5,0.5],[1,1]]}}", "zones.a.polygon: all corners lie on one line, so nothing can be inside"),
        ("zones: {a: {polygon: [[0.1,0.7],[0.3,0.7],[0.7,0.7],[0.2,0.7]]}}", "zones.a.polygon: all corners lie on one line"),
        ("zones: {a: {polygon: [[0.1,0.3],[0.2,0.6],[0.3,0.9]]}}", "zones.a.polygon: all corners lie on one line"),  # but for the sums of floats
        ("ignore: {a: {polygon: [[0,0.1],[0.00001,0.1],[0.00001,0.10001]]}}", "ignore.a.polygon: all corners lie on one line"),
        ("lines: {a: {from: [0,0], to: [0,0]}}", "a line needs two different points"),
        ("lines: {a: {from: [0,0]}}", "lines.a: 'to' is missing"),
        ("channels: {ops: {url: 'mailto://someone'}}", "channels.ops: an address is a secret and stays out of this file"),
        ("channels: {ops: 'mailto://someone'}", "channels.ops: an address is a secret"),
        ("defaults: {cooldwn: 3s}", "line 2, column 12: defaults.cooldwn: unknown key 'cooldwn'; did you mean 'cooldown'?"),
        ("ignore: {a: {polygon: [[0,0],[1,1]]}}", "ignore.a.polygon: a polygon needs at least 3 points; this has 2"),
        ("ignore: {a: {polygon: [[0,0],[1,1],[1,0]], class: persn}}", "ignore.a.class: the detector has no class 'persn'"),
        ("defaults: {min_score: {cat: x}}", "defaults.min_score.cat: a number from 0 to 1 is needed here, not 'x'"),
        ("zonse: {}", "zonse: unknown key 'zonse'; did you mean 'zones'?"),
        ("rules: []", "this key is there twice; keep one"),
    ],
)
def test_problems_outside_rules(head, expected):
    version = "" if head.startswith("version") else "version: 1\n"
    found = problems(f"{version}{head}\nrules: [{{name: a, when: {{appears: person}}}}]\n")
    assert any(expected in problem for problem in found), found


def test_a_channel_address_is_never_repeated_in_the_message():
    assert not any("secret-token" in problem for problem in problems("version: 1\nchannels: {ops: 'slack://secret-token'}\nrules: []\n"))


def test_all_problems_come_at_once_in_order_of_line():
    text = with_rule("name: a, when: {enters: x, class: persn}, severity: high, foo: 1").replace("0.90, 0.75", "0.90, 7.5")
    found = problems(text)
    assert len(found) == 5
    assert [int(problem.split(",")[0].removeprefix("line ")) for problem in found] == sorted(int(p.split(",")[0].removeprefix("line ")) for p in found)


def test_a_broken_zone_does_not_make_its_rules_wrong_too():
    assert len(problems(FULL.replace("0.90, 0.75", "0.90, 7.5"))) == 1


def test_names_are_unique():
    text = with_rule("name: a, when: {appears: person}") + "  - {name: a, when: {appears: dog}}\n"
    assert problems(text) == ["line 12, column 12: rules[1].name: a rule named 'a' stands on line 11 already; names are unique"]


def test_names_that_differ_in_spaces_around_them_are_the_same_name():
    assert problems(with_rule("name: a, when: {appears: person}") + '  - {name: "a ", when: {appears: dog}}\n') == [
        "line 12, column 12: rules[1].name: a rule named 'a' stands on line 11 already; names are unique"
    ]
    assert "zones.plaza : 'plaza ' is not a name" in problems('version: 1\nzones: {"plaza ": {polygon: [[0, 0], [1, 0], [1, 1]]}}\nrules: []\n')[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty"),
        ("a: [", "this is not YAML"),
        ("\x00", "this is not YAML"),
        ("\ud800", "this is not YAML"),
        ("a: &x [1]\nb: [*x, *x]", "anchors (&) and aliases (*) are not read"),
        ("a: !!python/object/apply:os.system ['true']", "tags (!) are not read"),
        ("[" * 100_000, "nested more than 8 levels deep"),
        ("{" * 100_000, "nested more than 8 levels deep"),
        ("- " * 50_000, "nested more than 8 levels deep"),
        ("x" * 300_000, "the limit is 262144"),
        ("version: 1\nrules: []\n---\nversion: 1", "a second document"),
        ("version: 1\nrules: [" + "a," * 120_000 + "]", "line 2, column 79999: more than 40000 keys and values"),
        ("? [a, b]\n: c", "a key is plain text"),
        ("- 1\n- 2", "this is a mapping (key: value), not a list of 2"),
        ("just words", "this is a mapping (key: value), not 'just words'"),
    ],
)
def test_hostile_yaml_is_refused_before_it_costs_anything(text, expected):
    began = time.process_time()
    assert any(expected in problem for problem in problems(text))
    assert time.process_time() - began < 3


def refused_with_problems(text: str) -> bool:
    try:
        rules.parse(text)
    except RulesError as error:
        return bool(error.facts["problems"])
    return False


@given(st.text(max_size=400))
def test_any_text_is_refused_as_rules(text):
    assert refused_with_problems(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda kids: st.lists(kids, max_size=3), max_leaves=8))
def test_any_value_in_any_place_is_refused_as_rules(value):
    for key in ("rules", "zones", "lines", "channels", "defaults"):
        assert refused_with_problems(f"version: 1\n{key}: {json.dumps(value)}\n") or (key, value) == ("rules", [])


class TestWhatAppliesToACamera:
    def test_globs_and_zones_choose_rules(self):
        yard = {rule.name for rule in parsed().for_camera("yard").rules}
        gate = {rule.name for rule in parsed().for_camera("gate-2").rules}
        assert gate - yard == {"dog", "desk-empty"}
        assert set(parsed().for_camera("yard").zones) == {"plaza"}

    def test_what_does_not_decide_alerts_does_not_count(self):
        before = content_hash(parsed().for_camera("yard").configuration("yard", None))
        lines = FULL.splitlines()
        reordered = "\n".join([*lines[:10], *reversed(lines[10:])]) + "\n# a comment\n"
        for same in (
            reordered,
            FULL.replace("severity: critical", "severity: info"),
            FULL.replace(", channels: [ops]", ""),
            FULL.replace("notify_again_after: 10m", "notify_again_after: 1h"),
            FULL.replace("[0.2, 1]", "[0.25, 1]"),  # a zone of other cameras
            FULL + "  - {name: more, when: {appears: cat}, cameras: [shop]}\n",
            FULL.replace("zones:\n", "zones:\n  unused: {polygon: [[0, 0], [1, 0], [1, 1]]}\n"),
            FULL.replace("cooldown: 30s", "cooldown: 0.5m"),
        ):
            assert content_hash(parsed(same).for_camera("yard").configuration("yard", None)) == before, same

    def test_what_decides_alerts_counts(self):
        before = content_hash(parsed().for_camera("yard").configuration("yard", None))
        for other in (
            FULL.replace("for: 10s", "for: 11s"),
            FULL.replace("cooldown: 30s", "cooldown: 31s"),
            FULL.replace("min_score: 0.5", "min_score: 0.55"),
            FULL.replace("[0.90, 0.75]", "[0.90, 0.76]"),
            FULL.replace("to: [0.5, 0.9]", "to: [0.5, 0.91]"),
            FULL.replace("left_to_right", "any"),
            FULL.replace("name: crowd", "name: throng"),
            FULL.replace("timezone: Europe/Berlin", "timezone: UTC").replace(', cameras: ["gate-*"]', ""),
            *(FULL.replace("cooldown: 30s}", f"cooldown: 30s, {option}}}") for option in OPTIONS_THAT_COUNT),
            FULL.replace("rules:\n", f"ignore: {MASK}\nrules:\n"),
            FULL.replace("within: 0.05", "within: 0.06"),
            FULL.replace("above: 0.3", "above: 0.31"),
        ):
            assert content_hash(parsed(other).for_camera("yard").configuration("yard", None)) != before, other

    def test_an_ignored_area_counts_for_its_cameras_and_as_it_is_drawn(self):
        def of(mask, camera="yard"):
            return content_hash(parsed(FULL.replace("rules:\n", f"ignore: {mask}\nrules:\n")).for_camera(camera).configuration(camera, None))

        plain = content_hash(parsed().for_camera("yard").configuration("yard", None))
        assert of(MASK.replace("]]}", "]], cameras: [shop]}")) == plain
        assert len({plain, of(MASK), of(MASK.replace("0.3", "0.4")), of(MASK.replace("]]}", "]], class: dog}"))}) == 4

    def test_scores_count_for_the_classes_that_the_rule_looks_for(self):
        def of(scores, when="{appears: person}"):
            rule = parsed(with_rule(f"name: a, when: {when}, min_score: {scores}")).rules[0]
            return content_hash(rule.evaluation)

        assert of("0.6") == of("{person: 0.6}") == of("{person: 0.6, dog: 0.9}") == of("{other: 0.6}")
        both = "{appears: [person, dog]}"
        assert of("{person: 0.6}", both) != of("{dog: 0.6}", both)
        assert of("{person: 0.6, dog: 0.6}", both) == of("0.6", both)

    def test_options_that_a_rule_does_not_use_leave_its_fingerprint_as_it_was_before_they_existed(self):
        assert set(parsed().rules[0].evaluation) == {"when", "min_score", "cooldown_s", "schedule"}

    def test_a_silent_rule_is_of_the_camera_that_it_names(self):
        assert {camera: parsed().rule("dark") in parsed().for_camera(camera).rules for camera in ("gate-1", "gate-2")} == {"gate-1": True, "gate-2": False}

    def test_of_the_whole_set_counts_what_decides_alerts_of_any_camera(self):
        def whole(text):
            return content_hash(parsed(text).evaluation)

        for same in (
            FULL + "# a comment\n",
            FULL.replace("severity: critical", "severity: info"),
            FULL.replace(", channels: [ops]", ""),
            FULL.replace("notify_again_after: 10m", "notify_again_after: 1h"),
            FULL.replace("zones:\n", "zones:\n  unused: {polygon: [[0, 0], [1, 0], [1, 1]]}\n"),
        ):
            assert whole(same) == whole(FULL), same
        for other in (
            FULL.replace("cooldown: 30s", "cooldown: 31s"),
            FULL.replace("[0.2, 1]", "[0.25, 1]"),
            FULL.replace("to: [0.5, 0.9]", "to: [0.5, 0.91]"),
            FULL.replace('cameras: ["gate-*"]', 'cameras: ["gate-?"]', 1),
            FULL + "  - {name: more, when: {appears: cat}, cameras: [shop]}\n",
        ):
            assert whole(other) != whole(FULL), other

    def test_camera_and_recording_time_count(self):
        yard = parsed().for_camera("yard")
        when = datetime(2026, 7, 1, 12, tzinfo=UTC)
        hashes = {content_hash(yard.configuration(camera, at)) for camera in ("yard", "yard-2") for at in (None, when)}
        assert len(hashes) == 4


def test_the_hash_is_of_what_the_file_says_not_of_how():
    respaced = FULL.replace("  - {name: dog", "\n  # dogs\n  - {name:   dog")
    assert parsed(respaced).hash == parsed().hash
    assert parsed(FULL.replace("critical", "info")).hash != parsed().hash


def test_changes_name_what_differs():
    newer = parsed(FULL.replace("for: 10s", "for: 12s").replace("name: drone", "name: kite").replace("to: [0.5, 0.9]", "to: [0.5, 0.8]"))
    assert parsed().changes(newer) == {"line path": "changed", "rule drone": "removed", "rule kite": "added", "rule loitering": "changed"}
    assert parsed().changes(parsed("# moved\n" + FULL)) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=7))
def test_where_a_polygon_begins_does_not_decide_whether_it_is_one(corners):
    expected = polygon_problem(corners) is None
    assert all((polygon_problem(corners[turn:] + corners[:turn]) is None) == expected for turn in range(len(corners)))
    assert (polygon_problem(corners[::-1]) is None) == expected


def test_the_rules_of_the_sample_clip_parse_and_apply_to_the_demo_camera():
    text = (Path(__file__).parents[1] / "samples" / "rules.demo.yaml").read_text()
    rule_set = rules.parse(text, classes=COCO_CLASSES, source="rules.demo.yaml")
    assert rule_set.for_camera("demo").rules == rule_set.rules
    assert rule_set.for_camera("default").rules == ()
