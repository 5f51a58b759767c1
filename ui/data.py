"""What the pages read and ask for; the only module that keeps anything between runs of a page.

Lists are remembered for a second, so that many open pages cost one query; files are content-addressed and remembered by their key. Whatever is asked for
(marking, deleting, processing again) goes to `ingest`, `ledger` and `rulesets` and empties what it made stale.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from ui import opened
from video_platform import detectors, layout, rules
from video_platform.catalog import AlertPage, Catalog, VideoCard, VideoDetail, VideoPage
from video_platform.errors import PlatformError, Problem, RulesError
from video_platform.platform import Platform
from video_platform.records import AlertRecord, Lane, Lifecycle, Manifest, Mark, Scene, Severity, Summary, VideoRecord, VideoState
from video_platform.services import model_pulls as pulls
from video_platform.services.database import ledger, refusals, rulesets
from video_platform.services.database import videos as video_rows
from video_platform.services.database.rulesets import RuleVersion
from video_platform.settings import Settings

FRESH_S = 1.0
"""How old a remembered list may be: below the two seconds at which pages look again."""

PAGE_VIDEOS = 24
"""Cards of one page of the library: full rows of two, three and four."""

PAGE_ALERTS = 20

WHO = "web"
"""Who did it, in the record of marks, deletions and rules: the page has no sign-in, so it is nobody in particular."""

MAX_STRIP_ALERTS = 500
"""Alerts of one video that its page shows; above it markers on the timeline touch each other."""


@dataclass(frozen=True)
class Draft:
    """The rules file beside the active rule set; `problems` is empty for one that could be applied, `changed` names the rules that differ."""

    text: str
    source: str
    problems: list[Problem]
    diff: str
    changed: list[str]


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
    return opened.services().catalog


def now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


def media_path(key: str, download: str | None = None) -> str:
    """Signed path of an object; stable for minutes, so that a page drawn again shows the same picture. `download` is the name to save it under."""
    return opened.signer().url(key, download=download)


def addresses_epoch() -> int:
    """Counts up when signed addresses are renewed: twice in the life of one."""
    return int(now().timestamp() // (settings().web.media_url_s / 2))


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def model_pulls() -> list[pulls.Pull]:
    """Language models that are being fetched."""
    return pulls.under_way(_platform().db, now())


# ---- library -------------------------------------------------------------------------------------------------------------------------------------------


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def videos(text: str, camera: str | None, states: tuple[VideoState, ...], page: int) -> VideoPage:
    """One page of the library, newest first; pages count from 1, no state means all but deleted ones."""
    return _catalog().videos(state=states or None, camera=camera, text=text or None, limit=PAGE_VIDEOS, offset=(page - 1) * PAGE_VIDEOS)


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def cameras() -> list[str]:
    """All cameras that have videos."""
    return _catalog().cameras()


@st.cache_data(ttl=FRESH_S, max_entries=1, show_spinner=False)
def counts() -> dict[VideoState, int]:
    """Videos by state."""
    return video_rows.counts(_platform().db)


def recent_refusals(limit: int = 20) -> list[refusals.Refusal]:
    """Footage that was not taken in, newest first."""
    return refusals.page(_platform().db, limit=limit)


def process_again(video_id: str) -> None:
    """Ask for the whole graph of one video; what nothing changed for is reused. A failed video starts afresh."""
    if _catalog().record(video_id).state is VideoState.FAILED:
        _platform().ingest.retry(video_id)
    else:
        _platform().ingest.request_processing(video_id, lane=Lane.REQUEST)
    forget_lists()


def write_summary_again(video_id: str) -> None:
    """Ask for the summary of a ready video alone, after it failed."""
    _platform().ingest.retry(video_id)
    forget_lists()


def delete(video_id: str) -> None:
    """Remove a video with everything that was made from it; a tombstone stays."""
    _platform().ingest.delete(video_id, WHO)
    _catalog().forget(video_id)
    forget_lists()


def forget_lists() -> None:
    """Read lists anew at the next look."""
    videos.clear()
    cameras.clear()
    counts.clear()
    alerts.clear()
    version.clear()


# ---- one video -----------------------------------------------------------------------------------------------------------------------------------------


def video(video_id: str) -> VideoDetail:
    """Everything about one video. Raises NotFound or VideoDeleted."""
    return _catalog().video(video_id)


def record(video_id: str) -> VideoRecord | None:
    """The record of a video, None when there is none."""
    return video_rows.get(_platform().db, video_id)


def alerts_of(video_id: str) -> list[AlertRecord]:
    """The active alerts of a video in the order of the footage."""
    found = _catalog().alerts(video_id=video_id, limit=MAX_STRIP_ALERTS).items
    return sorted(found, key=lambda alert: (alert.start_s, alert.id))


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
def version(video_id: str) -> str:
    """Changes when anything that the page of a video shows has changed: its record, one of its assets, its alerts or their marks."""
    try:
        detail = _catalog().video(video_id)
    except PlatformError as error:
        return f"{type(error).__name__}: {error.message}"
    found = _catalog().alerts(video_id=video_id, limit=MAX_STRIP_ALERTS).items
    shown = detail.record
    parts: list[object] = [shown.state, shown.failure_code, shown.summary_failure_code, shown.summary_failure_message]
    parts += [shown.camera, shown.recorded_at, shown.duration_s]
    parts += [(asset.name, asset.manifest.fingerprint, asset.manifest.created_at, asset.run_id) for asset in detail.assets if asset.manifest]
    parts += [(alert.id, alert.mark, alert.snapshot, alert.clip) for alert in found]
    return repr(parts)


@st.cache_data(max_entries=64, show_spinner=False)
def summary(video_id: str, key: str) -> Summary | None:
    """The summary of a video; `key` is its file."""
    return _catalog().summary(video_id)


@st.cache_data(max_entries=64, show_spinner=False)
def scenes(video_id: str, key: str) -> list[Scene]:
    """The scenes of a video; `key` is their file."""
    return _catalog().scenes(video_id)


@st.cache_data(max_entries=32, show_spinner=False)
def tracks(video_id: str, key: str) -> list[TrackRow]:
    """The tracks of a video in order of appearance; `key` is their file."""
    sheet = _catalog().tracks(video_id)
    rows = [] if sheet is None else [TrackRow(line.id, line.class_name, line.start_s, line.end_s, line.score) for line in sheet.tracks]
    return sorted(rows, key=lambda row: (row.start_s, row.id))


def file_key(manifest: Manifest | None, role: str) -> str | None:
    """The object key of the file with this role."""
    entry = manifest.file(role) if manifest else None
    return entry.key if entry else None


def run_url(run_id: str) -> str:
    """The page of a run in Dagster's own web app."""
    return _catalog().run_url(run_id)


