"""What the read side answers with: videos as cards and in full, their assets, pages of alerts, addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from video_platform.errors import FootageAway
from video_platform.records import AlertRecord, Manifest, NearMiss, Severity, VideoRecord
from video_platform.services import references

FIRST_NOTES = 4
"""Notes that people are shown of one video: a thousand pictures that could not be made are not a thousand lines."""

LACKS: Mapping[str, str] = {
    "no_audio": "no sound",
    "no_speech": "no speech",
    "unknown_language": "speech that was not understood",
    "not_transcribed": "nobody listened",
    "not_described": "no frame is described",
    "partly_described": "some frames are not described",
    "not_evaluated": "no rule of what is seen and said could be evaluated",
    "partly_evaluated": "some rules of what is seen and said could not be evaluated",
    "not_looked_at": "no alert was looked at again",
    "partly_looked_at": "some alerts were not looked at again",
}
"""What a transcript, captions, described alerts or a second look lack, by the state among their facts, whose `reason` says more; other states lack nothing."""


def first_notes(notes: Sequence[str]) -> list[str]:
    """The first of a video's notes, and how many more there are."""
    more = len(notes) - FIRST_NOTES
    return [*notes[:FIRST_NOTES], *([f"{more} more; `vp show --json` and the API give all of them."] if more > 0 else [])]


@dataclass(frozen=True)
class VideoCard:
    """One video in a list; `thumbnail` is an object key, `alerts` counts the active ones by severity (those with none are left out)."""

    record: VideoRecord
    thumbnail: str | None
    title: str | None
    alerts: dict[Severity, int]


@dataclass(frozen=True)
class VideoPage:
    """A page of videos, newest first, and how many there are in all."""

    items: list[VideoCard]
    total: int


@dataclass(frozen=True)
class AlertPage:
    """A page of alerts, newest first, and how many there are in all."""

    items: list[AlertRecord]
    total: int


@dataclass(frozen=True)
class AssetView:
    """One asset of a video; `manifest` is None until it was made. `run_id` is of the run that last made or confirmed it, `reused` says which of the two."""

    name: str
    manifest: Manifest | None
    run_id: str | None
    materialised_at: datetime | None
    reused: bool


@dataclass(frozen=True)
class VideoDetail:
    """All that the page of one video needs, except the tracks.

    `cannot_evaluate` holds `(rule, reason)`: rules that nothing here can evaluate, which is not the same as "nothing found".
    """

    record: VideoRecord
    assets: list[AssetView]
    near_misses: list[NearMiss]
    cannot_evaluate: list[tuple[str, str]]

    @property
    def away(self) -> FootageAway | None:
        """Why footage that stays where it lies cannot be read from here; None when it can, and for footage in the store."""
        if self.record.reference_path is None:
            return None
        try:
            references.locate(self.record)
        except FootageAway as error:
            return error
        return None

    @property
    def notes(self) -> list[str]:
        """What was noticed while the assets were made and validated, in their order, each once: a recording that is cut off, a picture that is missing."""
        return list(dict.fromkeys(note for asset in self.assets if asset.manifest for note in asset.manifest.verdict.notes))

    def asset(self, name: str) -> AssetView | None:
        """The asset with this name."""
        return next((asset for asset in self.assets if asset.name == name), None)


@dataclass(frozen=True)
class Addresses:
    """Where the web app and Dagster's own page are served; no slash at the end."""

    web: str
    dagster: str
