"""The summary that needs no model: sentences written from the facts, each with the moments that show it.

Everything here is counted or measured from tracks and scenes; what is not in them (what people do, wear or want) is not said.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from video_platform.analysis.summary_facts import ABOUT, DIRECTIONS, MAX_EVIDENCE, STAYS, Facts, TrackFact, scene_evidence
from video_platform.analysis.summary_words import counted, duration, listed, moment, number, plural, sentence
from video_platform.records import Engine, Evidence, Scene, Sentence, Summary

VERSION = 2
"""Raise it when the same facts give other sentences; part of the fingerprint."""

PERSON = "person"
TITLE_CLASSES = 3
"""Classes that fit a title on a card."""
MAX_SENTENCES = 8
MIN_GAP_S = 5.0
"""A shorter pause is not worth a sentence."""
MIN_STAY_S = 3.0
"""Who is seen for less does not stay."""

LOOK_PEOPLE = 8
"""As many people at once are a gathering, worth a look."""
ACT_PEOPLE = 25
"""As many people at once fill a frame: crowding is the one danger that counting alone can show."""
LOOK_STAY_S = 60.0
"""Passing through takes seconds; who stays a minute waits for something."""


def concern(facts: Facts) -> Literal[0, 1, 2]:
    """0 nothing, 1 look at it, 2 act; from numbers alone, so that no text anywhere can raise or lower it."""
    return _concern(facts)[0]


def concern_why(facts: Facts) -> str:
    """From which numbers the concern comes, in one sentence."""
    return _concern(facts)[1]


def _concern(facts: Facts) -> tuple[Literal[0, 1, 2], str]:
    peak = facts.peaks.get(PERSON)
    most = peak.count if peak else 0
    longest = max(facts.of(PERSON), key=lambda track: track.duration_s, default=None)
    if peak and most >= LOOK_PEOPLE:
        crowd = f"{counted(most, PERSON)} at once at {moment(peak.start_s)}"
        if most >= ACT_PEOPLE:
            return 2, sentence(f"{crowd}; from {ACT_PEOPLE} on somebody should act")
        return 1, sentence(f"{crowd}; from {LOOK_PEOPLE} on it is worth a look")
    if longest and longest.duration_s >= LOOK_STAY_S:
        stay = f"one person is seen for {duration(longest.duration_s)} from {moment(longest.start_s)}"
        return 1, sentence(f"{stay}; from {LOOK_STAY_S:.0f} seconds on it is worth a look")
    if not longest:
        return 0, "Nobody was followed."
    at_once = f"at most {counted(most, PERSON)} at once (a look is worth {LOOK_PEOPLE})"
    return 0, sentence(f"{at_once}, nobody for longer than {duration(longest.duration_s)} (a look is worth {LOOK_STAY_S:.0f} seconds)")


def compose(facts: Facts, reason: str | None = None) -> Summary:
    """The summary of these facts, `reason` saying why no model wrote it."""
    written = _nothing(facts) if not facts.tracks else _sentences(facts)
    return Summary(
        title=title(facts),
        overview=overview(facts),
        concern=concern(facts),
        concern_why=concern_why(facts),
        engine=Engine(name="template", reason=reason),
        sentences=written[:MAX_SENTENCES],
    )


def title(facts: Facts) -> str:
    """One line for a card: what is seen and for how long."""
    if not facts.tracks:
        return "Nothing detected"
    kinds = [counted(count, name) for name, count in list(facts.counts.items())[:TITLE_CLASSES]]
    more = len(facts.counts) - TITLE_CLASSES
    return sentence(listed([*kinds, f"{number(more)} more kinds"] if more > 1 else [*kinds, *_names(facts)[TITLE_CLASSES:]]))[:-1]


def overview(facts: Facts) -> str:
    """Two or three sentences that stand alone."""
    if not facts.tracks:
        return " ".join(each.text for each in _nothing(facts))
    assert facts.peak is not None
    parts = [_seen(facts)]
    if len(facts.tracks) > 1:
        parts.append(sentence(f"the busiest moment is at {moment(facts.peak.start_s)}, with {number(facts.peak.count)} at once"))
    return " ".join(parts)


def _names(facts: Facts) -> list[str]:
    return [counted(count, name) for name, count in facts.counts.items()]


def _seen(facts: Facts) -> str:
    verb = "is" if len(facts.tracks) == 1 else "are"
    return sentence(f"{listed(_names(facts))} {verb} seen in {duration(facts.duration_s)} of footage")


def _nothing(facts: Facts) -> list[Sentence]:
    """What can honestly be said of footage without a track."""
    whole = [scene_evidence(scene) for scene in _all_scenes(facts)]
    if not facts.samples:
        return [_supported("No frame of this footage was looked at.", whole)]
    frames = f"{facts.samples} looked-at frame{'' if facts.samples == 1 else 's'}"
    found = [_supported(f"Nobody was detected in {frames}, {duration(facts.duration_s)} of footage.", whole)]
    if facts.best_guess:
        guess = facts.best_guess
        text = f"The closest was one {guess.class_name} at {moment(guess.at_s)}, with a score of {guess.score:.2f}."
        found.append(_supported(text, [scene_evidence(facts.scene_at(guess.at_s))]))
    return found


def _sentences(facts: Facts) -> list[Sentence]:
    written = [_supported(_seen(facts), _evidence(facts.tracks))]
    for name in list(facts.counts)[:TITLE_CLASSES]:
        written += _movements(name, facts.of(name))
    if PERSON in facts.names and PERSON not in facts.counts:
        written.append(_supported("Nobody is seen.", [scene_evidence(scene) for scene in _all_scenes(facts)]))
    written += _busiest(facts) + _longest(facts) + _first_and_last(facts) + _quiet(facts) + _cuts(facts)
    return written


def _movements(name: str, tracks: Sequence[TrackFact]) -> list[Sentence]:
    """How the tracks of one class move: one sentence for those that go somewhere, one for those that stay."""
    going = {way: [track for track in tracks if track.movement == way] for way in DIRECTIONS}
    parts, moving = [], []
    for way, group in sorted(going.items(), key=lambda entry: -len(entry[1])):
        if group:
            who = counted(len(group), name) if not parts else number(len(group))
            verb = ("crosses" if len(group) == 1 else "cross") if all(track.crosses for track in group) else ("moves" if len(group) == 1 else "move")
            parts.append(f"{who} {verb}{' the picture' if 'cross' in verb else ''} {_way(way)}")
            moving += group
    found = [_supported(sentence(listed(parts)), _evidence(moving))] if parts else []
    still = [track for track in tracks if track.movement == STAYS and track.duration_s >= MIN_STAY_S]
    if still:
        one = len(still) == 1
        text = f"{counted(len(still), name)} {'stays' if one else 'stay'} where {'it is' if one and name != PERSON else 'they are'}"
        found.append(_supported(sentence(text), _evidence(still)))
    about = [track for track in tracks if track.movement == ABOUT]
    if about and not found:
        found.append(_supported(sentence(f"{counted(len(about), name)} {'moves' if len(about) == 1 else 'move'} about"), _evidence(about)))
    return found


def _way(way: str) -> str:
    return f"from {way}" if way in DIRECTIONS[:2] else way


def _busiest(facts: Facts) -> list[Sentence]:
    peak = facts.peak
    if peak is None or peak.count < 2:
        return []
    there = [track for track in facts.tracks if track.start_s <= peak.start_s <= track.end_s]
    (only,) = facts.counts if len(facts.counts) == 1 else (None,)
    what = f"{number(peak.count)} {plural(only)}" if only else number(peak.count)
    return [_supported(f"The most at once is {what}, at {moment(peak.start_s)}.", [_at(track, peak.start_s) for track in there[:MAX_EVIDENCE]])]


def _longest(facts: Facts) -> list[Sentence]:
    longest = max(facts.tracks, key=lambda track: (track.duration_s, -track.id))
    span = f"{duration(longest.duration_s)}, from {moment(longest.start_s)} to {moment(longest.end_s)}"
    if len(facts.tracks) == 1:
        return [_supported(f"The {longest.class_name} is seen for {span}.", [longest.evidence])]
    return [_supported(f"One {longest.class_name} is seen the longest: {span}.", [longest.evidence])]


def _first_and_last(facts: Facts) -> list[Sentence]:
    if len(facts.tracks) < 2:
        return []
    first, last = facts.tracks[0], max(facts.tracks, key=lambda track: (track.end_s, track.id))
    text = f"The first to appear is one {first.class_name} at {moment(first.start_s)}; the last is one {last.class_name}, seen until {moment(last.end_s)}."
    return [_supported(text, [first.evidence] if first == last else [first.evidence, last.evidence])]


def _quiet(facts: Facts) -> list[Sentence]:
    if facts.gap is None or facts.gap[1] - facts.gap[0] < MIN_GAP_S:
        return []
    start_s, end_s = facts.gap
    scene = facts.scene_at(start_s)
    text = f"Nothing is seen for {duration(end_s - start_s)}, from {moment(start_s)} to {moment(end_s)}."
    return [_supported(text, [Evidence(kind="scene", id=str(scene.index), start_s=start_s, end_s=end_s)])]


def _cuts(facts: Facts) -> list[Sentence]:
    if len(facts.scenes) < 2:
        return []
    return [_supported(f"The footage has {counted(len(facts.scenes), 'scene')}.", [scene_evidence(scene) for scene in facts.scenes[:MAX_EVIDENCE]])]


def _all_scenes(facts: Facts) -> Sequence[Scene]:
    """The scenes, as many as fit; the whole video where no cut was looked for."""
    return (facts.scenes or (Scene(0, 0.0, facts.duration_s),))[:MAX_EVIDENCE]


def _at(track: TrackFact, at_s: float) -> Evidence:
    """A track's evidence from a moment on, so that the page seeks to the moment."""
    return Evidence(kind="track", id=str(track.id), start_s=at_s, end_s=max(at_s, track.end_s))


def _evidence(tracks: Iterable[TrackFact]) -> list[Evidence]:
    return [track.evidence for track in tracks][:MAX_EVIDENCE]


def _supported(text: str, evidence: list[Evidence]) -> Sentence:
    return Sentence(text=text, state="supported", evidence=evidence)
