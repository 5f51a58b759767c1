"""What a rules file says, as values, and what of it counts for one camera.

Positions are 0-1 of the upright frame with y downward, durations are seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property

from video_platform.fingerprints import content_hash
from video_platform.records import Point, Severity

KINDS = ("appears", "enters", "leaves", "crosses", "dwells", "count", "absent", "near", "speed", "sees", "says", "silent")
"""Every kind of rule that the language has."""

NOT_EVALUATED = {
    "sees": "a `sees` rule needs a vision model, and none is connected",
    "says": "a `says` rule needs a transcript, and none is made",
}
"""Kinds that parse but that nothing here can evaluate, with the reason shown for them."""

OPTION_DEFAULTS: dict[str, object] = {
    "class_scores": (),
    "merge_s": None,
    "max_gap_s": None,
    "min_frames": 1,
    "min_size": 0.0,
    "max_size": 1.0,
    "moving": None,
}
"""Fields of `Rule` that came after the first fingerprints, with what a rule that does not speak of them has: only another value counts in a fingerprint."""

ANY_CAMERA = ("*",)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Schedule:
    """When a rule holds: from `from_minute` to `to_minute` of the local day, on `days` (0 is Monday).

    A span that ends at or before its start runs past midnight and belongs to the day on which it began.
    """

    days: tuple[int, ...]
    from_minute: int
    to_minute: int
    timezone: str


@dataclass(frozen=True)
class Condition:
    """What a rule waits for; only the fields of its kind are set.

    `classes`: any of these. `for_s`: how long it must hold. `within` is a fraction of the frame width, `above` frame widths per second.
    """

    kind: str
    classes: tuple[str, ...] = ()
    zone: str | None = None
    line: str | None = None
    direction: str | None = None
    for_s: float | None = None
    at_least: int | None = None
    near: tuple[str, str] | None = None
    within: float | None = None
    above: float | None = None
    question: str | None = None
    words: tuple[str, ...] = ()
    camera: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule with the defaults filled in; `at_line` is its line in the file.

    `min_score` is for classes without an entry in `class_scores`. Sizes are fractions of the picture's area. `merge_s` and `max_gap_s` are None where the file
    says nothing: each kind then has its own merging, and objects are as the tracker gave them. `moving` None asks nothing.
    """

    name: str
    when: Condition
    min_score: float
    severity: Severity
    cooldown_s: float
    channels: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ANY_CAMERA
    schedule: Schedule | None = None
    notify_again_after_s: float = 0.0
    class_scores: tuple[tuple[str, float], ...] = ()
    merge_s: float | None = None
    max_gap_s: float | None = None
    min_frames: int = 1
    min_size: float = 0.0
    max_size: float = 1.0
    moving: bool | None = None
    at_line: int = field(default=0, compare=False)

    @property
    def kind(self) -> str:
        """The kind of its condition."""
        return self.when.kind

    @property
    def why_not(self) -> str | None:
        """Why nothing here can evaluate this rule; None when it can be."""
        return NOT_EVALUATED.get(self.kind)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it looks for: those of its condition, or of both sides of `near`."""
        return self.when.classes or tuple(dict.fromkeys(self.when.near or ()))

    def score_of(self, name: str) -> float:
        """The least median score of a track of this class."""
        return dict(self.class_scores).get(name, self.min_score)

    @cached_property
    def evaluation(self) -> dict[str, object]:
        """What of this rule decides which alerts it raises: not its severity, channels, cameras or place in the file."""
        options = {name: getattr(self, name) for name, default in OPTION_DEFAULTS.items() if getattr(self, name) != default}
        return {"when": self.when, "min_score": self.min_score, "cooldown_s": self.cooldown_s, "schedule": self.schedule, **options}


@dataclass(frozen=True)
class Zone:
    """A polygon, without its first point repeated, and the cameras that it is drawn for."""

    polygon: tuple[Point, ...]
    cameras: tuple[str, ...] = ANY_CAMERA


@dataclass(frozen=True)
class Line:
    """A segment; left and right are as seen when walking from `start` to `end`."""

    start: Point
    end: Point
    cameras: tuple[str, ...] = ANY_CAMERA


@dataclass(frozen=True)
class Mask:
    """A polygon in which no rule sees an object of these `classes` (of any class when empty), and the cameras that it is drawn for."""

    polygon: tuple[Point, ...]
    cameras: tuple[str, ...] = ANY_CAMERA
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CameraRules:
    """What of a rule set applies to one camera: `zones` name -> polygon, `lines` name -> its two ends, `masks` name -> what is ignored."""

    camera: str
    rules: tuple[Rule, ...]
    zones: Mapping[str, tuple[Point, ...]]
    lines: Mapping[str, tuple[Point, Point]]
    masks: Mapping[str, Mask] = field(default_factory=dict)

    def configuration(self, camera: str | None = None, recorded_at: datetime | None = None) -> dict[str, object]:
        """What decides the alerts of footage of this camera, for the fingerprint of `alerts`.

        Only zones and lines that a rule uses count. The recording time counts as given: it makes the wall-clock times of alerts.
        """
        used_zones = {rule.when.zone for rule in self.rules if rule.when.zone}
        used_lines = {rule.when.line for rule in self.rules if rule.when.line}
        return {
            "camera": self.camera if camera is None else camera,
            "recorded_at": recorded_at,
            "rules": {rule.name: rule.evaluation for rule in self.rules},
            "zones": {name: self.zones[name] for name in used_zones},
            "lines": {name: self.lines[name] for name in used_lines},
            **({"ignore": {name: (mask.polygon, mask.classes) for name, mask in self.masks.items()}} if self.masks and self.rules else {}),
        }

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Rule -> a hash of all that decides what it finds on this camera: what it says, the shape of its zone and line, and what is ignored."""
        ignored = content_hash({name: (mask.polygon, mask.classes) for name, mask in self.masks.items()})
        return {
            rule.name: content_hash((rule.evaluation, self.zones.get(rule.when.zone or ""), self.lines.get(rule.when.line or ""), ignored))
            for rule in self.rules
        }