# ---- alerts --------------------------------------------------------------------------------------------------------------------------------------------


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)
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
    return _catalog().alerts(
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
    ledger.mark(_platform().db, alert_id, what, WHO, now())
    alerts.clear()
    version.clear()


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def rules_with_alerts() -> list[str]:
    """Names of rules that the newest alerts come from, also rules that are gone."""
    found = _catalog().alerts(lifecycle=None, limit=200).items
    return sorted({each.rule for each in found})


def names_of(video_ids: Sequence[str]) -> dict[str, str]:
    """Original names of videos."""
    found: dict[str, str] = {}
    for video_id in dict.fromkeys(video_ids):
        if (known := record(video_id)) is not None:
            found[video_id] = known.original_name
    return found


# ---- rules ---------------------------------------------------------------------------------------------------------------------------------------------


def active_rules() -> RuleVersion | None:
    """The rule set that counts."""
    return rulesets.active(_platform().db)


def rule_versions(limit: int = 20) -> list[RuleVersion]:
    """Rule sets that were active, newest first."""
    return rulesets.versions(_platform().db, limit)


def parsed(text: str) -> tuple[rules.RuleSet | None, list[Problem]]:
    """A rule set and no problems, or None and all of them."""
    try:
        return rules.parse(text, classes=detectors.class_names(settings().detection.model)), []
    except RulesError as error:
        return None, list(error.facts["problems"])  # type: ignore[call-overload]


def draft() -> Draft | None:
    """The rules file named by VIDEO_PLATFORM_RULES where it differs from the active rule set; None without a file or difference."""
    path = settings().rules
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Draft("", path.name, [Problem(f"the file cannot be read: {error}")], "", [])
    return compared(text, path.name)


def compared(text: str, source: str) -> Draft | None:
    """`text` beside the active rule set; None when they are the same."""
    active = active_rules()
    before = active.text if active else ""
    if text == before:
        return None
    new, problems = parsed(text)
    old, _ = parsed(before) if before else (None, [])
    changes = {} if new is None or old is None else old.changes(new)
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), "active", source, lineterm="", n=3)
    return Draft(text, source, problems, "\n".join(lines), [f"{what} {how}" for what, how in changes.items()])


def apply_rules(text: str, *, source: str, who: str, why: str) -> RuleVersion:
    """Make `text` the active rule set. Raises RulesError when it cannot be one."""
    rules.parse(text, classes=detectors.class_names(settings().detection.model), source=source)
    return rulesets.apply(_platform().db, text, source=source, who=who or WHO, why=why, now=now())


def outdated_videos() -> int:
    """How many videos the active rules would judge differently than the rules that judged them."""
    return len(rulesets.outdated(_platform().db))


def evaluate_again() -> int:
    """Ask for all of these in lane backfill; only their alerts and clips are made again, the rest is reused. How many were asked for."""
    asked = rulesets.outdated(_platform().db)
    for video_id in asked:
        _platform().ingest.request_processing(video_id, lane=Lane.BACKFILL)
    return len(asked)


def frame_key(card: VideoCard) -> str:
    """The object key of the sharpest frame that is kept of a video: its poster, else its thumbnail."""
    poster = file_key(_catalog().manifest(card.record.video_id, layout.PROCESSED_VIDEO), "poster")
    return poster or card.thumbnail or ""


def frames() -> VideoPage:
    """Videos whose picture zones can be drawn on, newest first."""
    return videos("", None, (VideoState.READY,), 1)
