"""What the pages read and ask for; the only module that keeps anything between runs of a page.

Lists are remembered for a second and by the cameras that they are of, so that many open pages cost one query; files are content-addressed and remembered
by their key, behind the question whether this person may see the video. Whatever is asked for (marking, deleting, processing again) goes to `deeds`, which
asks whether this person may, and empties what it made stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from ui import opened, rights
from video_platform import layout
from video_platform.access import Person, Role
from video_platform.catalog import Catalog
from video_platform.catalog_views import AlertPage, VideoCard, VideoDetail, VideoPage
from video_platform.deeds import Deeds
from video_platform.errors import PlatformError
from video_platform.platform import Platform
from video_platform.records import AlertRecord, Captions, Lifecycle, Manifest, Mark, Scene, Severity, Summary, Transcript, VideoRecord, VideoState
from video_platform.search import Filters, Found, Standing
from video_platform.services import model_pulls as pulls
from video_platform.services.database import refusals
from video_platform.services.database import videos as video_rows
from video_platform.services.database.marks import By, MarkedAlerts
from video_platform.settings import Settings

FRESH_S = 1.0
"""How old a remembered list may be: below the two seconds at which pages look again."""

PAGE_VIDEOS = 24
"""Cards of one page of the library: full rows of two, three and four."""

LONGEST_FIND = 200
"""Characters of a name or id that are looked for, as in the API: each word is a condition of the query, and a page of text is more than databases take."""

PAGE_ALERTS = 20

PAGE_MOMENTS = 24
"""Moments that a search shows: full rows, and more than anybody looks through."""

MAX_STRIP_ALERTS = 500
"""Alerts of one video that its page shows; above it markers on the timeline touch each other."""


Cameras = tuple[str, ...] | None
"""What a list is remembered by: the patterns of who may see it."""


@dataclass(frozen=True)
class TrackRow:
    """One track in the table of a video."""

    id: int
    class_name: str
    start_s: float
    end_s: float
    score: float


def settings() -> Settings:
    """The settings of this process."""
    return _platform().settings


def _platform() -> Platform:
    return opened.services().platform


def _catalog() -> Catalog:
    return opened.services().catalog.seen_by(rights.person())


def _catalog_of(cameras: Cameras) -> Catalog:
    return opened.services().catalog.seen_by(Person("page", Role.VIEWER, cameras))


def deeds() -> Deeds:
    """Changes, as who looks."""
    return Deeds(_platform(), opened.services().catalog, rights.person())


def now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


def media_path(key: str, download: str | None = None) -> str:
    """Signed path of an object; stable for minutes, so that a page drawn again shows the same picture. `download` is the name to save it under."""
    return opened.signer().url(key, rights.person(), download=download)


def addresses_epoch() -> int:
    """Counts up when signed addresses are renewed: twice in the life of one."""
    return int(now().timestamp() // (settings().web.media_url_s / 2))


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def model_pulls() -> list[pulls.Pull]:
    """Language models that are being fetched."""
    return pulls.under_way(_platform().db, now())


# ---- library -------------------------------------------------------------------------------------------------------------------------------------------


def videos(text: str, camera: str | None, states: tuple[VideoState, ...], page: int) -> VideoPage:
    """One page of the library, newest first; pages count from 1, no state means all but deleted ones. Of a long `text` the beginning is looked for."""
    return _videos(rights.person().cameras, text[:LONGEST_FIND], camera, states, page)


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def _videos(seen: Cameras, text: str, camera: str | None, states: tuple[VideoState, ...], page: int) -> VideoPage:
    return _catalog_of(seen).videos(state=states or None, camera=camera, text=text or None, limit=PAGE_VIDEOS, offset=(page - 1) * PAGE_VIDEOS)


def cameras() -> list[str]:
    """All cameras that have videos."""
    return _cameras(rights.person().cameras)


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def _cameras(seen: Cameras) -> list[str]:
    return _catalog_of(seen).cameras()


def counts() -> dict[VideoState, int]:
    """Videos by state."""
    return _counts(rights.person().cameras)


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def _counts(seen: Cameras) -> dict[VideoState, int]:
    return _catalog_of(seen).counts()


def found(question: str, camera: str | None, since: datetime | None, until: datetime | None, class_name: str | None, alert: str | None) -> Found:
    """Moments of the videos that who looks may see."""
    filters = Filters(rights.person(), camera, since, until, class_name, alert)
    return opened.services().search.find(question, filters, limit=PAGE_MOMENTS)


def standing(record: VideoRecord) -> Standing:
    """Whether search finds a video."""
    return opened.services().search.standing(record)


def recent_refusals(limit: int = 20) -> list[refusals.Refusal]:
    """Footage that was not taken in, newest first."""
    return refusals.page(_platform().db, limit=limit, person=rights.person())


def process_again(video_id: str) -> None:
    """Ask for the whole graph of one video; what nothing changed for is reused. A failed video starts afresh."""
    deeds().process_again(video_id)
    forget_lists()


def correct(video_id: str, camera: str, recorded_at: datetime | None) -> None:
    """Correct camera and recording time; None keeps the time."""
    deeds().correct(video_id, camera=camera, recorded_at=recorded_at)
    forget_lists()


def try_again(video_id: str) -> None:
    """Ask for a failed video, or for the summary that a ready one lacks; what is there already is reused."""
    deeds().retry(video_id)
    forget_lists()


def delete(video_id: str) -> None:
    """Remove a video with everything that was made from it; a tombstone stays."""
    deeds().delete(video_id)
    forget_lists()


def forget_lists() -> None:
    """Read lists anew at the next look."""
    _videos.clear()
    _cameras.clear()
    _counts.clear()
    _alerts.clear()
    _version.clear()


# ---- one video -----------------------------------------------------------------------------------------------------------------------------------------


def video(video_id: str) -> VideoDetail:
    """Everything about one video. Raises NotFound or VideoDeleted."""
    return _catalog().video(video_id)


def record(video_id: str) -> VideoRecord | None:
    """The record of a video, also of a deleted one; None when there is none."""
    found = video_rows.get(_platform().db, video_id)
    return found if found is not None and rights.person().may_see(found.camera) else None


def alerts_of(video_id: str) -> list[AlertRecord]:
    """The active alerts of a video in the order of the footage."""
    found = _catalog().alerts(video_id=video_id, limit=MAX_STRIP_ALERTS).items
    return sorted(found, key=lambda alert: (alert.start_s, alert.id))


def version(video_id: str) -> str:
    """Changes when anything that the page of a video shows has changed: its record, one of its assets, its alerts or their marks."""
    return _version(rights.person().cameras, video_id)


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def _version(seen: Cameras, video_id: str) -> str:
    catalog = _catalog_of(seen)
    try:
        detail = catalog.video(video_id)
    except PlatformError as error:
        return f"{type(error).__name__}: {error.message}"
    found = catalog.alerts(video_id=video_id, limit=MAX_STRIP_ALERTS).items
    shown = detail.record
    parts: list[object] = [shown.state, shown.failure_code, shown.summary_failure_code, shown.summary_failure_message]
    parts += [shown.camera, shown.recorded_at, shown.duration_s, shown.reference_path, str(detail.away or "")]
    parts += [(asset.name, asset.manifest.fingerprint, asset.manifest.created_at, asset.run_id) for asset in detail.assets if asset.manifest]
    parts += [(alert.id, alert.mark, alert.snapshot, alert.clip) for alert in found]
    return repr(parts)


def summary(video_id: str, key: str) -> Summary | None:
    """The summary of a video; `key` is its file."""
    return _summary(rights.person().cameras, video_id, key)


@st.cache_data(max_entries=64, show_spinner=False)
def _summary(seen: Cameras, video_id: str, key: str) -> Summary | None:
    return _catalog_of(seen).summary(video_id)


def captions(video_id: str, key: str) -> Captions | None:
    """The captions of a video; `key` is their file."""
    return _captions(rights.person().cameras, video_id, key)


@st.cache_data(max_entries=64, show_spinner=False)
def _captions(seen: Cameras, video_id: str, key: str) -> Captions | None:
    return _catalog_of(seen).captions(video_id)


def transcript(video_id: str, key: str) -> Transcript | None:
    """What is said in a video, or why there is no text; `key` is its file."""
    return _transcript(rights.person().cameras, video_id, key)


@st.cache_data(max_entries=32, show_spinner=False)
def _transcript(seen: Cameras, video_id: str, key: str) -> Transcript | None:
    return _catalog_of(seen).transcript(video_id)


def scenes(video_id: str, key: str) -> list[Scene]:
    """The scenes of a video; `key` is their file."""
    return _scenes(rights.person().cameras, video_id, key)


@st.cache_data(max_entries=64, show_spinner=False)
def _scenes(seen: Cameras, video_id: str, key: str) -> list[Scene]:
    return _catalog_of(seen).scenes(video_id)


def tracks(video_id: str, key: str) -> list[TrackRow]:
    """The tracks of a video in order of appearance; `key` is their file."""
    return _tracks(rights.person().cameras, video_id, key)


@st.cache_data(max_entries=32, show_spinner=False)
def _tracks(seen: Cameras, video_id: str, key: str) -> list[TrackRow]:
    sheet = _catalog_of(seen).tracks(video_id)
    rows = [] if sheet is None else [TrackRow(line.id, line.class_name, line.start_s, line.end_s, line.score) for line in sheet.tracks]
    return sorted(rows, key=lambda row: (row.start_s, row.id))


def file_key(manifest: Manifest | None, role: str) -> str | None:
    """The object key of the file with this role."""
    entry = manifest.file(role) if manifest else None
    return entry.key if entry else None


def run_url(run_id: str) -> str:
    """The page of a run in Dagster's own web app."""
    return _catalog().run_url(run_id)