@dataclass(frozen=True)
class RuleSet:
    """A whole rules file. `channels` maps a name to the environment variable that holds its address."""

    rules: tuple[Rule, ...]
    all_zones: Mapping[str, Zone]
    all_lines: Mapping[str, Line]
    channels: Mapping[str, str]
    all_masks: Mapping[str, Mask] = field(default_factory=dict)

    @property
    def zones(self) -> dict[str, tuple[Point, ...]]:
        """Name -> polygon, of all cameras."""
        return {name: zone.polygon for name, zone in self.all_zones.items()}

    @property
    def lines(self) -> dict[str, tuple[Point, Point]]:
        """Name -> (from, to), of all cameras."""
        return {name: (line.start, line.end) for name, line in self.all_lines.items()}

    def rule(self, name: str) -> Rule | None:
        """The rule of this name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def for_camera(self, camera: str) -> CameraRules:
        """What applies to `camera`: rules whose globs match it and whose zone and line are drawn for it."""
        zones = {name: zone.polygon for name, zone in self.all_zones.items() if _matches(camera, zone.cameras)}
        lines = {name: (line.start, line.end) for name, line in self.all_lines.items() if _matches(camera, line.cameras)}
        masks = {name: mask for name, mask in self.all_masks.items() if _matches(camera, mask.cameras)}
        return CameraRules(camera, tuple(rule for rule in self.rules if _applies(rule, camera, zones, lines)), zones, lines, masks)

    @cached_property
    def evaluation(self) -> dict[str, object]:
        """What of this set decides the alerts of any camera: no severity, no channel, no order, and no zone or line that no rule uses.

        Sets that are equal in it give every camera the same `CameraRules.configuration`.
        """
        used_zones = {rule.when.zone for rule in self.rules if rule.when.zone}
        used_lines = {rule.when.line for rule in self.rules if rule.when.line}
        return {
            "rules": {rule.name: {**rule.evaluation, "cameras": frozenset(rule.cameras)} for rule in self.rules},
            "zones": {name: (self.all_zones[name].polygon, frozenset(self.all_zones[name].cameras)) for name in used_zones},
            "lines": {name: (self.lines[name], frozenset(self.all_lines[name].cameras)) for name in used_lines},
            **({"ignore": {name: (mask.polygon, mask.classes, frozenset(mask.cameras)) for name, mask in self.all_masks.items()}} if self.all_masks else {}),
        }

    @cached_property
    def hash(self) -> str:
        """Content hash of all that the file says; comments, layout and order do not count."""
        rules = {rule.name: replace(rule, at_line=0) for rule in self.rules}
        return content_hash({"rules": rules, "zones": self.all_zones, "lines": self.all_lines, "ignore": self.all_masks, "channels": self.channels})

    def changes(self, newer: "RuleSet") -> dict[str, str]:
        """What differs in `newer`: "rule crossing" -> "added", "removed" or "changed"; the same for zones, lines, masks and channels."""
        found: dict[str, str] = {}
        for what, before, after in (
            ("rule", {rule.name: rule for rule in self.rules}, {rule.name: rule for rule in newer.rules}),
            ("zone", self.all_zones, newer.all_zones),
            ("line", self.all_lines, newer.all_lines),
            ("mask", self.all_masks, newer.all_masks),
            ("channel", self.channels, newer.channels),
        ):
            for name in sorted({*before, *after}):
                if name not in before or name not in after:
                    found[f"{what} {name}"] = "added" if name in after else "removed"
                elif before[name] != after[name]:
                    found[f"{what} {name}"] = "changed"
        return found


def _applies(rule: Rule, camera: str, zones: Mapping[str, object], lines: Mapping[str, object]) -> bool:
    """Whether a rule speaks of footage of this camera: its globs match, its zone and line are drawn for it, and a `silent` rule names it."""
    named = rule.when.camera is None or _matches(camera, (rule.when.camera,))
    return named and _matches(camera, rule.cameras) and rule.when.zone in {None, *zones} and rule.when.line in {None, *lines}


def _matches(camera: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(camera, glob) for glob in globs)
