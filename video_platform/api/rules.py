"""Rules: what is active, what waits in the rules file, checking a text and making it the active one."""

from pathlib import Path

from fastapi import APIRouter

from video_platform import rules, rules_files
from video_platform.api import shapes_rules
from video_platform.api.problems import listed
from video_platform.api.services import Ours, Services
from video_platform.detectors import class_names
from video_platform.errors import Problem, RulesError
from video_platform.services.database import rulesets

router = APIRouter(prefix="/rules", tags=["rules"])


@router.get("", operation_id="get_rules")
def get_rules(ours: Ours) -> shapes_rules.RulesOut:
    """The active rule set, and the rules file as a draft when it differs from it or cannot be used."""
    active = rulesets.active(ours.platform.db)
    return shapes_rules.RulesOut(active=version_out(active) if active else None, draft=_draft(ours, active))


@router.post("/check", operation_id="check_rules")
def check_rules(ours: Ours, given: shapes_rules.RulesText) -> shapes_rules.CheckedRules:
    """Say everything that is wrong in a rules file, with line and column; nothing is changed."""
    try:
        parsed = _parse(ours, given.text)
    except RulesError as error:
        return shapes_rules.CheckedRules(ok=False, rules=[], problems=_problems(error))
    return shapes_rules.CheckedRules(ok=True, rules=[rule.name for rule in parsed.rules], problems=[])


@router.post("/apply", operation_id="apply_rules")
def apply_rules(ours: Ours, given: shapes_rules.RulesApplication) -> shapes_rules.RuleVersionOut:
    """Make a rules file the active one. Videos are evaluated with it from now on; a text with problems is refused whole."""
    return version_out(ours.deeds.apply_rules(given.text, source="api", why=given.why, who=given.who, base=given.base))


def _parse(ours: Services, text: str) -> rules.RuleSet:
    return rules.parse(text, classes=class_names(ours.platform.settings), source="rules")


def _problems(error: RulesError) -> list[shapes_rules.ProblemOut]:
    return _shown(error.facts["problems"])  # type: ignore[arg-type]


def _shown(problems: list[Problem]) -> list[shapes_rules.ProblemOut]:
    return [shapes_rules.ProblemOut.model_validate(each) for each in listed(problems)]


def version_out(version: rulesets.RuleVersion) -> shapes_rules.RuleVersionOut:
    """A version as the API shows it."""
    return shapes_rules.RuleVersionOut(
        id=version.id,
        text=version.text,
        hash=version.hash,
        source=version.source,
        who=version.who,
        why=version.why,
        applied_at=version.applied_at,
    )


def _draft(ours: Services, active: rulesets.RuleVersion | None) -> shapes_rules.DraftOut | None:
    """The rules file as a draft; None without a file, and when it says what is active already."""
    path = ours.platform.settings.rules
    if path is None:
        return None
    try:
        text = rules_files.read_file(path)
    except RulesError as error:
        return _draft_out(path, None, {}, _problems(error))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _draft_out(path, None, {}, _shown([Problem(f"the file cannot be read: {why}")]))
    if active is not None and text == active.text:
        return None
    try:
        parsed = _parse(ours, text)
    except RulesError as error:
        return _draft_out(path, text, {}, _problems(error))
    if active is not None and parsed.hash == active.hash:
        return None
    return _draft_out(path, text, _changes(active, parsed), [])


def _changes(active: rulesets.RuleVersion | None, newer: rules.RuleSet) -> dict[str, str]:
    try:
        return active.rule_set.changes(newer) if active else {}
    except RulesError:
        # Written by another version of the language: everything is different, which no list says better.
        return {}


def _draft_out(path: Path, text: str | None, changes: dict[str, str], problems: list[shapes_rules.ProblemOut]) -> shapes_rules.DraftOut:
    return shapes_rules.DraftOut(path=path.name, text=text, changes=changes, problems=problems)
