"""The rule language: parse a rules file, and ask what of it applies to one camera. The reference with examples is docs/rules.md."""

from collections.abc import Sequence

from video_platform.errors import RulesError
from video_platform.rules_conditions import Classes
from video_platform.rules_schema import read
from video_platform.rules_values import DESCRIBED, KINDS, CameraRules, Condition, Line, Mask, Rule, RuleSet, Schedule, Zone

__all__ = ["DEFAULT_TEXT", "DESCRIBED", "KINDS", "CameraRules", "Classes", "Condition", "Line", "Mask", "Rule", "RuleSet", "Schedule", "Zone", "parse"]

DEFAULT_TEXT = """\
version: 1
rules:
  - {name: person, when: {appears: person}}
"""
"""The rule set of a fresh installation."""


def parse(text: str, *, classes: Sequence[str] | Classes | None = None, source: str = "rules") -> RuleSet:
    """The rule set in a rules file; `classes` are what the detector can name, None skips that check.

    Raises:
        RulesError: with every problem of the file, each with its line, column and field.
    """
    rule_set, problems = read(text, classes)
    if rule_set is None or problems:
        raise RulesError(problems, source)
    return rule_set
