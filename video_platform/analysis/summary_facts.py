"""What a summary may say: the facts of one video, worked out from its tracks and scenes.

Alerts, marks, file names and camera names are not among them, so that none of them can change a sentence. Times are seconds from the first frame.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from video_platform.analysis.passages import plain
from video_platform.records import Caption, Captions, Evidence, Scene, SpeechSegment, TrackLine, TrackSheet, Transcript

MOVED = 0.15
"""Fraction of the frame that a foot point has to travel before a direction is named; jitter of boxes stays below a third of it."""
STILL = 0.04
"""What travels less stays where it is."""
CROSSED = 0.5
"""Half the frame is a crossing."""
END_SHARE = 5
"""A fifth of a track's samples, averaged, is its first and its last place: single boxes jump."""
MAX_NAME_CHARS = 40
"""The longest class name of the usual vocabularies has 14 characters; an open vocabulary's prompt may hold anything."""
MAX_EVIDENCE = 12
"""Moments a sentence points at: more do not fit the page, and the first ones are as good."""

STAYS = "stays"
ABOUT = "about"
LEFT_TO_RIGHT = "left to right"
RIGHT_TO_LEFT = "right to left"
TOWARDS = "towards the camera"
AWAY = "away from the camera"
DIRECTIONS = (LEFT_TO_RIGHT, RIGHT_TO_LEFT, TOWARDS, AWAY)

_Said = TypeVar("_Said", Caption, SpeechSegment)


@dataclass(frozen=True)
class TrackFact:
    """One track as words need it: `movement` is one of `DIRECTIONS`, `STAYS` or `ABOUT`; `crosses` says whether it passes half the frame."""

    id: int
    class_name: str
    start_s: float
    end_s: float
    movement: str
    crosses: bool

    @property
    def duration_s(self) -> float:
        """How long it is seen, its gaps included."""
        return self.end_s - self.start_s

    @property
    def evidence(self) -> Evidence:
        """The span of a video that shows it."""
        return Evidence(kind="track", id=str(self.id), start_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True)
class Peak:
    """The most tracks at once, and the first span in which they are."""

    count: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Guess:
    """The best detection of a video whose tracks are empty; `score` is 0-1."""

    class_name: str
    score: float
    at_s: float


@dataclass(frozen=True)
class Facts:
    """Everything a summary of one video may rest on.

    `tracks` are sorted by start; `names` are all classes that the detector knows; `samples` is the number of looked-at frames; `gap` is the longest span
    in which nothing is seen, None when something always is. `captions` and `speech` are what other models said of pictures and heard, in order of time; no
    fact, but words that a sentence may repeat.
    """

    duration_s: float
    samples: int
    tracks: tuple[TrackFact, ...]
    scenes: tuple[Scene, ...]
    names: tuple[str, ...] = ()
    best_guess: Guess | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[str, Peak] = field(default_factory=dict)
    peak: Peak | None = None
    gap: tuple[float, float] | None = None
    captions: tuple[Caption, ...] = ()
    speech: tuple[SpeechSegment, ...] = ()

    def of(self, class_name: str) -> tuple[TrackFact, ...]:
        """The tracks of one class."""
        return tuple(track for track in self.tracks if track.class_name == class_name)

    def scene_at(self, at_s: float) -> Scene:
        """The scene that shows this moment; the whole video where no cut was looked for."""
        whole = Scene(0, 0.0, self.duration_s)
        return next((scene for scene in self.scenes if scene.start_s <= at_s < scene.end_s), self.scenes[-1] if self.scenes else whole)

    def caption(self, name: str) -> Caption | None:
        """The caption with this id, None when there is none."""
        return next((each for each in self.captions if each.id == name), None)

    def segment(self, name: str) -> SpeechSegment | None:
        """The segment of speech with this id, None when there is none."""
        return next((each for each in self.speech if each.id == name), None)

    def evidence(self, reference: str) -> Evidence | None:
        """The evidence that `track:<id>`, `scene:<index>`, `caption:<id>` or `transcript:<id>` names, None when there is no such thing."""
        kind, _, text = reference.partition(":")
        if kind == "track":
            return next((track.evidence for track in self.tracks if str(track.id) == text), None)
        if kind == "scene":
            scenes = self.scenes or (Scene(0, 0.0, self.duration_s),)
            return next((scene_evidence(scene) for scene in scenes if str(scene.index) == text), None)
        if kind == "caption" and (caption := self.caption(text)):
            return Evidence(kind="caption", id=caption.id, start_s=caption.start_s, end_s=caption.end_s)
        if kind == "transcript" and (segment := self.segment(text)):
            return Evidence(kind="transcript", id=segment.id, start_s=segment.start_s, end_s=segment.end_s)
        return None


