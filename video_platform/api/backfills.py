"""What a change outdates, and having it made again: the plan by cause, and backfills."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from video_platform.api import shapes
from video_platform.api.services import Ours
from video_platform.api.shapes_backfills import (
    BackfillDetailOut,
    BackfillFailure,
    BackfillOut,
    BackfillResume,
    BackfillsOut,
    BackfillStart,
    CausePlanOut,
    PlanOut,
    RunCostOut,
)
from video_platform.planning_causes import CAUSE_WORDS, EVERY, Cause
from video_platform.services.database import backfills
from video_platform.services.database.backfills import Backfill, ItemState, State

router = APIRouter(tags=["backfills"])

SHOWN_FAILURES = 200
"""Failed videos of one backfill that an answer names; `vp backfill status ID --json` names all."""

Id = Annotated[str, Path(pattern="^[0-9a-f-]{1,36}$", description="its id, or the beginning of it where that names only one")]


@router.get("/plan", operation_id="get_plan")
def get_plan(ours: Ours, cause: Annotated[list[Cause] | None, Query(description="only of these causes")] = None) -> PlanOut:
    """Say what results are outdated, why, and about how long making them again would take. Changes nothing; reads every manifest, so it takes its time."""
    found = ours.deeds.plan(cause or EVERY)
    causes = [
        CausePlanOut(cause=each.cause, why=CAUSE_WORDS[each.cause], assets=each.assets, videos=len(each.videos), seconds=round(each.seconds, 1))
        for each in found.causes
    ]
    return PlanOut(
        causes=causes,
        videos=found.videos,
        current=found.current,
        seconds=round(found.seconds, 1),
        slots=ours.platform.settings.runs.backfill_slots,
        run=RunCostOut(seconds=round(found.run.seconds, 2), measured=found.run.runs),
        unknown=dict(found.unknown),
    )


@router.get("/backfills", operation_id="list_backfills")
def list_backfills(ours: Ours, state: Annotated[list[State] | None, Query(description="only in these states")] = None, limit: shapes.Page = 50) -> BackfillsOut:
    """Backfills, newest first, and how far each is."""
    return BackfillsOut(items=[_out(each) for each in backfills.page(ours.platform.db, limit=limit, states=state or tuple(State))])


@router.post("/backfills", operation_id="start_backfill", status_code=201)
def start_backfill(ours: Ours, given: BackfillStart) -> BackfillOut:
    """Have what a cause outdates made again, behind everything else; nobody is notified. One of each cause is open at a time (409)."""
    return _out(ours.deeds.start_backfill(given.cause, limit=given.limit, budget_s=given.budget_s))


@router.get("/backfills/{backfill}", operation_id="get_backfill")
def get_backfill(ours: Ours, backfill: Id) -> BackfillDetailOut:
    """How far one backfill is, and which of its videos failed."""
    found = backfills.get(ours.platform.db, backfill)
    failed = backfills.listed(ours.platform.db, found.id, states=[ItemState.FAILED], limit=SHOWN_FAILURES)
    failures = [BackfillFailure(video_id=item.video_id, message=item.message) for item in failed]
    return BackfillDetailOut(**_out(found).model_dump(), failures=failures)


@router.post("/backfills/{backfill}/pause", operation_id="pause_backfill")
def pause_backfill(ours: Ours, backfill: Id) -> BackfillOut:
    """Ask for nothing more of it and take what waits out of the queue; runs that have begun come to their end."""
    return _out(ours.deeds.turn_backfill(backfill, State.PAUSED))


@router.post("/backfills/{backfill}/resume", operation_id="resume_backfill")
def resume_backfill(ours: Ours, backfill: Id, given: BackfillResume | None = None) -> BackfillOut:
    """Go on with one that was paused or has spent its budget; the second needs a greater one."""
    return _out(ours.deeds.turn_backfill(backfill, State.RUNNING, budget_s=None if given is None else given.budget_s))


@router.post("/backfills/{backfill}/cancel", operation_id="cancel_backfill")
def cancel_backfill(ours: Ours, backfill: Id) -> BackfillOut:
    """End it for good; what is made stays."""
    return _out(ours.deeds.turn_backfill(backfill, State.CANCELLED))


def _out(backfill: Backfill) -> BackfillOut:
    named = ("id", "cause", "lane", "state", "reason", "who", "created_at", "updated_at", "budget_s", "left")
    sums = {name: round(getattr(backfill, name), 1) for name in ("estimated_s", "spent_s", "left_s")}
    counts = {str(state): count for state, count in backfill.counts.items()}
    return BackfillOut(**{name: getattr(backfill, name) for name in named}, videos=backfill.total, **counts, **sums)
