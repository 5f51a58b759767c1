"""The domain types that every part of the platform speaks.

Frozen dataclasses stay inside one process; pydantic models are written to objects, topics or the wire. Times are seconds of presentation time from the
first frame unless a name says otherwise; positions are fractions (0-1) of the upright frame with y downward; instants are timezone-aware UTC.
"""

import operator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Point = tuple[float, float]
"""`(x, y)`, 0-1 of the upright frame."""


class Lane(StrEnum):
    """Which queue a piece of work waits in; live goes first."""

    LIVE = "live"
    REQUEST = "request"
    BACKFILL = "backfill"


class VideoState(StrEnum):
    """Where a video stands; the page shows it in words."""

    RECEIVED = "received"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


QUARANTINED = "quarantined"
"""Failure code of a video that was given up after several attempts and waits for a person."""


class Severity(StrEnum):
    """How urgent an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Lifecycle(StrEnum):
    """Whether the current evaluation still yields this alert."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"


class Mark(StrEnum):
    """What a person said of an alert."""

    NONE = "none"
    ACKNOWLEDGED = "acknowledged"
    FALSE = "false"


@dataclass(frozen=True)
class VideoProbe:
    """What the container says of a video before a frame is decoded.

    `width` and `height` are pixels of the upright picture; `rotation_deg` is the clockwise turn (0, 90, 180, 270) that makes the stored picture upright;
    `duration_s` and `frame_rate` are None when the container does not know them; `first_pts_s` is the presentation time of the first frame on the
    container's own clock; `bit_rate` is bits per second of the whole file; `created` is the creation time that it tells, as it stands there.
    """

    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation_deg: int
    duration_s: float | None
    frame_rate: float | None
    first_pts_s: float
    bit_rate: int | None
    audio_codec: str | None
    created: str | None = None


@dataclass(frozen=True)
class Scene:
    """A span between two cuts; `thumbnail` is the file name of a JPEG among the files of asset `scenes`."""

    index: int
    start_s: float
    end_s: float
    thumbnail: str | None = None


