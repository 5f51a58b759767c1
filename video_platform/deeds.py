"""What a person asks for: whether they may, the doing, and the line in the audit log. API, web app and `vp` change things through this alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from video_platform import detectors, history, keeping, planning, rules
from video_platform.access import ANYONE, Person, Role
from video_platform.catalog import Catalog
from video_platform.errors import InputError, NotAllowed, StateError
from video_platform.ingest import Deleted
from video_platform.layout import ASSETS, DESCRIBED_ALERTS
from video_platform.planning import Plan, PlannedVideo
from video_platform.planning_causes import CAUSE_WORDS, EVERY, Cause
from video_platform.planning_costs import BATCHED
from video_platform.planning_present import Present
from video_platform.platform import Platform
from video_platform.records import AlertRecord, Lane, Mark, VideoRecord, VideoState
from video_platform.services.database import audit, backfills, ledger, measures, rulesets
from video_platform.services.database.backfills import Backfill, State, Wanted
from video_platform.services.database.rulesets import RuleVersion

TURNS: Mapping[State, str] = {State.PAUSED: "backfill-pause", State.RUNNING: "backfill-resume", State.CANCELLED: "backfill-cancel"}
"""What the audit log calls it when somebody brings a backfill into this state."""


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
        self.platform.ingest.request_processing(
            video_id, lane=lane, force=force, noted=lambda _: self._note("video-process", video_id, lane=str(lane), force=force)
        )

    def retry(self, video_id: str) -> None:
        """Try a failed or stuck video again, or the summary that failed."""
        self.person.must(Role.OPERATOR, "have videos processed")
        self.seen.record(video_id)
        self.platform.ingest.retry(video_id, noted=lambda _: self._note("video-retry", video_id))

    def process_again(self, video_id: str) -> None:
        """Retry a failed video, ask for the graph of any other."""
        if self.seen.record(video_id).state is VideoState.FAILED:
            self.retry(video_id)
        else:
            self.process(video_id)

    def correct(self, video_id: str, *, camera: str | None = None, recorded_at: datetime | None = None) -> bool:
        """Correct camera or recording time; returns whether something changed."""
        self.person.must(Role.OPERATOR, "correct videos")
        self.seen.record(video_id)
        if camera is not None and not self.person.may_see(camera):
            raise NotAllowed(f"{self.person.name} may move videos between their own cameras only", person=self.person.name)

        def noted(before: VideoRecord) -> None:
            stated: dict[str, list[str | None]] = {"camera": [before.camera, camera]} if camera not in (None, before.camera) else {}
            if recorded_at is not None:
                stated["recorded_at"] = [before.recorded_at.isoformat() if before.recorded_at else None, recorded_at.isoformat()]
            self._note("video-correct", video_id, **stated)

        return self.platform.ingest.correct(video_id, camera=camera, recorded_at=recorded_at, noted=noted)

    def delete(self, video_id: str) -> tuple[Deleted, list[str]]:
        """Remove a video with everything made of it; what was removed, and the runs that were cancelled. Again, it completes what was interrupted."""
        self.person.must(Role.ADMIN, "delete videos")
        deleted = self.platform.ingest.delete(
            video_id, self.person.name, noted=lambda before: self._note("video-delete", video_id, name=before.original_name, camera=before.camera)
        )
        return deleted, self.catalog.forget(video_id)

    def mark(self, alert_id: str, mark: Mark, who: str | None = None) -> AlertRecord:
        """Say what this person thinks of an alert."""
        self.person.must(Role.OPERATOR, "mark alerts")
        before, name = self.seen.alert(alert_id), self.signed(who)
        now = datetime.now(UTC)
        with self.platform.db.together():
            record = ledger.mark(self.platform.db, alert_id, mark, name, now)
            if before.mark is not mark:
                audit.note(self.platform.db, name, "alert-mark", alert_id, now=now, video=record.video_id, mark=str(mark))
        return record

    def apply_rules(self, text: str, *, source: str, why: str, who: str | None = None, action: str = "rules-apply", base: int | None = None) -> RuleVersion:
        """Make `text` the active rule set; it judges what comes from now on. `action` is what the audit log calls it, `base` the version it was made from.

        Raises:
            RulesError: it cannot be one; nothing changes.
            RulesMovedOn: another version than `base` is active; nothing changes.
        """
        self.person.must(Role.ADMIN, "change rules")
        name, db = self.signed(who), self.platform.db
        rules.parse(text, classes=detectors.class_names(self.platform.settings), source=source)
        before = rulesets.active(db)
        now = datetime.now(UTC)
        with db.together():
            version = rulesets.apply(db, text, source=source, who=name, why=why, now=now, base=base)
            if before is None or before.id != version.id:
                audit.note(db, name, action, f"version {version.id}", now=now, source=source, why=why, hash=version.hash)
        keeping.keep_rules_quietly(db, self.platform.store)
        return version

    def try_rules(self, text: str, *, since: datetime | None = None, camera: str | None = None, on_progress: history.Progress | None = None) -> history.WhatIf:
        """What the rules in `text` would change in the alerts of all that is stored; nothing is written, nobody notified.

        Raises:
            RulesError: they cannot be rules.
        """
        self._must_try(text)
        return history.what_if(self.platform, text, since=since, camera=camera, on_progress=on_progress)

    def try_rules_on(self, text: str, video_id: str) -> history.OneVideo:
        """What the rules in `text` would change in the alerts of one video, at once; nothing is written, nobody notified.

        Raises:
            RulesError: they cannot be rules.
            NotFound, VideoDeleted: there is no such video.
        """
        self._must_try(text)
        return history.what_if_of_one(self.platform, text, self.seen.record(video_id))

    def _must_try(self, text: str) -> None:
        self.person.must(Role.OPERATOR, "try rules")
        if not self.person.sees_all:
            raise NotAllowed(f"{self.person.name} sees some cameras only, and rules tell of all of them", person=self.person.name)
        rules.parse(text, classes=detectors.class_names(self.platform.settings))

    def promote_rules(
        self,
        text: str,
        *,
        source: str,
        why: str,
        who: str | None = None,
        notify_past: bool = False,
        action: str = "rules-promote",
        base: int | None = None,
        on_progress: history.Progress | None = None,
    ) -> tuple[RuleVersion, history.Reconciled]:
        """Make `text` the active rule set and bring the alerts of all that is stored to it; nobody is notified of the past unless `notify_past`.

        Asked again, it goes on where it was interrupted.

        Raises:
            RulesError: it cannot be one; nothing changes.
            RulesMovedOn: another version than `base`, which it was made from, is active; nothing changes.
            WorkerError: the version is active, and not every video was judged by it yet.
        """
        if not why.strip():
            raise InputError("say why (`--why`), so that the next reader of the list of versions knows")
        version = self.apply_rules(text, source=source, why=why, who=who, action=action, base=base)
        return version, self.reconcile_rules(notify_past=notify_past, who=who, on_progress=on_progress)

    def roll_back_rules(
        self,
        version_id: int,
        *,
        why: str,
        who: str | None = None,
        notify_past: bool = False,
        base: int | None = None,
        on_progress: history.Progress | None = None,
    ) -> tuple[RuleVersion, history.Reconciled]:
        """Promote what an earlier version said; it is a new version too, so that nothing that happened is lost. `base` is the version that is to go.

        Raises:
            NotFound: there is no such version.
            RulesError: this program cannot read it.
            RulesMovedOn: another version than `base` is active; nothing changes.
        """
        earlier = rulesets.get(self.platform.db, version_id)
        given = {"why": why, "who": who, "notify_past": notify_past, "base": base, "on_progress": on_progress}
        return self.promote_rules(earlier.text, source=f"version {earlier.id}", action="rules-rollback", **given)  # type: ignore[arg-type]

    def reconcile_rules(self, *, notify_past: bool = False, who: str | None = None, on_progress: history.Progress | None = None) -> history.Reconciled:
        """Bring the alerts of all videos that other rules judged to what the active rules say; a backfill makes their pictures and clips.

        The backfill would bring the alerts too, in hours instead of seconds, so it is there before: what is interrupted here comes to an end there. Where
        people are to be notified of the past, which a backfill never does, it comes after, and then also for what an interrupted promotion of these rules did.
        """
        self.person.must(Role.ADMIN, "change rules")
        outdated, described = rulesets.outdated(self.platform.db), rulesets.outdated(self.platform.db, asset=DESCRIBED_ALERTS)
        if not notify_past:
            self._follow(outdated, described)
        done = history.reconcile(self.platform, notify_past=notify_past, on_progress=on_progress)
        if notify_past:
            brought, told = rulesets.brought(self.platform.db), rulesets.brought(self.platform.db, asset=DESCRIBED_ALERTS)
            self._follow(list(dict.fromkeys([*outdated, *brought])), list(dict.fromkeys([*described, *told])))
        if done.videos:
            counts: dict[str, Any] = {
                "videos": done.videos,
                "raised": done.raised,
                "superseded": done.superseded,
                "revived": done.revived,
                "notified": done.notified,
            }
            audit.note(self.platform.db, self.signed(who), "rules-reconcile", now=datetime.now(UTC), **counts)
        return done

    def evaluate_again(self) -> list[str]:
        """Have a backfill go over the videos that the active rules would judge differently; which they are. One that is open takes them up."""
        self.person.must(Role.OPERATOR, "have videos evaluated again")
        wanted = self.plan([Cause.RULES], among=rulesets.outdated_in_any(self.platform.db, self.person)).cause(Cause.RULES).videos
        if wanted:
            with self.platform.db.together():
                backfills.start(self.platform.db, Cause.RULES, _wanted(wanted), who=self.person.name, now=datetime.now(UTC), join=True)
                self._note("rules-evaluate", videos=len(wanted))
        return [video.video_id for video in wanted]

    def _follow(self, outdated: Sequence[str], described: Sequence[str]) -> None:
        """Have a backfill make the pictures and clips of outdated videos, and what is to be `described` anew. What of them is current is looked at video by
        video, when their turn comes.
        """
        parts = {BATCHED: set(outdated), (DESCRIBED_ALERTS,): set(described)}
        usual_s = {assets: measures.usual_s(self.platform.db, assets) for assets in parts}
        wanted = []
        for video_id in dict.fromkeys([*outdated, *described]):
            mine = [assets for assets, video_ids in parts.items() if video_id in video_ids]
            wanted.append(Wanted(video_id, [asset for assets in mine for asset in assets], sum(usual_s[assets] for assets in mine)))
        if wanted:
            backfills.start(self.platform.db, Cause.RULES, wanted, who=self.person.name, now=datetime.now(UTC), join=True)

    def plan(self, causes: Collection[Cause] = EVERY, among: Collection[str] | None = None) -> Plan:
        """What would be made again of the videos that this person may see, or those `among` them, and why.

        Asks the language-model server where summaries or captions count.
        """
        self.person.must(Role.OPERATOR, "plan backfills")
        db, settings = self.platform.db, self.platform.settings
        present, held = Present.for_causes(settings, db, causes), self.catalog.dagster.held_s
        return planning.make(db, self.platform.store, present, held, causes=causes, person=self.person, among=among)

    def start_backfill(self, cause: Cause, *, limit: int | None = None, budget_s: float | None = None) -> Backfill:
        """Have what a cause outdates made again, newest videos first, behind everything else.

        Raises:
            StateError: nothing is outdated for this cause, it cannot be told now, or a backfill of it is open.
        """
        self._must_see_all()
        plan = self.plan([cause])
        if cause in plan.unknown:
            raise StateError(f"what of it is outdated cannot be told now: {plan.unknown[cause]}")
        chosen = plan.cause(cause).videos[:limit]
        if not chosen:
            raise StateError(f"nothing is outdated because {CAUSE_WORDS[cause]}: {plan.videos} {'video is' if plan.videos == 1 else 'videos are'} current")
        with self.platform.db.together():
            started = backfills.start(self.platform.db, cause, _wanted(chosen), who=self.person.name, now=datetime.now(UTC), budget_s=budget_s)
            self._note("backfill-start", started.id, cause=str(cause), videos=len(chosen), budget_s=budget_s)
        return started

    def turn_backfill(self, backfill_id: str, wanted: State, *, budget_s: float | None = None) -> Backfill:
        """Pause (PAUSED), resume (RUNNING) or cancel (CANCELLED) a backfill; `budget_s` is its new budget. The beginning of its id is enough.

        Raises:
            NotFound, StateError: there is none, or it is over, or its budget is spent and no greater one is given.
        """
        self.person.must(Role.OPERATOR, "run backfills")
        self._must_see_all()
        before = backfills.get(self.platform.db, backfill_id)
        budget = before.budget_s if budget_s is None else budget_s
        if wanted is State.RUNNING and budget is not None and budget <= before.spent_s:
            raise StateError(f"the budget of {budget:.0f} s is spent ({before.spent_s:.0f} s); give a greater one")
        with self.platform.db.together():
            after = backfills.turn(self.platform.db, before.id, wanted, now=datetime.now(UTC), budget_s=budget_s)
            if after.state is not before.state:
                self._note(TURNS[wanted], before.id, cause=before.cause)
        return after

    def again(self, video_id: str, asset: str) -> PlannedVideo:
        """Have one result of a video made again, although nothing changed, before any backfill; what follows is made where its content changes.

        Returns what it takes at most.
        """
        self.person.must(Role.OPERATOR, "have videos processed")
        wanted = self.cost_of(video_id, asset)
        if self.seen.record(video_id).state is not VideoState.READY:
            raise StateError(f"video {video_id} is not ready, so nothing of it can be made again alone; `vp retry {video_id}` asks for all of it")
        now = datetime.now(UTC)
        with self.platform.db.together():
            backfills.start(self.platform.db, backfills.AGAIN, _wanted([wanted]), who=self.person.name, now=now, lane=Lane.REQUEST, force=asset)
            self._note("video-again", video_id, asset=asset)
        return wanted

    def cost_of(self, video_id: str, asset: str) -> PlannedVideo:
        """What `again` would take at most.

        Raises:
            InputError: no result is called so.
        """
        if asset not in ASSETS:
            raise InputError(f"no result is called {asset[:80]!r}; there are {', '.join(ASSETS)}", asset=asset[:80])
        platform, record = self.platform, self.seen.record(video_id)
        return planning.again(platform.db, platform.store, platform.settings, self.catalog.dagster.held_s, record, asset)

    def _must_see_all(self) -> None:
        if not self.person.sees_all:
            raise NotAllowed("a backfill goes over all cameras; operators and admins who see all of them may run one", person=self.person.name)

    def uploaded(self, video: VideoRecord) -> None:
        """Note footage that this person brought; for whoever takes it in, within the transaction of it."""
        self._note("video-upload", video.video_id, name=video.original_name, camera=video.camera)

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


def _wanted(planned: Sequence[PlannedVideo]) -> list[Wanted]:
    return [Wanted(video.video_id, video.assets, video.seconds) for video in planned]
