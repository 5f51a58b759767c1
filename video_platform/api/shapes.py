"""Bodies of requests and answers, as the OpenAPI document shows them."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from video_platform.catalog_dagster import RunView
from video_platform.catalog_views import AssetView, VideoCard, VideoDetail
from video_platform.layout import page_video
from video_platform.records import AlertRecord, Cost, Lane, Mark, Scene, VideoRecord
from video_platform.search import Hit, Standing

MAX_LIMIT = 200
"""Most rows of one page: more is a slow page and a heavy answer; exports give everything."""

MAX_OFFSET = 10**9
"""Farthest page: below what every database counts with."""

MAX_CURSOR = 2**63 - 1
"""Highest cursor: what the database counts with."""

NUMBER = re.compile(r"[+-]?[\d._]+(e[+-]?\d+)?", re.IGNORECASE)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters can be looked for or kept here")
    return text.strip()


def _written(moment: object) -> object:
    """`moment`, unless it is a number: pydantic would take one for seconds, or for milliseconds, since 1970."""
    if not isinstance(moment, datetime) and (not isinstance(moment, str) or NUMBER.fullmatch(moment.strip())):
        raise ValueError("an instant is written with date, time and time zone, like 2026-11-23T14:05:00Z")
    return moment


Instant = Annotated[AwareDatetime, BeforeValidator(_written)]
"""An instant of a query or a body, as text with its time zone."""

Text = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
"""A short text of a query or a form; control characters, NUL among them, are refused."""

Page = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET)]


class Asked(BaseModel):
    """Base of request bodies: a misspelt field is an error and not silently nothing."""

    model_config = ConfigDict(extra="forbid")


class Correction(Asked):
    """What is known better now; what is left out stays as it is."""

    camera: Annotated[Text, Field(min_length=1)] | None = None
    recorded_at: Instant | None = None


class ProcessRequest(Asked):
    """`force` makes everything again although nothing changed."""

    force: StrictBool = False
    lane: Lane = Lane.REQUEST


class MarkRequest(Asked):
    """What a person says of an alert. `who` is for installations without sign-in; else it is whoever asks."""

    mark: Mark
    who: Text | None = None


class VideoOut(VideoRecord):
    """One video in a list. `thumbnail_url` is signed and ends after some minutes; `alerts` counts active ones by severity."""

    thumbnail_url: str | None = None
    title: str | None = None
    alerts: dict[str, int] = Field(default_factory=dict)


class VideosOut(BaseModel):
    """A page of videos, newest first."""

    items: list[VideoOut]
    total: int


class FileOut(BaseModel):
    """One file of an asset; `url` shows it, `download_url` saves it."""

    asset: str
    role: str
    name: str
    size_bytes: int
    sha256: str
    media_type: str
    url: str
    download_url: str


class AssetOut(BaseModel):
    """One asset of a video; everything but the name is null until it was made."""

    name: str
    made: bool
    fingerprint: str | None
    content_hash: str | None
    code_version: str | None
    inputs: dict[str, str]
    configuration: dict[str, object]
    facts: dict[str, object]
    degraded: str | None
    passed: bool | None
    checks: dict[str, bool]
    cost: Cost | None
    created_at: datetime | None
    run_id: str | None
    run_url: str | None
    materialised_at: datetime | None
    reused: bool


class RunOut(BaseModel):
    """One Dagster run of a video."""

    run_id: str
    job: str
    status: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    live: bool
    url: str


class NearMissOut(BaseModel):
    """What came closest for a rule that found nothing."""

    rule: str
    text: str
    at_s: float | None


class CannotEvaluate(BaseModel):
    """A rule that nothing here can evaluate."""

    rule: str
    reason: str


class InPlaceOut(BaseModel):
    """Footage that stays where it lies, and whether this server can read it there; `message` says what to do when it cannot."""

    path: str
    state: Literal["there", "moved", "changed"]
    message: str | None


class StandingOut(BaseModel):
    """Whether search finds a video: `indexed`, `waiting`, or `not indexed` with its reason; by how many passages, and whether by meaning too."""

    state: Literal["indexed", "waiting", "not indexed"]
    passages: int
    by_meaning: bool
    reason: str
    at: datetime | None


class VideoDetailOut(BaseModel):
    """Everything about one video but its tracks. `in_place` is null for footage that lies in the store.

    `notes` are sentences on what was noticed while it was looked at, such as a recording that is cut off.
    """

    video: VideoRecord
    in_place: InPlaceOut | None
    notes: list[str]
    assets: list[AssetOut]
    near_misses: list[NearMissOut]
    cannot_evaluate: list[CannotEvaluate]
    runs: list[RunOut]
    search: StandingOut


class HitOut(BaseModel):
    """A moment that was found.

    `kind` is that of the passage: summary, caption or transcript; only one whose `state` is `supported` is a fact. `words` of the question stand in it,
    `likeness` is the cosine of its meaning with that of the question. `page` is the path of the moment in the web app.
    """

    video_id: str
    name: str
    camera: str
    kind: str
    id: str
    text: str
    state: str
    start_s: float
    end_s: float
    start_time: datetime | None
    classes: list[str]
    words: list[str]
    likeness: float | None
    why: str
    thumbnail_url: str | None
    page: str


class SearchOut(BaseModel):
    """What was found, the best first. `mode` is `words` or `both`, `note` says why not by meaning. `indexed` of `videos` can be found at all."""

    items: list[HitOut]
    mode: Literal["words", "meaning", "both"]
    note: str
    indexed: int
    videos: int


class SceneOut(BaseModel):
    """A span between two cuts."""

    index: int
    start_s: float
    end_s: float
    thumbnail_url: str | None


class AlertOut(AlertRecord):
    """One alert; the two addresses are signed, null while the picture or clip is being made."""

    snapshot_url: str | None = None
    clip_url: str | None = None


class AlertsOut(BaseModel):
    """A page of alerts, newest first; `cursor` is what a live page passes to `/alerts/changes` as `after`."""

    items: list[AlertOut]
    total: int
    cursor: int


class AlertChanges(BaseModel):
    """Alerts that changed, in the order of their changes; pass `cursor` as `after` next time."""

    items: list[AlertOut]
    cursor: int


class IngestedOut(BaseModel):
    """Footage that was taken in, or that was already here; `again`: it was here, had failed, and is processed anew."""

    video_id: str
    created: bool
    again: bool
    message: str
    video: VideoRecord


class AcceptedOut(BaseModel):
    """Work that was queued."""

    video_id: str
    message: str


class CorrectedOut(BaseModel):
    """A correction; `changed` is false when it said what was known already."""

    changed: bool
    video: VideoRecord


class DeletedOut(BaseModel):
    """A video that is gone; a tombstone stays."""

    video_id: str
    objects: int
    cancelled_runs: list[str]


class HealthPart(BaseModel):
    """One part of the platform: `detail` is its version, or what is wrong; `needed` says whether the web app can do nothing without it."""

    ok: bool
    needed: bool
    detail: str


class HealthOut(BaseModel):
    """`status`: `ok`, all is well; `degraded`, some work waits; `unavailable`, the web app lacks what it needs."""

    status: Literal["ok", "degraded", "unavailable"]
    version: str
    parts: dict[str, HealthPart]


def card(view: VideoCard, thumbnail_url: str | None) -> VideoOut:
    """One video of a list."""
    counts = {severity.value: count for severity, count in view.alerts.items()}
    return VideoOut(**view.record.model_dump(), thumbnail_url=thumbnail_url, title=view.title, alerts=counts)


def asset(view: AssetView, run_url: str | None) -> AssetOut:
    """One asset, made or not."""
    manifest = view.manifest
    return AssetOut(
        name=view.name,
        made=manifest is not None,
        fingerprint=manifest.fingerprint if manifest else None,
        content_hash=manifest.content_hash if manifest else None,
        code_version=manifest.code_version if manifest else None,
        inputs=manifest.inputs if manifest else {},
        configuration=manifest.configuration if manifest else {},
        facts=manifest.facts if manifest else {},
        degraded=manifest.degraded if manifest else None,
        passed=manifest.verdict.passed if manifest else None,
        checks=manifest.verdict.checks if manifest else {},
        cost=manifest.cost if manifest else None,
        created_at=manifest.created_at if manifest else None,
        run_id=view.run_id,
        run_url=run_url,
        materialised_at=view.materialised_at,
        reused=view.reused,
    )


def in_place(detail: VideoDetail) -> InPlaceOut | None:
    """Where the footage lies, when it was not copied."""
    if detail.record.reference_path is None:
        return None
    away = detail.away
    state: Literal["there", "moved", "changed"] = "there" if away is None else "moved" if away.facts["code"] == "moved" else "changed"
    return InPlaceOut(path=detail.record.reference_path, state=state, message=away.message if away else None)


def run(view: RunView, url: str) -> RunOut:
    """One run."""
    return RunOut(
        run_id=view.run_id,
        job=view.job,
        status=view.status,
        created_at=view.created_at,
        started_at=view.started_at,
        ended_at=view.ended_at,
        live=view.live,
        url=url,
    )


def scene(each: Scene, thumbnail_url: str | None) -> SceneOut:
    """One scene."""
    return SceneOut(index=each.index, start_s=each.start_s, end_s=each.end_s, thumbnail_url=thumbnail_url)


def alert(record: AlertRecord, snapshot_url: str | None, clip_url: str | None) -> AlertOut:
    """One alert with its addresses."""
    return AlertOut(**record.model_dump(), snapshot_url=snapshot_url, clip_url=clip_url)


def hit(found: Hit, thumbnail_url: str | None) -> HitOut:
    """A moment with the signed address of its picture."""
    video, passage = found.video, found.passage
    return HitOut(
        video_id=video.video_id,
        name=video.original_name,
        camera=video.camera,
        kind=passage.kind,
        id=passage.passage_id,
        text=passage.text,
        state=passage.state,
        start_s=passage.start_s,
        end_s=passage.end_s,
        start_time=found.moment,
        classes=list(passage.classes),
        words=list(found.words),
        likeness=found.likeness,
        why=found.why,
        thumbnail_url=thumbnail_url,
        page=page_video(video.video_id, passage.start_s),
    )


def standing(found: Standing) -> StandingOut:
    """Whether search finds a video."""
    return StandingOut(state=found.stands.value, passages=found.passages, by_meaning=found.by_meaning, reason=found.reason, at=found.at)
