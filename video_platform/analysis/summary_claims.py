"""Whether a sentence says only what the facts say.

A sentence is `supported` when every one of its words is understood and every claim in it (classes, counts, times, lengths, directions, order) agrees with
the facts and is shown by the tracks and scenes that it refers to; `contradicted` when one claim disagrees or a reference does not exist; `not_checkable` when
it holds words beyond this vocabulary ("steals", "red coat"), or refers to nothing. Words of a caption and quotes of speech are held against their source, see
`summary_sources`. So a model may phrase, but not invent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from video_platform.analysis import summary_sources
from video_platform.analysis.summary_facts import MAX_EVIDENCE, STAYS, Facts, TrackFact
from video_platform.analysis.summary_reading import Group, Reading, Time, read
from video_platform.analysis.summary_vocabulary import CROSSES, MOVES, TOKEN, seconds, value
from video_platform.analysis.summary_words import HOUR_S
from video_platform.records import Evidence, Sentence

State = Literal["supported", "contradicted", "not_checkable"]

TIME_SLACK_S = 1.0
"""Times in words are whole seconds."""
NEAR_S = 5.0
"""How far "about 1:40" may be off."""
NEAR_SHARE = 0.1
"""The same for "about 40 seconds"."""
LENGTH_SLACK = 0.02
"""Lengths above a minute are rounded too."""
SCORE_SLACK = 0.006
"""Scores are written with two decimals."""
MINUTE_SLACK_S = 60.0
"""Lengths above an hour are written in minutes."""

GUESS_WORDS = frozenset({"the", "a", "an", "closest", "was", "one", "at", "with", "score", "of", ",", ":"})
"""Words of the template's sentence about the best detection of footage without tracks."""

_CLAUSE_END = re.compile(r"(?<=[.!?;])\s+")


@dataclass(frozen=True)
class _Shown:
    """What a sentence rests on: the evidence that it names, and the tracks that this shows; `all` when there are more than evidence can name."""

    facts: Facts
    tracks: Sequence[TrackFact]
    evidence: Sequence[Evidence]
    all: bool = False


def judge(text: str, references: Sequence[str], facts: Facts) -> Sentence:
    """`text` with its state and the evidence that its `references` ("track:3", "scene:0", "caption:4", "transcript:0") name."""
    found = [facts.evidence(reference) for reference in dict.fromkeys(references)]
    evidence = [each for each in found if each is not None]
    cut = evidence[:MAX_EVIDENCE]
    if None in found:
        return Sentence(text=text, state="contradicted", evidence=cut)
    shown = _Shown(facts, _tracks(facts, evidence), evidence, all=len(evidence) >= MAX_EVIDENCE)
    state = _quoted(text, shown) or _state(text, shown)
    return Sentence(text=text, state=state if evidence or state == "contradicted" else "not_checkable", evidence=cut)


def confirmed(text: str, facts: Facts) -> bool:
    """Whether a title or overview says nothing but what the facts of the whole video say."""
    return _state(text, _Shown(facts, facts.tracks, [track.evidence for track in facts.tracks], all=True)) == "supported"


def beyond(text: str, facts: Facts) -> list[str]:
    """The words of a text that have no place in the grammar of the check, in their order: why it is not held against the tracks."""
    return [word for clause in _CLAUSE_END.split(text) for word in read(clause, facts.names).unknown]


def _tracks(facts: Facts, evidence: Sequence[Evidence]) -> list[TrackFact]:
    """The tracks that are referred to; where only spans are (scenes, captions, speech), those that are seen in them; where nothing is, all."""
    if not evidence:
        return list(facts.tracks)
    ids = {each.id for each in evidence if each.kind == "track"}
    if ids:
        return [track for track in facts.tracks if str(track.id) in ids]
    return [track for track in facts.tracks if any(track.start_s <= each.end_s and track.end_s >= each.start_s for each in evidence)]