def dagster_url(path: str) -> str:
    """A page of Dagster's own web app."""
    return f"{_catalog().addresses().dagster}/{path}"


# ---- alerts --------------------------------------------------------------------------------------------------------------------------------------------


def alerts(
    *,
    video_id: str | None,
    rule: str | None,
    camera: str | None,
    severity: Severity | None,
    mark: Mark | None,
    superseded: bool,
    page: int,
    size: int = PAGE_ALERTS,
) -> AlertPage:
    """One page of alerts, newest first; pages count from 1."""
    return _alerts(rights.person().cameras, video_id, rule, camera, severity, mark, superseded, page, size)


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def _alerts(
    seen: Cameras,
    video_id: str | None,
    rule: str | None,
    camera: str | None,
    severity: Severity | None,
    mark: Mark | None,
    superseded: bool,
    page: int,
    size: int,
) -> AlertPage:
    return _catalog_of(seen).alerts(
        video_id=video_id,
        rule=rule,
        camera=camera,
        severity=severity,
        lifecycle=None if superseded else Lifecycle.ACTIVE,
        mark=mark,
        limit=size,
        offset=(page - 1) * size,
    )


def alert(alert_id: str) -> AlertRecord:
    """One alert; NotFound when it is gone."""
    return _catalog().alert(alert_id)


