"""Rules over tracks: a pure function from the tracks of a video to episodes, near misses and rules that cannot be answered.

The tested point of a box is the middle of its bottom edge. A state (in a zone, on a side of a line, together with others) counts once held for 0.4 s
(`states`). A rule sees only tracks whose median score reaches its `min_score`, and that pass its filters (`observed`). What each kind finds (`finders`):

- `appears`: spans in which an object of the class is there (in the zone); spans that overlap or follow within 2 s are one episode.
- `enters`, `leaves`, `crosses`: each event is an episode, from the first sample of the new state to the one at which it counted.
- `dwells`: each long enough stay of a track is an episode.
- `count`: each span in which enough objects are there at once is an episode; `absent`: each in which none is.
- `near`: each span over which two objects are close; `speed`: each over which one is fast.
- `silent`: each span without footage of the camera, at the moment where footage goes on (`silence`).
- `sees`, `says`: nothing here; `described` judges them.

`merge` makes episodes that lie close together one. `cooldown` acts per rule: after an episode, others of the rule that start within it are not reported but
counted in its `why`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from video_platform.analysis import continuing, near_misses, silence
from video_platform.analysis.finders import FINDERS
from video_platform.analysis.hits import Hit, after_cooldown, merged
from video_platform.analysis.observed import Observed
from video_platform.analysis.schedules import Interval, OpenTimes, open_intervals
from video_platform.analysis.tables import Samples, Tracks
from video_platform.records import EarlierFootage, Episode, NearMiss, OpenState
from video_platform.rules import CameraRules, Rule

MAX_WHY_TRACKS = 20
"""Tracks that the facts of one episode describe; all of them stand in `track_ids`."""

NOT_OVER_TRACKS = "no track answers a `{kind}` rule, and only tracks are judged here"
UNKNOWN_TIME = "the rule has a schedule, and the recording time of this video is unknown; set it with `vp set VIDEO --recorded-at TIME`"

NOTHING = continuing.Judged([], [])


@dataclass(frozen=True)
class Evaluation:
    """Episodes in time order, what came closest for each rule without one, and (rule, reason) of those that cannot be evaluated.

    `open` are the states that still held at the last sample.
    """

    episodes: list[Episode]
    near_misses: list[NearMiss]
    cannot_evaluate: list[tuple[str, str]]
    open: list[OpenState] = field(default_factory=list)


def evaluate(
    tracks: Tracks,
    samples: Samples,
    names: Sequence[str],
    rules: CameraRules,
    *,
    recorded_at: datetime | None = None,
    earlier: EarlierFootage | None = None,
    explain: bool = True,
    aspect: float = 1.0,
) -> Evaluation:
    """What the rules of one camera find in the tracks of one video; `batch_evaluation` does the same for many.

    `recorded_at` is the wall-clock time of second 0; rules with a schedule need it. `earlier` is the camera's footage before this (what `continuing.counted`
    leaves of it): `silent` rules need it, and what it was cut off in goes on here.
    `explain=False` leaves near misses out, as over a whole archive. `aspect` (width / height) makes distances true: of `near`, `speed` and `moving`, and in
    near misses.
    """
    found = Found(Observed(tracks, samples, names, rules, aspect), [recorded_at])
    evaluation = found.judge(0, earlier)
    return replace(evaluation, near_misses=found.near_misses(earlier)) if explain else evaluation


class Found:
    """What the rules of a camera find in the tracks of some videos, before anything is known of what came earlier."""

    def __init__(self, seen: Observed, recorded_at: Sequence[datetime | None], passed_over: Collection[str] = ()) -> None:
        """`recorded_at` is the wall-clock time of second 0 of each video of `seen`; of rules `passed_over` only is told whether they can be evaluated."""
        self.seen, self._recorded_at, self._passed_over = seen, recorded_at, frozenset(passed_over)
        self._rules = [rule for rule in seen.rules.rules if not rule.described and rule.name not in self._passed_over]
        self._hits: dict[str, dict[int, list[Hit]]] = {rule.name: self._of(rule) for rule in self._rules if rule.kind != "silent"}

    def judge(self, video: int, earlier: EarlierFootage | None) -> Evaluation:
        """The evaluation of one of the videos, without near misses; `earlier` as for `evaluate`."""
        recorded_at = self._recorded_at[video]
        episodes: list[Episode] = []
        unanswered: list[tuple[str, str]] = []
        still_open: list[OpenState] = []
        for rule in self.seen.rules.rules:
            reason = _why_not(rule, self.seen.names, recorded_at, earlier)
            if reason:
                unanswered.append((rule.name, reason))
                continue
            if rule.name in self._passed_over:
                continue
            judged = self._judged(rule, video, earlier)
            view = self.seen.bridged(rule.max_gap_s)
            episodes += [_episode(view, rule, hit) for hit in after_cooldown(judged.hits, rule.cooldown_s)]
            still_open += judged.open
        episodes.sort(key=lambda episode: (episode.start_s, episode.rule, episode.track_ids))
        return Evaluation(episodes, [], unanswered, still_open)

    def near_misses(self, earlier: EarlierFootage | None) -> list[NearMiss]:
        """What came closest for each rule without an episode; of a `Found` of one video."""
        recorded_at, missed = self._recorded_at[0], []
        for rule in self.seen.rules.rules:
            if not _why_not(rule, self.seen.names, recorded_at, earlier) and not self._judged(rule, 0, earlier).hits:
                view = self.seen.bridged(rule.max_gap_s)
                if rule.kind == "silent" and recorded_at is not None:
                    missed.append(silence.near_miss(rule, view.samples.of(0), recorded_at, earlier))
                else:
                    missed.append(near_misses.explain(view, rule, self._open_times(rule)))
        return missed

    def _judged(self, rule: Rule, video: int, earlier: EarlierFootage | None) -> continuing.Judged:
        """What one rule found in one video, in time order, and what of it is open at the end."""
        recorded_at = self._recorded_at[video]
        if rule.kind == "silent":
            return continuing.Judged(silence.silences(rule, self.seen.samples.of(video), recorded_at, earlier) if recorded_at else [], [])
        hits = self._hits[rule.name].get(video)
        if not hits:
            return NOTHING
        judged = continuing.judge(self.seen.bridged(rule.max_gap_s), rule, hits, recorded_at, earlier)
        return judged if rule.merge_s is None else replace(judged, hits=merged(judged.hits, rule.merge_s))

    def _of(self, rule: Rule) -> dict[int, list[Hit]]:
        """The hits of a rule by video, in time order."""
        seen = self.seen.bridged(rule.max_gap_s)
        if not len(seen.samples) or (not len(seen) and rule.kind != "absent"):
            return {}
        found: dict[int, list[Hit]] = {}
        for hit in sorted(FINDERS[rule.kind](seen, rule, self._open_times(rule)), key=lambda hit: (hit.start_s, hit.tracks)):
            found.setdefault(hit.video, []).append(hit)
        return found

    def _open_times(self, rule: Rule) -> OpenTimes | None:
        if rule.schedule is None:
            return None
        samples = self.seen.samples
        spans: list[list[Interval]] = []
        for video, recorded_at in enumerate(self._recorded_at):
            duration_s = float(samples.last_s[video]) if samples.lengths[video] else 0.0
            spans.append([] if recorded_at is None else open_intervals(rule.schedule, recorded_at, duration_s))
        return OpenTimes(samples, spans)


def _why_not(rule: Rule, names: Sequence[str], recorded_at: datetime | None, earlier: EarlierFootage | None) -> str | None:
    if rule.described:
        return NOT_OVER_TRACKS.format(kind=rule.kind)
    if rule.kind == "silent":
        return silence.why_unknown(recorded_at, earlier)
    lacking = [name for name in rule.classes if name not in names]
    if lacking and (rule.kind == "near" or len(lacking) == len(rule.classes)):
        return f"the detector that made these tracks has no class {', '.join(lacking)}"
    if rule.schedule and recorded_at is None:
        return UNKNOWN_TIME
    return None


def _episode(seen: Observed, rule: Rule, hit: Hit) -> Episode:
    names = [seen.names[int(seen.class_id[track])] for track in hit.tracks]
    who = [
        {"id": seen.ids_of(track)[0], "class": name, "score": round(float(seen.score[track]), 3)}
        for track, name in zip(hit.tracks[:MAX_WHY_TRACKS], names, strict=False)
    ]
    wanted = rule.score_of(names[0]) if names else rule.min_score
    why: dict[str, object] = {"rule": rule.name, "at_s": round(hit.start_s, 3), "tracks": who, "min_score": wanted, **hit.facts}
    score = round(float(max(seen.score[list(hit.tracks)])), 3) if hit.tracks else None
    ids = tuple(sorted({id_ for track in hit.tracks for id_ in seen.ids_of(track)}))
    return Episode(rule.name, rule.kind, hit.start_s, hit.end_s, ids, None if hit.row is None else seen.place(hit.row), score, why)