def _quoted(text: str, shown: _Shown) -> State | None:
    """The state of a sentence that quotes speech; None for one that quotes nothing."""
    quote = summary_sources.quote_of(text)
    if quote is None:
        return None
    segments = [shown.facts.segment(each.id) for each in shown.evidence if each.kind == "transcript"]
    return summary_sources.quote_state(quote, [each for each in segments if each is not None], shown.facts.speech, TIME_SLACK_S)


def _state(text: str, shown: _Shown) -> State:
    """The worst state of the clauses of a text; "at once" in one says nothing of the next."""
    states = [_clause_state(clause, shown) for clause in _CLAUSE_END.split(text) if clause.strip()]
    if "contradicted" in states:
        return "contradicted"
    return "supported" if states and "not_checkable" not in states else "not_checkable"


def _clause_state(text: str, shown: _Shown) -> State:
    facts = shown.facts
    if facts.best_guess and not facts.tracks and (state := _guess_state(text, facts)):
        return state
    reading = read(text, facts.names)
    if reading.unknown:
        if _conflicts(reading, shown):
            return "contradicted"
        captions = [caption for each in shown.evidence if each.kind == "caption" and (caption := facts.caption(each.id))]
        return summary_sources.caption_state(text, captions, facts, TIME_SLACK_S)
    if not (reading.groups or reading.footage_s or reading.scene_count or reading.frame_count is not None or reading.named):
        return "not_checkable"
    return "supported" if all(_verdicts(reading, shown)) else "contradicted"


def _conflicts(reading: Reading, shown: _Shown) -> bool:
    """Whether a clause that is not wholly understood names what is not there: a class, more of it than there are, a time beyond what it refers to."""
    facts = shown.facts
    for group in reading.groups:
        there = len(facts.tracks) if group.class_name is None else facts.counts.get(group.class_name, 0)
        wanted = 1 if group.count is None else group.count
        if (group.class_name or group.count) and wanted > there:
            return True
        if group.count != 0 and any(not _inside(time, each) for time in group.times for each in [shown.evidence] if each):
            return True
    return False


def _inside(time: Time, evidence: Sequence[Evidence]) -> bool:
    slack = NEAR_S if time.near else TIME_SLACK_S
    return any(each.start_s - slack <= time.at_s <= each.end_s + slack for each in evidence)


def _verdicts(reading: Reading, shown: _Shown) -> Iterator[bool]:
    """One verdict per claim of a clause."""
    facts = shown.facts
    yield from (_same_length(length, facts.duration_s) for length in reading.footage_s)
    yield from (any(each.kind == kind and each.id == number for each in shown.evidence) for kind, number in reading.named)
    if reading.scene_count is not None:
        yield reading.scene_count == max(1, len(facts.scenes))
    if reading.frame_count is not None:
        yield reading.frame_count == facts.samples
    if reading.scene_number is not None:
        yield reading.scene_number <= len(facts.scenes)
        if reading.scene_number > len(facts.scenes):
            return
    if reading.once or reading.peak:
        yield _at_once(reading, shown)
        return
    found = [_matching(group, reading, shown.tracks, facts) for group in reading.groups]
    for at, group in enumerate(reading.groups):
        yield _count_holds(group, found[at], reading, shown)
        if group.another and at:
            yield len({track.id for track in (*found[at - 1], *found[at])}) > (reading.groups[at - 1].count or 1)
    for kind, left, right in reading.relations:
        yield _related(kind, found[left], found[right])


def _count_holds(group: Group, matching: Sequence[TrackFact], reading: Reading, shown: _Shown) -> bool:
    """Whether as many are shown as a group says: of all of the video where nothing narrows it down, else of it or of what is referred to."""
    everywhere = _matching(group, reading, shown.facts.tracks, shown.facts)
    if group.count == 0:
        return not everywhere and all(_same_length(length, _quiet_s(group, shown.facts), near=near) for length, near in group.lengths)
    if shown.all and len(matching) < len(everywhere):
        matching = everywhere
    if group.count is None or group.count == 1:
        return len(matching) >= (2 if group.many and group.count is None else 1)
    if group.bare and reading.scene_number is None:
        return group.count == len(everywhere) and bool(matching)
    return group.count in (len(matching), len(everywhere)) and bool(matching)