def mark(alert_id: str, what: Mark) -> None:
    """Record what a person says of an alert."""
    deeds().mark(alert_id, what)
    _alerts.clear()
    _version.clear()


def rules_with_alerts() -> list[str]:
    """Names of rules that the newest alerts come from, also rules that are gone."""
    return _rules_with_alerts(rights.person().cameras)


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def _rules_with_alerts(seen: Cameras) -> list[str]:
    found = _catalog_of(seen).alerts(lifecycle=None, limit=200).items
    return sorted({each.rule for each in found})


def names_of(video_ids: Sequence[str]) -> dict[str, str]:
    """Original names of videos."""
    found: dict[str, str] = {}
    for video_id in dict.fromkeys(video_ids):
        if (known := record(video_id)) is not None:
            found[video_id] = known.original_name
    return found


# ---- rules ---------------------------------------------------------------------------------------------------------------------------------------------


def marked(by: By) -> list[MarkedAlerts]:
    """What people's marks say of the rules."""
    rights.must_see_rules()
    return _catalog().marked(by=by)


def frame_key(card: VideoCard) -> str:
    """The object key of the sharpest frame that is kept of a video: its poster, else its thumbnail."""
    poster = file_key(_catalog().manifest(card.record.video_id, layout.PROCESSED_VIDEO), "poster")
    return poster or card.thumbnail or ""


def frames() -> VideoPage:
    """Videos whose picture zones can be drawn on, newest first."""
    return videos("", None, (VideoState.READY,), 1)
