"""Bodies of plans and backfills, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from video_platform.api.shapes import Asked
from video_platform.planning_causes import Cause
from video_platform.records import Lane
from video_platform.services.database.backfills import MAX_BUDGET_S, State

MAX_VIDEOS = 1_000_000
"""Highest limit of videos, as `vp backfill start --limit`."""

Budget = Annotated[float, Field(strict=True, gt=0, le=MAX_BUDGET_S, allow_inf_nan=False, description="seconds that runs may hold their slots in all")]


class BackfillStart(Asked):
    """Why results are outdated, as the plan names it; at most `limit` videos, newest first; nothing more is asked for when `budget_s` is spent."""

    cause: Cause
    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_VIDEOS)] | None = None
    budget_s: Budget | None = None


class BackfillResume(Asked):
    """A budget in place of the one that was given before; one that is spent needs a greater one."""

    budget_s: Budget | None = None


class CausePlanOut(BaseModel):
    """What one cause outdates: `assets` counts videos by result; `seconds` is about how long one slot would take."""

    cause: Cause
    why: str
    assets: dict[str, int]
    videos: int
    seconds: float


class RunCostOut(BaseModel):
    """Seconds that a run takes beside its steps, measured over the last `measured` runs; 0 of them: an estimate."""

    seconds: float
    measured: int


class PlanOut(BaseModel):
    """What is outdated by cause; `seconds` is for all of them together, with one slot, and runs of backfills have `slots` of them.

    `current` of the `videos` have nothing to do. `run` is what is counted for each run that is needed. `unknown` says of a cause why it cannot be told now.
    """

    causes: list[CausePlanOut]
    videos: int
    current: int
    seconds: float
    slots: int
    run: RunCostOut
    unknown: dict[Cause, str]


class BackfillOut(BaseModel):
    """One backfill and how far it is.

    `waiting` and `asked` videos are what is `left`. `estimated_s` is of all, `spent_s` what runs really took of their slots, `left_s` the rest as far as
    those before tell, with one slot. `cause` is `again` for one result of one video that somebody asked for. `reason` says why it stopped by itself.
    """

    id: str
    cause: str
    lane: Lane
    state: State
    reason: str | None
    who: str
    created_at: datetime
    updated_at: datetime
    budget_s: float | None
    videos: int
    waiting: int
    asked: int
    done: int
    reused: int
    failed: int
    cancelled: int
    left: int
    estimated_s: float
    spent_s: float
    left_s: float


class BackfillsOut(BaseModel):
    """Backfills, newest first."""

    items: list[BackfillOut]


class BackfillFailure(BaseModel):
    """A video that a backfill gave up, and why; its results before stay."""

    video_id: str
    message: str | None


class BackfillDetailOut(BackfillOut):
    """One backfill with the first of its failed videos."""

    failures: list[BackfillFailure]