def _matching(group: Group, reading: Reading, among: Sequence[TrackFact], facts: Facts) -> list[TrackFact]:
    """The tracks among these of which all is true that is said of a group."""
    scene = facts.scenes[reading.scene_number - 1] if reading.scene_number is not None else None
    kind = facts.tracks if group.class_name is None else facts.of(group.class_name)
    found = [track for track in among if group.class_name in (None, track.class_name)]
    if group.count == 0:
        start_s, end_s = _quiet_span(group.times, facts)
        found = [track for track in found if track.start_s < end_s - TIME_SLACK_S and track.end_s > start_s + TIME_SLACK_S] if group.times else found
    else:
        found = [track for track in found if _timely(group, track) and all(_lasts(length, near, group, track) for length, near in group.lengths)]
    if scene is not None:
        found = [track for track in found if track.start_s < scene.end_s and track.end_s > scene.start_s]
    if group.nth is not None:
        nth = kind[group.nth - 1 if group.nth > 0 else -1] if len(kind) >= abs(group.nth) else None
        found = [track for track in found if track is nth]
    found = [track for track in found if all(_moves(track, way) for way in group.moves)]
    return [track for track in found if all(_is_first(word, track, facts) for word in group.firsts)]


def _moves(track: TrackFact, way: str) -> bool:
    if way == CROSSES:
        return track.crosses
    return track.movement != STAYS if way == MOVES else track.movement == way


def _is_first(word: str, track: TrackFact, facts: Facts) -> bool:
    """Whether no other track of the video is more first, last or longer seen."""
    of = {
        "first": lambda each: -each.start_s,
        "last_start": lambda each: each.start_s,
        "last": lambda each: each.end_s,
        "longest": lambda each: each.duration_s,
    }[word]
    return of(track) >= max(of(each) for each in facts.tracks) - TIME_SLACK_S


def _timely(group: Group, track: TrackFact) -> bool:
    """Whether the times of a group are those of a track: where it begins or ends if that is said, else in its span."""
    only = group.times[0] if len(group.times) == 1 else None
    if only and only.kind == "at" and group.starts != group.ends:
        return abs(only.at_s - (track.start_s if group.starts else track.end_s)) <= (NEAR_S if only.near else TIME_SLACK_S)
    for time in group.times:
        slack = NEAR_S if time.near else TIME_SLACK_S
        if time.kind == "after" and track.start_s < time.at_s - slack:
            return False
        if time.kind == "before" and track.end_s > time.at_s + slack:
            return False
        if time.kind == "to" and only and abs(track.end_s - time.at_s) > slack:
            return False
        if time.kind in ("at", "from", "to") and not track.start_s - slack <= time.at_s <= track.end_s + slack:
            return False
    return True


def _lasts(length: float, near: bool, group: Group, track: TrackFact) -> bool:
    """Whether a length is how long a track is seen, or the one between two times that are given with it."""
    between = [time.at_s for time in group.times if time.kind in ("from", "to")]
    lengths = [between[1] - between[0]] if len(between) == 2 else [track.duration_s]
    return all(_same_length(length, each, near=near) for each in lengths)


def _quiet_span(times: Sequence[Time], facts: Facts) -> tuple[float, float]:
    """The span that somebody says is empty of something; a bare moment is widened by the slack, so that only what lies around it counts."""
    start_s, end_s = 0.0, facts.duration_s
    for time in times:
        if time.kind in ("from", "after"):
            start_s = time.at_s
        elif time.kind in ("to", "before"):
            end_s = time.at_s
        else:
            start_s, end_s = time.at_s - TIME_SLACK_S, time.at_s + TIME_SLACK_S
    return start_s, end_s


