"""Every object key and every URL path, in one place.

One bucket (or folder), content-addressed below `videos/`:

    inbox/<camera>/<name>                          dropped by other programs, taken away once it is a video
    inbox-refused/<camera>/<name>                  what could not be used, moved out of the way
    videos/<video_id>/<asset>/<sha256>.<ext>       put when absent; equal bytes make a race harmless
    videos/<video_id>/<asset>/manifest.json        written last: readers see the old version or the new one
    videos/<video_id>/<asset>/answers/<hash>.json  what a model said of one frame, until all were asked for
    videos/<video_id>/record.json                  what else only the database knows of the video: `vp rebuild-index` reads it
    records/deleted/<video_id>.json                that a video was deleted, by whom, when and why
    records/rules/<version>-<hash>.json            a version of the rule set
    days/<day>/daily_digest/<sha256>.<ext>         what happened on a day, and its reel; its manifest beside it
"""

import re
from urllib.parse import quote

BUCKET = "video-platform"

RUN_LOGS = "dagster-logs"
"""Below this key lies the output of runs, where the store keeps it."""
VIDEO_ID = re.compile(r"[0-9a-f]{16}")
SHA256 = re.compile(r"[0-9a-f]{64}")
EXTENSION = re.compile(r"[a-z0-9]{1,8}")

INBOX = "inbox/"
INBOX_REFUSED = "inbox-refused/"

RAW_VIDEO = "raw_video"
PROCESSED_VIDEO = "processed_video"
DETECTIONS = "detections"
SCENES = "scenes"
TRACKS = "tracks"
ALERTS = "alerts"
HIGHLIGHTS = "highlights"
SECOND_LOOK = "second_look"
TRANSCRIPT = "transcript"
CAPTIONS = "captions"
DESCRIBED_ALERTS = "described_alerts"
LLM_SUMMARY = "llm_summary"
SEARCH_INDEX = "search_index"

ASSETS = (
    RAW_VIDEO,
    PROCESSED_VIDEO,
    DETECTIONS,
    SCENES,
    TRACKS,
    ALERTS,
    HIGHLIGHTS,
    SECOND_LOOK,
    TRANSCRIPT,
    CAPTIONS,
    DESCRIBED_ALERTS,
    LLM_SUMMARY,
    SEARCH_INDEX,
)
"""Assets with one partition per video, in the order in which they are made."""

PASSAGE_SOURCES = (CAPTIONS, TRANSCRIPT)
"""Assets whose words are found beside those of the summary, each once it is one of `ASSETS`: it keeps a list of `records.Passage` in its file `passages`."""

DAILY_DIGEST = "daily_digest"
"""The asset with one partition per day on which anything was recorded."""

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

VIDEOS = "videos/"
TOMBSTONES = "records/deleted/"
RULE_SETS = "records/rules/"
"""Prefixes of everything about videos, of tombstones, and of versions of the rule set."""


def is_video_id(text: str) -> bool:
    """Whether `text` may become a partition key: 16 lower-case hex digits, nothing else."""
    return VIDEO_ID.fullmatch(text) is not None


def video_id_of(sha256: str) -> str:
    """The identity of a video: the first 16 hex digits of the SHA-256 of its bytes."""
    if SHA256.fullmatch(sha256) is None:
        raise ValueError(f"a SHA-256 has 64 hex digits; got {sha256[:80]!r}")
    return sha256[:16]


def parse_inbox_key(key: str) -> tuple[str | None, str]:
    """`(camera, name)` of an object in the inbox, both as they stand there; the camera is None for one that lies in the inbox itself.

    ValueError for a key that is no file below the inbox.
    """
    segments = key.removeprefix(INBOX).split("/")
    if not key.startswith(INBOX) or not segments[-1] or any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(f"not a file in the inbox: {key[:200]!r}")
    return (segments[0] if len(segments) > 1 else None), segments[-1]


def video_prefix(video_id: str) -> str:
    """All objects of one video."""
    return f"videos/{_checked(video_id)}/"


def file_key(video_id: str, asset: str, sha256: str, extension: str) -> str:
    """The key of one content-addressed file."""
    if SHA256.fullmatch(sha256) is None or EXTENSION.fullmatch(extension) is None or asset not in ASSETS:
        raise ValueError(f"not a file of this platform: {asset!r}, {sha256[:80]!r}, {extension[:20]!r}")
    return f"videos/{_checked(video_id)}/{asset}/{sha256}.{extension}"