@dataclass(frozen=True)
class Episode:
    """One thing that a rule found: a span of a video.

    `track_ids` are sorted; `place` is the tested point at the start; `why` holds the facts that a person needs to believe it (JSON values only).
    """

    rule: str
    kind: str
    start_s: float
    end_s: float
    track_ids: tuple[int, ...]
    place: Point | None
    score: float | None
    why: dict[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class OpenState:
    """A state that a rule waits for and that still held at the last sample of a video: the camera's next video may go on with it.

    `rule_hash` is of what decides the rule's alerts; `class_name` and `place` are of the object, None where the state is of the whole picture. At `until_s` of
    its video it had held for `lasted_s`, earlier videos included; `reported`: long enough for an episode.
    """

    rule: str
    rule_hash: str
    until_s: float
    lasted_s: float
    reported: bool
    class_name: str | None = None
    place: Point | None = None


@dataclass(frozen=True)
class EarlierFootage:
    """What a camera recorded before a video: `ended_at` is the instant of its last frame, None while the length of that video is unknown."""

    video_id: str
    recorded_at: datetime
    ended_at: datetime | None
    open: tuple[OpenState, ...] = ()


@dataclass(frozen=True)
class NearMiss:
    """What came closest for a rule that did not fire; `text` is a sentence, `at_s` the moment it speaks of."""

    rule: str
    text: str
    at_s: float | None = None


class Stored(BaseModel):
    """Base of everything written as JSON: frozen; unknown fields from a newer version are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class FileEntry(Stored):
    """One file of an asset. `role` says what it is for ("video", "tracks", "snapshot:<alert id>" ...).

    With a `reference` no object lies under `key`: the bytes are those of the file at that path, which was taken in where it lies.
    """

    role: str
    key: str
    size_bytes: int
    sha256: str
    media_type: str
    reference: str | None = None

    @property
    def name(self) -> str:
        """The last part of the key: `<sha256>.<ext>`."""
        return self.key.rsplit("/", 1)[-1]


class Verdict(Stored):
    """The validation of a candidate, made before its manifest was written."""

    passed: bool
    checks: dict[str, bool] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


class Cost(Stored):
    """What making an asset took; `real_time_factor` is seconds of footage per second of wall time."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    tokens: int = 0
    real_time_factor: float | None = None


class Manifest(Stored):
    """What one asset of one video is, and what it was made from.

    `content_hash` is over canonical values, not bytes (see `fingerprints`); `inputs` maps asset name to the content hash that was used; `facts` are
    small results worth showing without opening a file (counts, duration, probe).
    """

    schema_version: Literal[1] = 1
    asset: str
    video_id: str
    files: list[FileEntry]
    fingerprint: str
    content_hash: str
    code_version: str
    inputs: dict[str, str] = Field(default_factory=dict)
    configuration: dict[str, object] = Field(default_factory=dict)
    verdict: Verdict
    degraded: str | None = None
    cost: Cost = Cost()
    facts: dict[str, object] = Field(default_factory=dict)
    run_id: str | None = None
    created_at: datetime

    def file(self, role: str) -> FileEntry | None:
        """The file with this role, or None."""
        return next((entry for entry in self.files if entry.role == role), None)


class VideoRecord(Stored):
    """One video as the database knows it.

    `recorded_at` is the wall-clock time of the first frame, None when unknown. `generation` counts ingests: it rises when a failed or deleted video is
    ingested again. `failure_code` is a key of `errors.MEDIA_CODES` or the name of an error class. `progress` is 0-1 of the current `step`.
    `reference_path` is where the footage lies when it was taken in in place, `reference_modified_ns` its time of change then; without it, it lies in the store.
    `summary_failure_code` and `summary_failure_message` say why the last attempt to write the summary failed: the video is ready without it.
    """

    video_id: str
    sha256: str
    original_name: str
    camera: str
    recorded_at: datetime | None
    size_bytes: int
    media_type: str
    object_key: str
    reference_path: str | None = None
    reference_modified_ns: int | None = None
    lane: Lane
    generation: int = 1
    state: VideoState
    step: str | None = None
    progress: float | None = None
    run_id: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    summary_failure_code: str | None = None
    summary_failure_message: str | None = None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    ingested_at: datetime
    updated_at: datetime

    @property
    def aspect(self) -> float | None:
        """Width / height of the upright picture, None until it is known."""
        return self.width / self.height if self.width and self.height else None


class SecondLook(Stored):
    """What a vision model says of the picture of an alert that tracks raised. It changes nothing of the alert.

    `reason` is in the model's words (cleaned) where it gave an answer, else why there is none. `model` is who was asked, empty where nobody was.
    """

    outcome: Literal["confirmed", "rejected", "unverified"]
    reason: str
    model: str = ""


class AlertRecord(Stored):
    """One alert as the ledger knows it, and as `--json` and the API print it.

    `start_time` is the wall-clock time of `start_s`, None when the recording time is unknown. `snapshot` and `clip` are object keys, None while being
    made; `snapshot_url` and `clip_url` are filled in by whoever may sign them. `continues`: the end of the file cut it off. `continued_from` is the video whose
    end cut off what goes on here. `second_look` is what a vision model said of it. All three are written only where they say something: readers of the first
    version know none of them.
    """

    id: str
    video_id: str
    camera: str
    rule: str
    kind: str
    severity: Severity
    lifecycle: Lifecycle
    mark: Mark
    start_s: float
    end_s: float
    start_time: datetime | None = None
    track_ids: list[int] = Field(default_factory=list)
    place: Point | None = None
    score: float | None = None
    why: dict[str, object] = Field(default_factory=dict)
    continues: bool = Field(default=False, exclude_if=operator.not_)
    continued_from: str | None = Field(default=None, exclude_if=operator.not_)
    snapshot: str | None = None
    clip: str | None = None
    superseded_reason: str | None = None
    split_of: str | None = None
    second_look: SecondLook | None = Field(default=None, exclude_if=operator.not_)
    asset: str = "alerts"
    raised_at: datetime
    updated_at: datetime


class TrackLine(Stored):
    """One track in the form that the player draws: parallel lists, one entry per sample.

    `boxes` holds `[x1, y1, x2, y2]`, 0-1 of the upright frame.
    """

    id: int
    class_name: str
    score: float
    start_s: float
    end_s: float
    times_s: list[float]
    boxes: list[tuple[float, float, float, float]]


class TrackSheet(Stored):
    """All tracks of a video for the player; the file with role `player` of asset `tracks`."""

    sample_rate: float
    samples: int
    tracks: list[TrackLine]


class Evidence(Stored):
    """A moment that a sentence rests on; `id` is a track id, caption id or transcript segment id as text."""

    kind: Literal["track", "scene", "caption", "transcript"]
    id: str
    start_s: float
    end_s: float


class Sentence(Stored):
    """One sentence of a summary. Only `supported` is shown as fact. `claim` is the English sentence that was checked, where `text` is its translation."""

    text: str
    claim: str | None = Field(default=None, exclude_if=operator.not_)
    state: Literal["supported", "contradicted", "not_checkable"]
    evidence: list[Evidence] = Field(default_factory=list)


class Passage(Stored):
    """Words about a span of a video that search finds: a sentence of the summary, a caption, a segment of speech.

    `id` tells it from the others of its kind in the video; `state` is that of a sentence, or what the maker of a caption or segment says of it. `classes` are
    what was followed in that span, sorted.
    """

    kind: Literal["summary", "caption", "transcript"]
    id: str
    text: str
    start_s: float
    end_s: float
    state: str
    classes: list[str] = Field(default_factory=list)


class SpokenWord(Stored):
    """One word of speech; `probability` is 0-1, as the model says."""

    text: str
    start_s: float
    end_s: float
    probability: float


class SpeechSegment(Stored):
    """A run of speech; `id` is its place in the transcript as text, and what evidence names."""

    id: str
    text: str
    start_s: float
    end_s: float
    words: list[SpokenWord] = Field(default_factory=list)


class Transcript(Stored):
    """What is said in a video, or in `state` why there is no text, with the `reason` in words.

    `language` is an ISO 639-1 code, `language_probability` 0-1; both None where no speech was listened to. Text is never invented: with another state than
    `spoken` there are no segments.
    """

    state: Literal["spoken", "no_audio", "no_speech", "unknown_language", "not_transcribed"]
    reason: str | None = None
    language: str | None = None
    language_probability: float | None = None
    segments: list[SpeechSegment] = Field(default_factory=list)


class Caption(Stored):
    """What a vision model says of one frame, at `at_s`, and the span that this frame stands for; `id` is what evidence names.

    A frame that was not described has no text and says why in `reason`. `digest` is of the frame's pixels, as they were sent.
    """

    id: str
    at_s: float
    start_s: float
    end_s: float
    text: str = ""
    reason: str | None = None
    digest: str


class Captions(Stored):
    """The captions of a video in order of time; with state `not_described` nobody was asked, and `reason` says why."""

    state: Literal["described", "partly_described", "not_described"]
    reason: str | None = None
    captions: list[Caption] = Field(default_factory=list)


class ReelPiece(Stored):
    """A piece of a reel, which is a chapter of it: shown from `at_s` to `end_s` of the reel, and taken from `start_s` on of a video."""

    video_id: str
    camera: str
    start_s: float
    at_s: float
    end_s: float
    title: str


class Engine(Stored):
    """Who wrote a summary: a model with its digest and prompt hash, or the template with the reason why."""

    name: Literal["ollama", "openai_compatible", "template"]
    model: str | None = None
    digest: str | None = None
    prompt_hash: str | None = None
    reason: str | None = None


class Summary(Stored):
    """The summary of one video; `concern` is 0 (nothing), 1 (look at it) or 2 (act), `concern_why` says from which numbers."""

    title: str
    overview: str
    concern: Literal[0, 1, 2]
    concern_why: str = ""
    engine: Engine
    sentences: list[Sentence]
