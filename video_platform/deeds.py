"""What a person asks for: whether they may, the doing, and the line in the audit log. API, web app and `vp` change things through this alone."""

from dataclasses import dataclass
from datetime import UTC, datetime

from video_platform import detectors, rules
from video_platform.access import ANYONE, Person, Role
from video_platform.catalog import Catalog
from video_platform.errors import InputError, NotAllowed
from video_platform.ingest import Deleted, Ingested
from video_platform.platform import Platform
from video_platform.records import AlertRecord, Lane, Mark, VideoState
from video_platform.services.database import audit, ledger, rulesets, videos
from video_platform.services.database.rulesets import RuleVersion


@dataclass(frozen=True)
class Deeds:
    """What `person` does on a platform. `catalog` may be anybody's: it is looked at as this person."""

    platform: Platform
    catalog: Catalog
    person: Person

    @property
    def seen(self) -> Catalog:
        """The catalogue as this person may see it."""
        return self.catalog.seen_by(self.person)

    def process(self, video_id: str, lane: Lane = Lane.REQUEST, *, force: bool = False) -> None:
        """Ask for a video's whole graph; what nothing changed for is reused."""
        self.person.must(Role.OPERATOR, "have videos processed")
        self.seen.record(video_id)
        self.platform.ingest.request_processing(video_id, lane=lane, force=force)
        self._note("video-process", video_id, lane=str(lane), force=force)

    def retry(self, video_id: str) -> None:
        """Try a failed or stuck video again, or the summary that failed."""
        self.person.must(Role.OPERATOR, "have videos processed")
        self.seen.record(video_id)
        self.platform.ingest.retry(video_id)
        self._note("video-retry", video_id)

    def process_again(self, video_id: str) -> None:
        """Retry a failed video, ask for the graph of any other."""
        if self.seen.record(video_id).state is VideoState.FAILED:
            self.retry(video_id)
        else:
            self.process(video_id)

    def correct(self, video_id: str, *, camera: str | None = None, recorded_at: datetime | None = None) -> bool:
        """Correct camera or recording time; returns whether something changed."""
        self.person.must(Role.OPERATOR, "correct videos")
        before = self.seen.record(video_id)
        if camera is not None and not self.person.may_see(camera):
            raise NotAllowed(f"{self.person.name} may move videos between their own cameras only", person=self.person.name)
        changed = self.platform.ingest.correct(video_id, camera=camera, recorded_at=recorded_at)
        if changed:
            stated: dict[str, list[str | None]] = {"camera": [before.camera, camera]} if camera not in (None, before.camera) else {}
            if recorded_at is not None:
                stated["recorded_at"] = [before.recorded_at.isoformat() if before.recorded_at else None, recorded_at.isoformat()]
            self._note("video-correct", video_id, **stated)
        return changed

    def delete(self, video_id: str) -> tuple[Deleted, list[str]]:
        """Remove a video with everything made of it; what was removed, and the runs that were cancelled. Again, it completes what was interrupted."""
        self.person.must(Role.ADMIN, "delete videos")
        deleted = self.platform.ingest.delete(video_id, self.person.name)
        record = videos.get(self.platform.db, video_id)
        if not deleted.already and record is not None:
            self._note("video-delete", video_id, name=record.original_name, camera=record.camera)
        return deleted, self.catalog.forget(video_id)

    def mark(self, alert_id: str, mark: Mark, who: str | None = None) -> AlertRecord:
        """Say what this person thinks of an alert."""
        self.person.must(Role.OPERATOR, "mark alerts")
        before, name = self.seen.alert(alert_id), self.signed(who)
        now = datetime.now(UTC)
        record = ledger.mark(self.platform.db, alert_id, mark, name, now)
        if before.mark is not mark:
            audit.note(self.platform.db, name, "alert-mark", alert_id, now=now, video=record.video_id, mark=str(mark))
        return record

    def apply_rules(self, text: str, *, source: str, why: str, who: str | None = None) -> RuleVersion:
        """Make `text` the active rule set.

        Raises:
            RulesError: it cannot be one; nothing changes.
        """
        self.person.must(Role.ADMIN, "change rules")
        name, db = self.signed(who), self.platform.db
        rules.parse(text, classes=detectors.class_names(self.platform.settings.detection.model), source=source)
        before = rulesets.active(db)
        now = datetime.now(UTC)
        version = rulesets.apply(db, text, source=source, who=name, why=why, now=now)
        if before is None or before.id != version.id:
            audit.note(db, name, "rules-apply", f"version {version.id}", now=now, source=source, why=why, hash=version.hash)
        return version

    def evaluate_again(self) -> list[str]:
        """Ask, in lane backfill, for the videos that the active rules would judge differently; which they are."""
        self.person.must(Role.OPERATOR, "have videos evaluated again")
        asked = rulesets.outdated(self.platform.db, self.person)
        for video_id in asked:
            self.platform.ingest.request_processing(video_id, lane=Lane.BACKFILL)
        if asked:
            self._note("rules-evaluate", videos=len(asked))
        return asked

    def uploaded(self, ingested: Ingested) -> None:
        """Note footage that this person brought."""
        if ingested.created or ingested.again:
            self._note("video-upload", ingested.video_id, name=ingested.record.original_name, camera=ingested.record.camera)

    def signed(self, who: str | None) -> str:
        """Under which name a deed is kept: that of the person; where nobody signs in, what was said.

        Raises:
            InputError: somebody who is signed in gave another name.
        """
        if self.person == ANYONE:
            return who or self.person.name
        if who not in (None, "", self.person.name):
            raise InputError(f"this is kept under the name of who is signed in, {self.person.name!r}; leave `who` out")
        return self.person.name

    def _note(self, action: str, subject: str = "", **detail: object) -> None:
        audit.note(self.platform.db, self.person.name, action, subject, now=datetime.now(UTC), **detail)