def manifest_key(video_id: str, asset: str) -> str:
    """The key of the manifest of one asset of one video."""
    if asset not in ASSETS:
        raise ValueError(f"not an asset of this platform: {asset!r}")
    return f"videos/{_checked(video_id)}/{asset}/manifest.json"


def answers_prefix(video_id: str, asset: str) -> str:
    """Below this lie answers about single frames while an asset of a video is made; they go when it is, or with the video."""
    if asset not in ASSETS:
        raise ValueError(f"not an asset of this platform: {asset!r}")
    return f"videos/{_checked(video_id)}/{asset}/answers/"


def answer_key(video_id: str, asset: str, asked_sha256: str) -> str:
    """The key of one of them; `asked_sha256` is of what was asked: frame, model, prompt and question."""
    if SHA256.fullmatch(asked_sha256) is None:
        raise ValueError(f"a SHA-256 has 64 hex digits; got {asked_sha256[:80]!r}")
    return f"{answers_prefix(video_id, asset)}{asked_sha256}.json"


def record_key(video_id: str) -> str:
    """The key of the copy of a video's rows; goes with the video when it is deleted."""
    return f"videos/{_checked(video_id)}/record.json"


def tombstone_key(video_id: str) -> str:
    """The key of the copy of a deleted video's tombstone."""
    return f"{TOMBSTONES}{_checked(video_id)}.json"


def rules_key(version: int, text_sha256: str) -> str:
    """The key of the copy of one version of the rule set."""
    if SHA256.fullmatch(text_sha256) is None or version < 1:
        raise ValueError(f"not a version of the rules: {version}, {text_sha256[:80]!r}")
    return f"{RULE_SETS}{version:08d}-{text_sha256[:16]}.json"


def digest_key(day: str, sha256: str, extension: str = "json") -> str:
    """The key of what happened on a day (`2026-11-23`), or of another file of its digest."""
    if SHA256.fullmatch(sha256) is None or EXTENSION.fullmatch(extension) is None:
        raise ValueError(f"not a file of a digest: {sha256[:80]!r}, {extension[:20]!r}")
    return f"days/{_day(day)}/{DAILY_DIGEST}/{sha256}.{extension}"


def digest_manifest_key(day: str) -> str:
    """The key of the manifest of a day's digest."""
    return f"days/{_day(day)}/{DAILY_DIGEST}/manifest.json"


def _day(text: str) -> str:
    if DAY.fullmatch(text) is None:
        raise ValueError(f"a day is written 2026-11-23; got {text[:80]!r}")
    return text


def parse_file_key(key: str) -> tuple[str, str, str, str]:
    """`(video_id, asset, sha256, extension)` of a content-addressed key; ValueError for any other key."""
    parts = key.split("/")
    if len(parts) == 4 and parts[0] == "videos" and is_video_id(parts[1]) and parts[2] in ASSETS:
        sha256, _, extension = parts[3].partition(".")
        if SHA256.fullmatch(sha256) and EXTENSION.fullmatch(extension):
            return parts[1], parts[2], sha256, extension
    raise ValueError(f"not the key of a file of this platform: {key[:200]!r}")


def _checked(video_id: str) -> str:
    if not is_video_id(video_id):
        raise ValueError(f"a video id is 16 hex digits; got {video_id[:80]!r}")
    return video_id


# ---- URL paths of the API (mounted below /api) and of the web app --------------------------------------------------------------------------------------

API_PREFIX = "/api"


def api_videos() -> str:
    """The collection of videos; POST takes footage in."""
    return f"{API_PREFIX}/videos"


def api_video(video_id: str) -> str:
    """One video."""
    return f"{API_PREFIX}/videos/{_checked(video_id)}"


def api_media(video_id: str, asset: str, filename: str) -> str:
    """Bytes of one file of one asset, with Range; needs a signature (see `api.media`)."""
    return f"{api_video(video_id)}/media/{quote(asset, safe='')}/{quote(filename, safe='')}"


def api_day(day: str) -> str:
    """One day."""
    return f"{API_PREFIX}/days/{_day(day)}"


def api_day_media(day: str, filename: str) -> str:
    """Bytes of one file of a day's digest, with Range; needs a signature."""
    return f"{api_day(day)}/media/{quote(filename, safe='')}"


def page_video(video_id: str, at_s: float | None = None) -> str:
    """The page of a video, at a moment if given; relative to the address of the web app."""
    moment = "" if at_s is None else f"&t={at_s:.2f}"
    return f"/video?video={_checked(video_id)}{moment}"
