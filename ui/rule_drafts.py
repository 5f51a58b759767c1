"""What the pages read of the rules, and drafts beside them; nothing is kept between runs of a page."""

import difflib
from dataclasses import dataclass

import streamlit as st

from ui import data, opened, rights
from video_platform import evaluable, rules, rules_files
from video_platform.errors import Problem, RulesError
from video_platform.history import Reconciled
from video_platform.layout import DESCRIBED_ALERTS
from video_platform.services.database import rulesets
from video_platform.services.database.rulesets import RuleVersion

EDITED = "rules-text"  # what the field of the text that is edited on the page is called, with a number behind it
WRITTEN = "rules-text-written"  # key of the session: that number, raised whenever the page writes into the field
KEPT = "rules-text-kept"  # key of the session: that text and the active one it began from, also while another page is shown
EDITOR = "edited"  # name of the draft that is edited on the page

LOOKED_S = 30
"""How long what the language-model server can do is taken for what it was: it is asked while the page is made."""


@dataclass(frozen=True)
class Draft:
    """The rules file beside the active rule set; `problems` is empty for one that could be applied, `changed` names the rules that differ."""

    text: str
    source: str
    problems: list[Problem]
    diff: str
    changed: list[str]


def active() -> RuleVersion | None:
    """The rule set that counts."""
    rights.must_see_rules()
    return rulesets.active(opened.services().platform.db)


def versions(limit: int = 20) -> list[RuleVersion]:
    """Rule sets that were active, newest first."""
    rights.must_see_rules()
    return rulesets.versions(opened.services().platform.db, limit)


def edited(current: RuleVersion) -> str:
    """The text that is edited on the page; the active one until somebody writes or draws, also after that was left for another page and come back to."""
    text, began = st.session_state.get(KEPT, (current.text, current.text))
    text = st.session_state.get(field(), text)
    if text == began:
        text = began = current.text
        stand_on(EDITOR, current.id)
    write(text)
    st.session_state[KEPT] = text, began
    return text


def field() -> str:
    """The key of the text field.

    A browser tells what stands in its field with everything that it tells. Until it has heard of what the page wrote into the field, that is the text before;
    so the page never writes into a field, but puts a new one in its place, of which the browser cannot know an older text.
    """
    return f"{EDITED}-{st.session_state.get(WRITTEN, 0)}"


def write(text: str) -> None:
    """Show this text in the field."""
    shown = st.session_state.get(field())
    if shown == text:
        return
    if shown is not None:
        _new_field()
    st.session_state[field()] = text


def leave() -> None:
    """Begin anew from the active text."""
    _new_field()
    st.session_state.pop(KEPT, None)


def _new_field() -> None:
    st.session_state.pop(field(), None)
    st.session_state[WRITTEN] = st.session_state.get(WRITTEN, 0) + 1


def stands_on(name: str, current: RuleVersion) -> int:
    """The version that a draft was made from or last tried on: what was active when the session first showed it."""
    return st.session_state.setdefault(_on(name), current.id)


def stand_on(name: str, version: int | None) -> None:
    """Whoever has this draft knows this version now; None where there is no such draft any more."""
    if version is None:
        st.session_state.pop(_on(name), None)
    else:
        st.session_state[_on(name)] = version


def _on(name: str) -> str:
    return f"rules-on-{name}"


def since(version: int) -> rulesets.Since:
    """What became active after this version."""
    rights.must_see_rules()
    return rulesets.since(opened.services().platform.db, version)


def parsed(text: str) -> tuple[rules.RuleSet | None, list[Problem]]:
    """A rule set and no problems, or None and all of them."""
    try:
        return rules.parse(text, classes=evaluable.classes(data.settings())), []
    except RulesError as error:
        return None, list(error.facts["problems"])  # type: ignore[call-overload]


@st.cache_data(ttl=LOOKED_S, max_entries=8, show_spinner=False)
def lacking(text: str) -> dict[str, str]:
    """Of the rules in `text` that nothing here can evaluate: what to install or set. Empty for a text that cannot be used."""
    rule_set, _ = parsed(text)
    return {} if rule_set is None else evaluable.why_not(data.settings(), rule_set)


def draft() -> Draft | None:
    """The rules file named by VIDEO_PLATFORM_RULES where it differs from the active rule set; None without a file or difference."""
    path = data.settings().rules
    if path is None:
        return None
    try:
        text = rules_files.read_file(path)
    except RulesError as error:
        return Draft("", path.name, list(error.problems), "", [])
    except (OSError, ValueError) as error:
        return Draft("", path.name, [Problem(f"the file cannot be read: {error}")], "", [])
    return compared(text, path.name)


def compared(text: str, source: str) -> Draft | None:
    """`text` beside the active rule set; None when they are the same."""
    current = active()
    before = current.text if current else ""
    if text == before:
        return None
    new, problems = parsed(text)
    old, _ = parsed(before) if before else (None, [])
    changes = {} if new is None or old is None else old.changes(new)
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), "active", source, lineterm="", n=3)
    return Draft(text, source, problems, "\n".join(lines), [f"{what} {how}" for what, how in changes.items()])


def apply(text: str, *, source: str, who: str, why: str, base: int) -> RuleVersion:
    """Make `text`, made from version `base`, the active rule set; `who` counts only where nobody signs in.

    Raises:
        RulesError: it cannot be one.
        RulesMovedOn: another version is active.
    """
    return data.deeds().apply_rules(text, source=source, who=who or None, why=why, base=base)


def outdated_videos(judged: Reconciled | None) -> int:
    """How many videos the active rules would judge differently than the rules that judged them, and that judging again can bring to them.

    `judged` is what came of judging them just now: where it found that rules wait for a model, it did not leave what is seen and said to another try, but to
    a backfill, which asks.
    """
    db, person = opened.services().platform.db, rights.person()
    described = set(rulesets.outdated(db, person, asset=DESCRIBED_ALERTS))
    if judged is not None and judged.waiting:
        described &= {video_id for video_id, _ in judged.left_out}
    return len(described.union(rulesets.outdated(db, person)))
