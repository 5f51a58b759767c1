"""Bodies of rules and of what they would find in the past, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool

from video_platform.api.shapes import MAX_CURSOR, AlertOut, Asked, Instant, Page, Text
from video_platform.services.database.marks import By

MAX_RULES_TEXT = 512 * 1024
"""Characters of a rules file."""


class RulesText(Asked):
    """A rules file to be checked."""

    text: Annotated[str, Field(max_length=MAX_RULES_TEXT)]


Base = Annotated[int, Field(strict=True, ge=1, le=MAX_CURSOR)]
"""Number of the version that was active when a draft was made, tried or compared."""


class RulesApplication(RulesText):
    """A rules file to be made the active one, and why. `who` is for installations without sign-in; else it is whoever asks.

    With `base` it is refused (409) once another version than this one is active, so that nobody undoes unseen what somebody else changed.
    """

    who: Text | None = None
    why: Annotated[str, Field(max_length=500)] = ""
    base: Base | None = None


class Draft(RulesText):
    """A rules file to be tried on all that is stored: videos that ended after `since`, of one camera or a pattern of cameras; `limit` alerts of each kind."""

    since: Instant | None = None
    camera: Annotated[Text, Field(min_length=1)] | None = None
    limit: Page = 100


class RulesPromotion(RulesApplication):
    """A rules file to be made the active one for the past too; `notify_past` notifies channels of what it finds there."""

    notify_past: StrictBool = False


class RulesRollback(Asked):
    """Why an earlier version comes back. `who` is for installations without sign-in; else it is whoever asks. With `base` that one has to be active still."""

    who: Text | None = None
    why: Annotated[str, Field(max_length=500)] = ""
    base: Base | None = None
    notify_past: StrictBool = False


class ProblemOut(BaseModel):
    """One thing wrong in a rules file; line and column count from 1, 0 when unknown; `file` names an included one."""

    message: str
    field: str
    line: int
    column: int
    file: str = ""


class CheckedRules(BaseModel):
    """Whether a rules file can be used; `cannot_evaluate` says of rules that nothing here can evaluate what to install or set."""

    ok: bool
    rules: list[str]
    problems: list[ProblemOut]
    cannot_evaluate: dict[str, str] = Field(default_factory=dict)


class RuleVersionOut(BaseModel):
    """A rule set that is, or was, active."""

    id: int
    text: str
    hash: str
    source: str
    who: str
    why: str
    applied_at: datetime


class DraftOut(BaseModel):
    """The rules file of the settings, when it differs from the active rule set or cannot be used.

    `changes` says what is different: "rule crossing" -> "added", "removed" or "changed"; it is empty when only comments or order are.
    """

    path: str
    text: str | None
    changes: dict[str, str]
    problems: list[ProblemOut]


class RulesOut(BaseModel):
    """The active rule set, and the draft that waits in the rules file, if any."""

    active: RuleVersionOut | None
    draft: DraftOut | None


class RuleVersionsOut(BaseModel):
    """Versions of the rule set, newest first; the first is active."""

    items: list[RuleVersionOut]


class MarkedRule(BaseModel):
    """The alerts of one rule that one version of the rules raised, over one span: how many people found right, and how many false.

    `start` is the first day of the span, null for all of time. `precision` is the right ones among those with a mark, null without any.
    """

    rule: str
    version: str
    start: str | None
    acknowledged: int
    false: int
    unmarked: int
    precision: float | None


class RulePrecision(BaseModel):
    """What people's marks say of the rules."""

    by: By
    rules: list[MarkedRule]


class RulesDiff(BaseModel):
    """What differs between two versions: by name (null where this program cannot read one of them), and line by line."""

    before: int
    after: int
    changes: dict[str, str] | None
    diff: str


class RuleCountOut(BaseModel):
    """How many alerts of one rule and camera a draft would add, remove and leave."""

    rule: str
    camera: str
    added: int
    removed: int
    unchanged: int


class LeftOut(BaseModel):
    """A video that was not judged, and why."""

    video_id: str
    reason: str


class Unanswered(BaseModel):
    """A rule that cannot be evaluated, why, and in how many videos."""

    rule: str
    reason: str
    videos: int


class WhatIfOut(BaseModel):
    """What a draft would change, compared with the alerts under version `base_version`.

    `rules` counts all alerts, the lists hold the first of each kind: added ones as they would be, the others as they are.
    """

    base_version: int | None
    videos: int
    hours: float
    took_s: float
    rules: list[RuleCountOut]
    cannot_evaluate: list[Unanswered]
    left_out: list[LeftOut]
    added: list[AlertOut]
    removed: list[AlertOut]
    unchanged: list[AlertOut]


class PromotedOut(BaseModel):
    """The version that is active now, and what became of the alerts of stored videos; pictures and clips follow in a backfill.

    `waiting` are rules that a vision model is to be asked about first, which that backfill does too.
    """

    version: RuleVersionOut
    videos: int
    raised: int
    superseded: int
    revived: int
    kept: int
    notified: int
    left_out: list[LeftOut]
    waiting: list[Unanswered]
