"""What the end of a file cuts off goes on in the camera's next file."""

from datetime import UTC, datetime, timedelta

import pytest
from judged import IN, OUT, PLACES, found, rule_set
from walks import NAMES, film, steps

from video_platform.analysis import continuing
from video_platform.analysis.evaluate import Evaluation, evaluate
from video_platform.records import EarlierFootage
from video_platform.rules import CameraRules

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
FIRST = "0123456789abcdef"
DWELLS = "name: stays, when: {dwells: plaza, class: person, for: 10s}"


def in_files(line: str, *files: tuple, length_s: float = 8.0, between_s: float = 0.2, second: str | None = None, places: str = PLACES) -> list[Evaluation]:
    """The evaluations of one camera's files of `length_s`, each file a tuple of walks; `second` is the rule from the second file on, in these `places`."""
    earlier, done, begins = None, [], START
    for number, walks in enumerate(files):
        rules: CameraRules = rule_set(line) if number == 0 else rule_set(second or line, places=places)
        tracks, samples = film(*walks, duration_s=length_s)
        done.append(evaluate(tracks, samples, NAMES, rules, recorded_at=begins, earlier=continuing.counted(rules, begins, earlier)))
        ends = begins + timedelta(seconds=length_s)
        earlier, begins = EarlierFootage(f"{FIRST[:15]}{number}", begins, ends, tuple(done[-1].open)), ends + timedelta(seconds=between_s)
    return done


def told(evaluation: Evaluation) -> list[tuple]:
    return [(e.start_s, e.end_s, e.why.get("stayed_s"), e.why.get("continues", False), e.why.get("continued_from")) for e in evaluation.episodes]


STANDS, COMES, GOES = (steps((0, IN), end_s=8),), (steps((0, OUT), (2, IN), end_s=8),), (steps((0, IN), (3, OUT), end_s=8),)


def test_a_stay_that_neither_file_holds_whole_is_found_in_the_second():
    first, second = in_files(DWELLS, COMES, GOES)
    assert told(first) == []
    assert [(state.lasted_s, state.reported, state.class_name, state.place) for state in first.open] == [(6.0, False, "person", (0.5, 0.5))]
    (stay,) = told(second) or [None]
    assert stay is None  # 6.0 s, 0.2 s between the files, 2.8 s: 9.0 s
    first, second = in_files(DWELLS.replace("10s", "9s"), COMES, GOES)
    assert told(second) == [(0.0, 2.8, 9.0, False, {"video_id": f"{FIRST[:15]}0", "lasted_s": 6.2, "reported": False})]


def test_a_stay_that_was_reported_goes_on_as_the_same_thing():
    first, second, third = in_files(DWELLS.replace("10s", "5s"), COMES, STANDS, GOES)
    assert told(first) == [(2.0, 8.0, 6.0, True, None)]
    assert told(second) == [(0.0, 8.0, 14.2, True, {"video_id": f"{FIRST[:15]}0", "lasted_s": 6.2, "reported": True})]
    assert told(third) == [(0.0, 2.8, 17.2, False, {"video_id": f"{FIRST[:15]}1", "lasted_s": 14.4, "reported": True})]
    assert third.open == []


@pytest.mark.parametrize(("between_s", "joined"), [(2.0, True), (2.1, False), (-2.0, True), (-2.1, False)])
def test_files_that_lie_more_than_two_seconds_apart_are_not_joined(between_s, joined):
    _, second = in_files(DWELLS.replace("10s", "5s"), COMES, GOES, between_s=between_s)
    assert bool(told(second)) is joined


def test_only_who_stands_where_the_other_stood_goes_on():
    far = (steps((0, (0.42, 0.42)), (3, OUT), end_s=8),)
    assert told(in_files(DWELLS.replace("10s", "5s"), COMES, far)[1]) == []
    other = (steps((0, IN), (3, OUT), end_s=8, name="dog"),)
    both = DWELLS.replace("class: person", "class: [person, dog]").replace("10s", "5s")
    assert told(in_files(both, COMES, other)[1]) == []


def test_each_goes_on_with_one():
    two = (steps((0, (0.48, 0.5)), end_s=8), steps((4, (0.54, 0.5)), end_s=8))
    _, second = in_files(DWELLS.replace("10s", "5s"), two, (steps((0, (0.53, 0.5)), (3, OUT), end_s=8), steps((0, (0.49, 0.5)), (1, OUT), end_s=8)))
    assert [(stay[2], stay[4]["lasted_s"]) for stay in told(second)] == [(7.0, 4.2), (9.0, 8.2)]