def _quiet_s(group: Group, facts: Facts) -> float:
    """How long it is that nothing is seen: between the times that are given, else the longest pause."""
    if group.times:
        start_s, end_s = _quiet_span(group.times, facts)
        return end_s - start_s
    return facts.gap[1] - facts.gap[0] if facts.gap and group.class_name is None else 0.0


def _same_length(said: float, is_s: float, *, near: bool = False) -> bool:
    slack = max(TIME_SLACK_S, LENGTH_SLACK * said) if said < HOUR_S else MINUTE_SLACK_S
    return abs(said - is_s) <= max(slack, NEAR_SHARE * said if near else 0.0)


def _related(kind: str, left: Sequence[TrackFact], right: Sequence[TrackFact]) -> bool:
    if kind == "meets":
        return any(one.start_s <= other.end_s and other.start_s <= one.end_s for one in left for other in right)
    if kind == "after":
        left, right = right, left
    return all(one.start_s < other.start_s for one in left for other in right) and bool(left and right)


def _at_once(reading: Reading, shown: _Shown) -> bool:
    """Whether as many are seen together: at the fullest moment, or at a moment within the time that is given."""
    facts = shown.facts
    groups = [group for group in reading.groups if not (group.many and group.count is None and len(reading.groups) > 1)]
    kind = next((group.class_name for group in reading.groups if group.class_name), None)
    times = list(dict.fromkeys(time for group in reading.groups for time in group.times))
    if any(group.moves or group.lengths or group.firsts or group.another or group.nth is not None for group in groups) or len(times) > 1:
        return False
    peak = facts.peak if kind is None else facts.peaks.get(kind)
    if reading.peak:
        said = [group.count for group in groups if group.count is not None]
        inside = peak is not None and all(peak.start_s - TIME_SLACK_S <= time.at_s <= peak.end_s + TIME_SLACK_S for time in times)
        return inside and len(groups) == 1 and said in ([], [peak.count if peak else 0])
    moments = sorted({moment for track in facts.tracks for moment in (track.start_s, track.end_s)})
    moments += [(one + other) / 2 for one, other in pairwise(moments)]
    if times:
        slack = NEAR_S if times[0].near else TIME_SLACK_S
        moments = [each for each in moments if abs(each - times[0].at_s) <= slack] + [times[0].at_s]
        return any(_all_there(groups, facts, moment, shown) for moment in moments)
    return any(_all_there(groups, facts, moment, shown) for moment in moments) and (len(groups) > 1 or peak is None or groups[0].count in (None, peak.count))


def _all_there(groups: Sequence[Group], facts: Facts, at_s: float, shown: _Shown) -> bool:
    """Whether every group has as many tracks at a moment as it says, one of them referred to."""
    for group in groups:
        there = [track for track in facts.tracks if group.class_name in (None, track.class_name) and track.start_s <= at_s <= track.end_s]
        if len(there) != (1 if group.count is None and not group.many else group.count) or not any(track in shown.tracks for track in there):
            return False
    return bool(groups)


def _guess_state(text: str, facts: Facts) -> State | None:
    """The sentence about what came closest where nothing was tracked; None for any other sentence."""
    guess = facts.best_guess
    assert guess is not None
    words = text.lower().replace(guess.class_name, " ")
    tokens = TOKEN.findall(words)
    numbers = [token for token in tokens if token != ":" and (":" in token or (token != "one" and value(token) is not None))]
    if "closest" not in tokens or words == text.lower() or not set(tokens) - set(numbers) <= GUESS_WORDS:
        return None
    ways = [abs(seconds(token) - guess.at_s) <= TIME_SLACK_S if ":" in token else abs(float(token) - guess.score) <= SCORE_SLACK for token in numbers]
    return "supported" if all(ways) else "contradicted"
