"""Rules over the past: trying a draft on everything that is stored, promoting it, and the versions there were."""

import difflib
from typing import Annotated

from fastapi import APIRouter, Path, Query

from video_platform import history, rules
from video_platform.api import alerts, shapes, shapes_rules
from video_platform.api.rules import version_out
from video_platform.api.services import Ours
from video_platform.errors import RulesError
from video_platform.services.database import rulesets
from video_platform.services.database.marks import By

router = APIRouter(prefix="/rules", tags=["rules"])

Version = Annotated[int, Query(ge=1, le=shapes.MAX_CURSOR)]


@router.post("/what-if", operation_id="what_if")
def what_if(ours: Ours, given: shapes_rules.Draft) -> shapes_rules.WhatIfOut:
    """Say which alerts a rules file would add, remove and leave in everything that is stored. Nothing is written, nobody is notified."""
    found = ours.deeds.try_rules(given.text, since=given.since, camera=given.camera)
    try:
        lists = {
            what: [alerts.shown(ours, each) for each in found.alerts(ours.platform, what, limit=given.limit)] for what in ("added", "removed", "unchanged")
        }
    finally:
        found.forget()
    return shapes_rules.WhatIfOut(
        base_version=found.base,
        videos=found.videos,
        hours=found.hours,
        took_s=found.took_s,
        rules=[
            shapes_rules.RuleCountOut(rule=each.rule, camera=each.camera, added=each.added, removed=each.removed, unchanged=each.unchanged)
            for each in found.counts
        ],
        cannot_evaluate=_unanswered(found.cannot_evaluate),
        left_out=_left_out(found.left_out),
        **lists,
    )


@router.post("/promote", operation_id="promote_rules")
def promote_rules(ours: Ours, given: shapes_rules.RulesPromotion) -> shapes_rules.PromotedOut:
    """Make a rules file the active one and bring the alerts of all stored videos to it. Interrupted, the same request goes on where it was."""
    asked = {"why": given.why, "who": given.who, "notify_past": given.notify_past, "base": given.base}
    return _promoted(*ours.deeds.promote_rules(given.text, source="api", **asked))  # type: ignore[arg-type]


@router.get("/versions", operation_id="rule_versions")
def rule_versions(ours: Ours, limit: shapes.Page = 50) -> shapes_rules.RuleVersionsOut:
    """The versions of the rule set, newest first."""
    return shapes_rules.RuleVersionsOut(items=[version_out(each) for each in rulesets.versions(ours.platform.db, limit)])


@router.get("/precision", operation_id="rule_precision")
def rule_precision(
    ours: Ours, by: By = By.ALL, rule: shapes.Text | None = None, camera: shapes.Text | None = None, since: shapes.Instant | None = None
) -> shapes_rules.RulePrecision:
    """Of the alerts that people marked, how many were right: per rule, version of the rules and span of time."""
    found = ours.catalog.marked(by=by, rule=rule, camera=camera, since=since)
    return shapes_rules.RulePrecision(by=by, rules=[shapes_rules.MarkedRule.model_validate(each.as_json()) for each in found])


@router.get("/diff", operation_id="compare_rules")
def compare_rules(ours: Ours, before: Version, after: Version) -> shapes_rules.RulesDiff:
    """What differs between two versions."""
    one, other = rulesets.get(ours.platform.db, before), rulesets.get(ours.platform.db, after)
    lines = difflib.unified_diff(one.text.splitlines(), other.text.splitlines(), f"version {one.id}", f"version {other.id}", lineterm="", n=3)
    return shapes_rules.RulesDiff(before=one.id, after=other.id, changes=_changes(one.text, other.text), diff="\n".join(lines))


@router.post("/versions/{version}/rollback", operation_id="roll_back_rules")
def roll_back_rules(ours: Ours, version: Annotated[int, Path(ge=1, le=shapes.MAX_CURSOR)], given: shapes_rules.RulesRollback) -> shapes_rules.PromotedOut:
    """Make what an earlier version said the active rule set, as a new version, and bring the alerts of all stored videos to it."""
    return _promoted(*ours.deeds.roll_back_rules(version, why=given.why, who=given.who, notify_past=given.notify_past, base=given.base))


def _promoted(version: rulesets.RuleVersion, done: history.Reconciled) -> shapes_rules.PromotedOut:
    return shapes_rules.PromotedOut(
        version=version_out(version),
        videos=done.videos,
        raised=done.raised,
        superseded=done.superseded,
        revived=done.revived,
        kept=done.kept,
        notified=done.notified,
        left_out=_left_out(done.left_out),
        waiting=_unanswered(done.waiting),
    )


def _left_out(given: list[tuple[str, str]]) -> list[shapes_rules.LeftOut]:
    return [shapes_rules.LeftOut(video_id=video_id, reason=reason) for video_id, reason in given]


def _unanswered(given: list[tuple[str, str, int]]) -> list[shapes_rules.Unanswered]:
    return [shapes_rules.Unanswered(rule=rule, reason=reason, videos=number) for rule, reason, number in given]


def _changes(before: str, after: str) -> dict[str, str] | None:
    try:
        return rules.parse(before).changes(rules.parse(after))
    except RulesError:
        return None