def gather(
    sheet: TrackSheet,
    scenes: Sequence[Scene],
    *,
    duration_s: float,
    names: Sequence[str] = (),
    best_guess: Guess | None = None,
    captions: Captions | None = None,
    transcript: Transcript | None = None,
) -> Facts:
    """The facts of one video; `names` are the detector's classes (those of the tracks when not given). Frames that were not described say nothing."""
    tracks = tuple(sorted((_fact(line) for line in sheet.tracks), key=lambda track: (track.start_s, track.id)))
    counts = Counter(track.class_name for track in tracks)
    return Facts(
        duration_s=duration_s,
        samples=sheet.samples,
        tracks=tracks,
        scenes=tuple(scenes),
        names=tuple(dict.fromkeys(clean(name) for name in [*names, *sorted(counts)])),
        best_guess=best_guess and Guess(clean(best_guess.class_name), best_guess.score, best_guess.at_s),
        counts=dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))),
        peaks={name: _peak(track for track in tracks if track.class_name == name) for name in counts},
        peak=_peak(tracks) if tracks else None,
        gap=_longest_gap(tracks, duration_s),
        captions=tuple(said for each in captions.captions if (said := _plain(each)).text) if captions else (),
        speech=tuple(said for each in transcript.segments if (said := _within(_plain(each), duration_s)).text) if transcript else (),
    )


def _within(segment: SpeechSegment, duration_s: float) -> SpeechSegment:
    """The same as far as there are pictures: sound may go on after the last one, and evidence has to lie in the video."""
    return segment.model_copy(update={"start_s": min(segment.start_s, duration_s), "end_s": min(segment.end_s, duration_s)})


def _plain(words: _Said) -> _Said:
    """The same with one line of text that a page may show."""
    return words.model_copy(update={"text": plain(words.text)})


def clean(name: str) -> str:
    """A class name as one short line of letters, digits, spaces and hyphens: names may come from a prompt, and text can be hostile."""
    kept = "".join(character if character.isalnum() or character == "-" else " " for character in name[: 4 * MAX_NAME_CHARS])
    return " ".join(kept.split()).lower()[:MAX_NAME_CHARS].strip() or "object"


def scene_evidence(scene: Scene) -> Evidence:
    """The span of a scene."""
    return Evidence(kind="scene", id=str(scene.index), start_s=scene.start_s, end_s=scene.end_s)


def _fact(line: TrackLine) -> TrackFact:
    feet = [((x1 + x2) / 2, y2) for x1, _, x2, y2 in line.boxes]
    if not feet:
        return TrackFact(line.id, clean(line.class_name), line.start_s, line.end_s, ABOUT, crosses=False)
    count = max(1, len(feet) // END_SHARE)
    (x_first, y_first), (x_last, y_last) = _mean(feet[:count]), _mean(feet[-count:])
    dx, dy = x_last - x_first, y_last - y_first
    return TrackFact(line.id, clean(line.class_name), line.start_s, line.end_s, _movement(dx, dy), crosses=abs(dx) >= CROSSED)


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _movement(dx: float, dy: float) -> str:
    """The direction of a displacement in fractions of the frame; downward is towards the camera for feet on the ground."""
    if max(abs(dx), abs(dy)) < STILL:
        return STAYS
    if abs(dx) >= max(MOVED, abs(dy)):
        return LEFT_TO_RIGHT if dx > 0 else RIGHT_TO_LEFT
    if abs(dy) >= MOVED:
        return TOWARDS if dy > 0 else AWAY
    return ABOUT


def _peak(tracks: Iterable[TrackFact]) -> Peak:
    """A sweep over starts and ends; a track counts at its first and its last moment."""
    changes = sorted(change for track in tracks for change in ((track.start_s, 0, 1), (track.end_s, 1, -1)))
    count, best, start_s, end_s = 0, 0, 0.0, 0.0
    open_best = False
    for at_s, _, step in changes:
        if step < 0 and open_best:
            end_s, open_best = at_s, False
        count += step
        if count > best:
            best, start_s, open_best = count, at_s, True
    return Peak(best, start_s, end_s)


def _longest_gap(tracks: Sequence[TrackFact], duration_s: float) -> tuple[float, float] | None:
    at_s, best = 0.0, (0.0, 0.0)
    for start_s, end_s in [*((track.start_s, track.end_s) for track in tracks), (duration_s, duration_s)]:
        if start_s - at_s > best[1] - best[0]:
            best = (at_s, start_s)
        at_s = max(at_s, end_s)
    return best if best[1] > best[0] else None
