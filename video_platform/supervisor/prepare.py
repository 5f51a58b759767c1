"""What is done before anything runs on a home, and what people are told of it: leftovers of a kill removed, services asked, rules named."""

import shutil
from pathlib import Path

from video_platform import detectors, evaluable, events, inbox, rules, rules_files, scene_model
from video_platform.errors import Problem, RulesError
from video_platform.platform import Platform
from video_platform.services import language_models
from video_platform.services.database import rulesets
from video_platform.settings import Settings


def prepare(platform: Platform) -> list[str]:
    """Make a home ready to be supervised; returns what was found, a line each. Only for who holds the home's lock.

    Raises:
        PlatformError: a configured service does not answer.
        RulesError: this version of the program cannot read the active rule set.
    """
    settings = platform.settings
    detectors.usable(settings)
    scene_model.usable(settings)
    removed = clean_leftovers(platform)
    platform.log.create_topics(events.TOPICS)
    return [
        f"home: {settings.home}" + (f" ({removed} leftovers of an interrupted start removed)" if removed else ""),
        f"objects: {platform.store.check()}",
        *_strangers(settings),
        f"inbox: {inbox.ready(settings, platform.store)}",
        f"events: {platform.log.check()}",
        f"database: {platform.db.check()}",
        f"detector: {settings.detection.model}, {settings.detection.samples_per_s:g} frames a second",
        f"language model: {language_models.describe(settings.language_model)}",
        f"rules: {describe_rules(platform)}",
    ]


def _strangers(settings: Settings) -> list[str]:
    """A line of warning when people without a key get at the objects."""
    if settings.objects.kind != "s3":
        return []
    from video_platform.services.s3_exposure import exposure

    found = exposure(settings.objects)
    return [f"WARNING: {found}"] if found else []


def clean_leftovers(platform: Platform) -> int:
    """Remove what killed processes left in the spool and in the scratch folder; returns how many entries. Only for who holds the home's lock."""
    removed = platform.ingest.sweep()
    scratch = platform.settings.scratch
    for entry in scratch.iterdir() if scratch.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
        removed += 1
    return removed


def read_rules(settings: Settings, path: Path) -> tuple[str, rules.RuleSet]:
    """The text of a rules file (with what it includes), and what it means to this installation's detector.

    Raises:
        RulesError: with every problem, or because the file cannot be read.
    """
    try:
        return rules_files.load(path, evaluable.classes(settings))
    except (OSError, ValueError) as error:
        raise RulesError([Problem(f"it cannot be read: {getattr(error, 'strerror', None) or error}")], source=str(path)) from error


def describe_rules(platform: Platform) -> str:
    """Which rule set is active, and whether the file named by the settings says something else.

    Raises:
        RulesError: this version of the program cannot read the active rule set.
    """
    active = rulesets.active(platform.db)
    if active is None:
        return "none"
    active_set = active.rule_set
    names = ", ".join(rule.name for rule in active_set.rules) or "no rule"
    return f"version {active.id} from {active.source}: {names}{_draft(platform.settings, active_set)}"


def _draft(settings: Settings, active: rules.RuleSet) -> str:
    path = settings.rules
    if path is None:
        return ""
    try:
        changes = active.changes(read_rules(settings, path)[1])
    except RulesError as error:
        return f". The file {path} is not used: {error}"
    if not changes:
        return ""
    listed = ", ".join(f"{what} {how}" for what, how in changes.items())
    return f". The file {path} differs ({listed}): look with `vp rules check {path}`, use it with `vp rules apply {path}`"
