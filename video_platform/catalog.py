"""The read side for the web app, the API and the CLI: videos, their assets, alerts and runs.

Pages come from the database with one query; manifests are read from the object store and remembered while their object is unchanged; Dagster's catalogue is
asked only about the video that is shown. Nothing here decodes, detects or writes results.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from datetime import datetime

from video_platform import layout
from video_platform.access import ANYONE, Person
from video_platform.catalog_dagster import DagsterCatalog, RunView
from video_platform.catalog_results import ResultReader
from video_platform.catalog_views import Addresses, AlertPage, AssetView, VideoCard, VideoDetail, VideoPage
from video_platform.errors import NotFound, VideoDeleted
from video_platform.hosts import url_of
from video_platform.records import (
    AlertRecord,
    Captions,
    FileEntry,
    Lifecycle,
    Manifest,
    Mark,
    NearMiss,
    Scene,
    Severity,
    Summary,
    TrackSheet,
    Transcript,
    VideoRecord,
    VideoState,
)
from video_platform.services import references
from video_platform.services.database import Database, ledger, marks, videos
from video_platform.services.object_store import ObjectStore
from video_platform.settings import Settings

ADDRESSES_FILE = "addresses.json"
"""Where `vp up` writes the addresses it really serves: {"web": "http://...", "dagster": "http://..."}."""


class Catalog:
    """The read side; safe to call from several threads.

    It shows all; `seen_by` gives what one person may see: everything else is not there, in lists, in counts and when it is asked for by name.
    """

    def __init__(self, settings: Settings, db: Database, store: ObjectStore) -> None:
        self._settings = settings
        self._db = db
        self._store = store
        self._dagster = DagsterCatalog(settings.dagster_home)
        self._results = ResultReader(store)
        self._person = ANYONE

    def seen_by(self, person: Person) -> "Catalog":
        """The same catalogue as this person may see it; it shares everything with this one, which stays the one to close."""
        if person.sees_all:
            return self
        seen = copy(self)
        seen._person = person  # noqa: SLF001  (its own kind)
        return seen

    @property
    def store(self) -> ObjectStore:
        """The store that the keys in all answers belong to."""
        return self._store

    @property
    def dagster(self) -> DagsterCatalog:
        """Dagster's side of it: what goes on at this moment."""
        return self._dagster

    # ---- videos ----------------------------------------------------------------------------------------------------------------------------------------

    def videos(
        self,
        *,
        state: VideoState | Sequence[VideoState] | None = None,
        camera: str | None = None,
        text: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> VideoPage:
        """Videos, newest first; deleted ones only when their state is asked for. Every word of `text` stands in the name, camera, title or id."""
        states = None if state is None else [state] if isinstance(state, VideoState) else list(state)
        records, total = videos.page(self._db, states=states, camera=camera, text=text, limit=limit, offset=offset, person=self._person)
        facts = videos.facts(self._db, [record.video_id for record in records]) if records else {}
        bare = [record.video_id for record in records if record.state is VideoState.READY and facts.get(record.video_id, videos.Facts()).thumbnail is None]
        posters = self._results.manifests([(video_id, layout.PROCESSED_VIDEO) for video_id in bare])
        cards: list[VideoCard] = []
        for record in records:
            known = facts.get(record.video_id, videos.Facts())
            thumbnail = known.thumbnail or _key(posters.get((record.video_id, layout.PROCESSED_VIDEO)), "poster")
            cards.append(VideoCard(record, thumbnail, known.title, dict(known.alerts)))
        return VideoPage(cards, total)

    def record(self, video_id: str) -> VideoRecord:
        """One video as the database knows it.

        Raises:
            NotFound: there never was such a video.
            VideoDeleted: there was one.
        """
        record = videos.get(self._db, video_id) if layout.is_video_id(video_id) else None
        if record is None or not self._person.may_see(record.camera):
            raise _no_video(video_id)
        if record.state is VideoState.DELETED:
            raise VideoDeleted(
                f"video {video_id} ({record.original_name[:120]!r}) was deleted on {record.updated_at:%Y-%m-%d %H:%M} UTC; ingest it again to have it back",
                video_id=video_id,
                deleted_at=record.updated_at,
            )
        return record

    def video(self, video_id: str) -> VideoDetail:
        """Everything about one video. Raises as `record` does."""
        record = self.record(video_id)
        materialisations = self._dagster.materialisations(video_id)
        manifests = self._results.manifests([(video_id, asset) for asset in layout.ASSETS])
        views: list[AssetView] = []
        for asset in layout.ASSETS:
            manifest, event = manifests.get((video_id, asset)), materialisations.get(asset)
            run_id = event.run_id if event else manifest.run_id if manifest else None
            views.append(AssetView(asset, manifest, run_id, event.at if event else manifest.created_at if manifest else None, bool(event and event.reused)))
        judged = [self._evaluation(manifests.get((video_id, asset))) for asset in (layout.ALERTS, layout.DESCRIBED_ALERTS)]
        return VideoDetail(record, views, [miss for misses, _ in judged for miss in misses], [each for _, unanswered in judged for each in unanswered])

    def cameras(self) -> list[str]:
        """Names of all cameras that have videos, sorted."""
        return videos.cameras(self._db, self._person)

    def counts(self) -> dict[VideoState, int]:
        """How many videos are in each state; every state is a key."""
        return videos.counts(self._db, self._person)

    # ---- results ---------------------------------------------------------------------------------------------------------------------------------------

    def manifest(self, video_id: str, asset: str) -> Manifest | None:
        """The manifest of one asset, None until it was made."""
        self._must_be_seen(video_id)
        return self._results.manifest(video_id, asset)

    def manifests(self, wanted: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Manifest]:
        """The manifests of several `(video_id, asset)`; those that are missing or out of reach are left out."""
        if not self._person.sees_all:
            ids = dict.fromkeys(video_id for video_id, _ in wanted)
            found = {video_id: videos.get(self._db, video_id) for video_id in ids if layout.is_video_id(video_id)}
            seen = {video_id for video_id, record in found.items() if record is not None and self._person.may_see(record.camera)}
            wanted = [each for each in wanted if each[0] in seen]
        return self._results.manifests(wanted)

    def tracks(self, video_id: str) -> TrackSheet | None:
        """All tracks in the form that the player draws, None until they were made."""
        self._must_be_seen(video_id)
        return self._results.model(video_id, layout.TRACKS, "player", TrackSheet)

    def summary(self, video_id: str) -> Summary | None:
        """The summary, None until it was written."""
        self._must_be_seen(video_id)
        return self._results.model(video_id, layout.LLM_SUMMARY, "summary", Summary)

    def captions(self, video_id: str) -> Captions | None:
        """What can be seen in its key frames, or why nobody says; None until that was made."""
        self._must_be_seen(video_id)
        return self._results.model(video_id, layout.CAPTIONS, "captions", Captions)

    def transcript(self, video_id: str) -> Transcript | None:
        """What is said, or why there is no text; None until somebody was to listen."""
        self._must_be_seen(video_id)
        return self._results.model(video_id, layout.TRANSCRIPT, "transcript", Transcript)

    def scenes(self, video_id: str) -> list[Scene]:
        """Scenes in order; empty until they were made. `thumbnail` is a file name of asset `scenes`."""
        self._must_be_seen(video_id)
        manifest = self._results.manifest(video_id, layout.SCENES)
        rows = self._results.json(manifest, "scenes")
        return [Scene(row["index"], row["start_s"], row["end_s"], row.get("thumbnail")) for row in rows] if isinstance(rows, list) else []

    def media_file(self, video_id: str, asset: str, name: str) -> FileEntry:
        """The file of a video that is called `name`: one that the asset's manifest lists, or the snapshot or clip of one of its alerts.

        Superseded alerts keep their pictures although the manifest has moved on.

        Raises:
            NotFound: no such file; also for anything that is not a content-addressed name of ours.
        """
        key = f"videos/{video_id}/{asset}/{name}"
        try:
            _, _, sha256, _ = layout.parse_file_key(key)
        except ValueError as error:
            raise NotFound("there is no such file", video_id=video_id[:80]) from error
        self._must_be_seen(video_id)
        manifest = self._results.manifest(video_id, asset)
        entry = next((entry for entry in manifest.files if entry.key == key), None) if manifest else None
        if entry is None and asset in (layout.ALERTS, layout.HIGHLIGHTS, layout.DESCRIBED_ALERTS) and ledger.shows(self._db, video_id, key):
            info = self._store.stat(key)
            entry = FileEntry(role="kept", key=key, size_bytes=info.size_bytes, sha256=sha256, media_type=info.media_type or "application/octet-stream")
        if entry is None:
            raise NotFound(f"asset {asset} of video {video_id} has no such file now; reload the page for its new version", video_id=video_id)
        return entry

    def _must_be_seen(self, video_id: str) -> None:
        """Pass when the person may see the video; one that is not there, or only as a tombstone, is left to who asks for it. Raises NotFound."""
        if self._person.sees_all:
            return
        record = videos.get(self._db, video_id) if layout.is_video_id(video_id) else None
        if record is None or not self._person.may_see(record.camera):
            raise _no_video(video_id)

    def open_file(self, entry: FileEntry, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of a file that `media_file` or a manifest named, from the store or from where the footage lies.

        Raises, on entering:
            FootageAway: the footage was taken in in place, and is not there or was changed.
            ObjectNotFound, StoreUnavailable: the object cannot be had.
        """
        try:
            video_id, asset, _, _ = layout.parse_file_key(entry.key)
        except ValueError:
            return self.store.open(entry.key, offset=offset, length=length)
        record = videos.get(self._db, video_id) if asset == layout.RAW_VIDEO else None
        if record is not None and record.reference_path is not None and record.object_key == entry.key:
            return references.reading(record, offset=offset, length=length)
        return self.store.open(entry.key, offset=offset, length=length)

    def _evaluation(self, manifest: Manifest | None) -> tuple[list[NearMiss], list[tuple[str, str]]]:
        found = self._results.json(manifest, "alerts")
        if not isinstance(found, dict):
            return [], []
        misses = [NearMiss(row["rule"], row["text"], row.get("at_s")) for row in found.get("near_misses", [])]
        return misses, [(row["rule"], row["reason"]) for row in found.get("cannot_evaluate", [])]

    # ---- alerts ----------------------------------------------------------------------------------------------------------------------------------------

    def alerts(
        self,
        *,
        video_id: str | None = None,
        rule: str | None = None,
        camera: str | None = None,
        severity: Severity | None = None,
        lifecycle: Lifecycle | None = Lifecycle.ACTIVE,
        mark: Mark | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> AlertPage:
        """Alerts, newest first. `since` and `until` bound the instant that an alert speaks of (its raising where the recording time is unknown)."""
        items, total = ledger.page(
            self._db,
            video_id=video_id,
            rule=rule,
            camera=camera,
            severity=severity,
            lifecycle=lifecycle,
            mark=mark,
            since=since,
            until=until,
            limit=limit,
            offset=offset,
            person=self._person,
        )
        return AlertPage(items, total)

    def alert(self, alert_id: str) -> AlertRecord:
        """One alert; NotFound when there is none with this id."""
        found = ledger.get(self._db, alert_id)
        if found is None or not self._person.may_see(found.camera):
            raise NotFound(f"there is no alert {alert_id[:80]!r}", alert_id=alert_id[:80])
        return found

    def changes(self, after: int) -> ledger.Changes:
        """What was raised, superseded, marked or given a picture after the revision `after`, in the order of the changes."""
        return ledger.since(self._db, after, person=self._person)

    def marked(
        self, *, by: marks.By = marks.By.ALL, rule: str | None = None, camera: str | None = None, since: datetime | None = None
    ) -> list[marks.MarkedAlerts]:
        """Per rule, version of the rules and span of time: how many alerts people found right, and how many false."""
        return marks.counts(self._db, by=by, rule=rule, camera=camera, since=since, person=self._person)

    def revision(self) -> int:
        """The number of the latest change of any alert."""
        return ledger.revision(self._db, self._person)

    # ---- runs ------------------------------------------------------------------------------------------------------------------------------------------

    def runs(self, video_id: str, limit: int = 20) -> list[RunView]:
        """The newest Dagster runs of a video, newest first; empty when there is no Dagster instance yet."""
        self._must_be_seen(video_id)
        return self._dagster.runs(video_id, limit)

    def run_url(self, run_id: str) -> str:
        """The address of a run in Dagster's own page."""
        return f"{self.addresses().dagster}/runs/{run_id}"

    def addresses(self) -> Addresses:
        """Where things are served: as `vp up` wrote it down, else as the settings say."""
        web, dagster = self._settings.web, self._settings.dagster
        found = {"web": url_of(web.host, web.port), "dagster": url_of(dagster.host, dagster.port)}
        try:
            written = json.loads((self._settings.home / ADDRESSES_FILE).read_text())
        except (OSError, ValueError):
            written = {}
        if isinstance(written, dict):
            found.update({name: value for name, value in written.items() if name in found and isinstance(value, str)})
        return Addresses(found["web"].rstrip("/"), found["dagster"].rstrip("/"))

    def forget(self, video_id: str) -> list[str]:
        """Remove a deleted video from Dagster: cancel its live runs, delete its partition, sweep what a dying run still wrote; the cancelled run ids.

        Call it after `Ingest.delete`. Calling it again changes nothing.
        """
        if not layout.is_video_id(video_id):
            raise NotFound(f"there is no video {video_id[:80]!r}", video_id=video_id[:80])
        cancelled = self._dagster.forget(video_id)
        record = videos.get(self._db, video_id)
        if record is not None and record.state is VideoState.DELETED:
            self._store.delete_prefix(layout.video_prefix(video_id))
        self._results.forget(video_id)
        return cancelled

    def close(self) -> None:
        """Let go of Dagster's instance."""
        self._dagster.close()


def _no_video(video_id: str) -> NotFound:
    return NotFound(f"there is no video {video_id[:80]!r}; the library, or `vp videos`, shows what is there", video_id=video_id[:80])


def _key(manifest: Manifest | None, role: str) -> str | None:
    entry = manifest.file(role) if manifest else None
    return entry.key if entry else None