def test_who_comes_later_or_left_before_the_end_goes_on_with_nothing():
    five = DWELLS.replace("10s", "5s")
    left = (steps((0, IN), (7.4, OUT), end_s=8),)
    assert in_files(five, left, GOES)[0].open == []
    assert told(in_files(five, left, GOES)[1]) == []
    late = (steps((0, OUT), (1, IN), (4, OUT), end_s=8),)
    assert told(in_files(five, COMES, late)[1]) == []


def test_a_moment_out_of_sight_at_the_cut_changes_nothing():
    gone = (steps((0, OUT), (2, IN), end_s=7.8),)
    late = (steps((0.2, IN), (3, OUT), end_s=8),)
    assert [stay[2] for stay in told(in_files(DWELLS.replace("10s", "5s"), gone, late)[1])] == [9.0]


def test_a_rule_that_says_something_else_now_goes_on_with_nothing():
    five, six = DWELLS.replace("10s", "5s"), DWELLS.replace("10s", "6s")
    assert told(in_files(five, COMES, GOES, second=six)[1]) == []
    assert told(in_files(five, COMES, GOES, second=f"{five}, severity: critical")[1]) != []


MOVED = PLACES.replace("[0.4, 0.4]", "[0.3, 0.4]")
IGNORED = PLACES.replace("defaults:", "ignore: {pole: {polygon: [[0, 0], [0.05, 0], [0.05, 0.05]]}}\ndefaults:")
OTHER = PLACES.replace("zones:", "zones:\n  other: {polygon: [[0, 0], [1, 0], [1, 1]]}")


@pytest.mark.parametrize(("places", "goes_on"), [(PLACES, True), (MOVED, False), (IGNORED, False), (OTHER, True)])
def test_a_zone_that_was_moved_or_what_is_ignored_now_lets_nothing_go_on(places, goes_on):
    five = DWELLS.replace("10s", "5s")
    assert bool(told(in_files(five, COMES, GOES, second=five, places=places)[1])) is goes_on


def test_absence_and_crowds_go_on_too():
    empty = "name: empty, when: {absent: person, in: plaza, for: 10s}"
    gone, back = (steps((0, IN), (4, OUT), end_s=8),), (steps((0, OUT), (6.2, IN), end_s=8),)
    first, second = in_files(empty, gone, back)
    assert (first.episodes, [state.lasted_s for state in first.open]) == ([], [4.0])
    (episode,) = second.episodes
    assert (episode.start_s, episode.end_s, episode.why["absent_s"]) == (0.0, 6.0, 10.2)
    crowd = "name: crowd, when: {count: person, in: plaza, at_least: 2, for: 12s}"
    pair = (steps((0, IN), end_s=8), steps((2, IN), end_s=8))
    (episode,) = in_files(crowd, pair, (*STANDS, *STANDS))[1].episodes
    assert (episode.why["held_s"], episode.why["continued_from"]["lasted_s"]) == (14.2, 6.2)


def test_who_is_there_all_along_is_one_appearance_with_a_note():
    line = "name: a, when: {appears: person}"
    first, second = in_files(line, STANDS, GOES)
    assert [episode.why.get("continues") for episode in first.episodes] == [True]
    (episode,) = second.episodes
    assert episode.why["continued_from"] == {"video_id": f"{FIRST[:15]}0", "lasted_s": 8.2, "reported": True}


def test_what_does_not_count_is_no_input():
    rules = rule_set(DWELLS)
    tracks, samples = film(*COMES, duration_s=8)
    still_open = tuple(evaluate(tracks, samples, NAMES, rules, recorded_at=START).open)
    ended = START + timedelta(seconds=8)
    earlier = EarlierFootage(FIRST, START, ended, still_open)
    assert continuing.counted(rules, ended, earlier) == earlier
    assert continuing.counted(rules, ended + timedelta(seconds=3), earlier) is None
    assert continuing.counted(rules, None, earlier) is None
    assert continuing.counted(rule_set("name: in, when: {enters: plaza, class: person}"), ended, earlier) is None
    silent = continuing.counted(rule_set("name: dark, when: {silent: yard, for: 20m}"), ended + timedelta(hours=1), earlier)
    assert silent == EarlierFootage(FIRST, START, ended)


def test_without_earlier_footage_a_stay_counts_for_itself():
    assert found(DWELLS, *GOES).episodes == []
