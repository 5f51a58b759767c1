"""A draft of the rules tried on everything that is stored, made active, or discarded; and the versions there were."""

import difflib
import hashlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import pandas as pd
import streamlit as st

from ui import data, links, opened, rights, rule_drafts, words
from video_platform.access import Role
from video_platform.errors import PlatformError, RulesMovedOn
from video_platform.history import Progress, Reconciled, WhatIf
from video_platform.records import AlertRecord
from video_platform.services.database.rulesets import RuleVersion

DONE = "rules-promoted"  # key of the session: what became of the ledger, shown once
ROLLBACK = "rollback"  # name of what stands on the active version while the way back is offered
DISCARDED = "rules-discarded"  # key of the session: drafts of the rules file that are not shown any more

LISTED = 200
"""Alerts of each kind that the page lists; the counts are of all."""

SPANS = {"everything": None, "the last day": 1, "the last week": 7, "the last 30 days": 30, "the last year": 365}
"""How far back a draft is tried, in days."""

KINDS = {"added": "Would be added", "removed": "Would be removed", "unchanged": "Would stay"}
Made = TypeVar("Made")


@dataclass(frozen=True)
class Trial:
    """What a draft would change, and the text that was tried."""

    digest: str
    found: WhatIf


def trial_panel(draft: rule_drafts.Draft, key: str) -> None:
    """Trying a draft, and what came of it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        camera = st.selectbox("Camera", data.cameras(), index=None, placeholder="All cameras", key=f"try-camera-{key}", width=220)
        span = st.selectbox("Footage of", list(SPANS), key=f"try-span-{key}", width=220)
        tried = st.button("Try it on what is stored", icon=":material/experiment:", key=f"try-{key}")
    if tried:
        days = SPANS[span]
        since = None if days is None else data.now() - timedelta(days=days)
        with _told_of_errors(), _progress("Judging what is stored") as progress:
            found = data.deeds().try_rules(draft.text, since=since, camera=None if camera is None else words.glob(camera), on_progress=progress)
            _forget(key)
            st.session_state[_trial(key)] = Trial(_digest(draft.text), found)
            rule_drafts.stand_on(key, found.base)
    trial = st.session_state.get(_trial(key))
    if isinstance(trial, Trial):
        if trial.digest != _digest(draft.text):
            st.caption("The draft was changed since it was tried; try it again.")
        else:
            _result(trial.found)


def moved_on(key: str, base: int, active: RuleVersion) -> None:
    """Other rules are active than those that a draft was made from: what changed, and going on from it."""
    meanwhile = rule_drafts.since(base)
    st.warning(
        f"Other rules became active since this draft was made: {words.plain(meanwhile.words, 600)}. As it stands, the draft would undo that.",
        icon=":material/update:",
    )
    with st.expander("Show what changed meanwhile", icon=":material/difference:"):
        lines = difflib.unified_diff(meanwhile.before.splitlines(), active.text.splitlines(), f"version {base}", f"version {active.id}", lineterm="", n=3)
        st.code("\n".join(lines), language="diff", wrap_lines=True)
    if st.button(f"Go on from version {active.id}", key=f"go-on-{key}", help="The draft stays as it is; promoting it then takes the place of that version."):
        rule_drafts.stand_on(key, active.id)
        st.rerun()


def promotion_form(draft: rule_drafts.Draft, key: str, base: int) -> None:
    """Making a draft that stands on version `base` active, with who and why."""
    with st.form(f"promote-{key}", border=True):
        who = "" if rights.signs_in() else st.text_input("Who", placeholder="Your name", max_chars=120)
        why = st.text_input("Why", placeholder="What this change is for", max_chars=500)
        past = st.checkbox("Bring the alerts of stored footage to it", value=True, help="New alerts are raised, others superseded; marks stay.")
        notify = st.checkbox("Notify the channels of what it finds there", help="Nobody is notified of the past unless this is set.")
        if not st.form_submit_button("Promote", type="primary", icon=":material/check:"):
            return
    if not why.strip():
        st.warning("Say why, so that the next reader of the list of versions knows.", icon=":material/edit:")
        return
    made: tuple[RuleVersion, Reconciled | None] | None = None
    if past:
        made = _with_progress(
            lambda progress: data.deeds().promote_rules(
                draft.text, source=draft.source, why=why.strip(), who=who.strip() or None, notify_past=notify, base=base, on_progress=progress
            )
        )
    else:
        with _told_of_errors():
            version = rule_drafts.apply(draft.text, source=draft.source, who=who.strip(), why=why.strip(), base=base)
            made = (version, None)
    if made is not None:  # not what an earlier promotion left in the session
        st.session_state[DONE] = made
        _forget(key)
        rule_drafts.stand_on(key, None)
        data.forget_lists()
        rule_drafts.leave()
        st.rerun()


def discard_button(draft: rule_drafts.Draft, key: str) -> None:
    """Leaving a draft; a file stays as it is, and is a draft again when it is changed."""
    if st.button("Discard", icon=":material/close:", key=f"discard-{key}", help="The active rules stay."):
        _forget(key)
        rule_drafts.stand_on(key, None)
        st.session_state.setdefault(DISCARDED, set()).add(_digest(draft.text))
        rule_drafts.leave()
        st.rerun()


def is_discarded(draft: rule_drafts.Draft) -> bool:
    """Whether this session has left this draft."""
    return _digest(draft.text) in st.session_state.get(DISCARDED, set())


def outcome() -> None:
    """What the last promotion did, and what is left to do."""
    done: tuple[RuleVersion, Reconciled | None] = st.session_state[DONE]
    version, reconciled = done
    number = rule_drafts.outdated_videos(reconciled)
    with st.container(border=True):
        st.markdown(f"**The new rules are active**, as version {version.id}. They count for all footage from now on.")
        if reconciled is not None:
            st.markdown(_said(reconciled))
            for rule, reason, waits in reconciled.waiting:
                st.caption(f"{words.plain(rule, 80)} in {words.count(waits, 'video')}: {words.plain(reason, 200)}")
            for video_id, reason in reconciled.left_out[:5]:
                st.caption(f"Video {video_id} keeps its alerts for now: {words.plain(reason, 200)}")
        if number:
            st.caption(f"{words.count(number, 'video has', 'videos have')} alerts of older rules. Judging them reads what is stored; nobody is notified.")
        with st.container(horizontal=True):
            if number and st.button(f"Judge {words.count(number, 'video')} again", type="primary", icon=":material/replay:"):
                again = _with_progress(lambda progress: data.deeds().reconcile_rules(on_progress=progress))
                if again is not None:
                    st.session_state[DONE] = (version, again)
                    data.forget_lists()
                    st.rerun()
            if st.button("Close"):
                st.session_state.pop(DONE)
                st.rerun()


def versions_panel(active: RuleVersion) -> None:
    """The versions there were: what was different, and the way back."""
    earlier = [version for version in rule_drafts.versions(limit=100) if version.id != active.id]
    if not earlier:
        st.caption("There was no other version yet.")
        return
    table = [
        {"Version": each.id, "From": words.instant(each.applied_at), "By": each.who, "Why": each.why, "Source": each.source} for each in [active, *earlier]
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", alt="Versions of the rules, newest first")
    chosen = st.selectbox("Compare the active rules with", earlier, format_func=_name_of, key="compare-version")
    lines = list(difflib.unified_diff(chosen.text.splitlines(), active.text.splitlines(), f"version {chosen.id}", f"version {active.id}", lineterm="", n=3))
    if lines:
        st.code("\n".join(lines), language="diff", wrap_lines=True)
    else:
        st.caption("They are the same.")
    if not rights.may(Role.ADMIN) or not lines:
        return
    with st.form(f"rollback-{chosen.id}", border=True):
        who = "" if rights.signs_in() else st.text_input("Who", placeholder="Your name", max_chars=120)
        why = st.text_input("Why", placeholder="What is wrong with the active rules", max_chars=500)
        asked = st.form_submit_button(f"Roll back to version {chosen.id}", icon=":material/undo:")
    shown = rule_drafts.stands_on(ROLLBACK, active)  # the active version that stood here when the button was pressed
    rule_drafts.stand_on(ROLLBACK, active.id)
    if asked and not why.strip():
        st.warning("Say why, so that the next reader of the list of versions knows.", icon=":material/edit:")
    elif asked:
        made = _with_progress(
            lambda progress: data.deeds().roll_back_rules(chosen.id, why=why.strip(), who=who.strip() or None, base=shown, on_progress=progress)
        )
        if made is not None:
            st.session_state[DONE] = made
            data.forget_lists()
            st.rerun()


def _name_of(version: RuleVersion) -> str:
    because = f": {words.literal(version.why, 80)}" if version.why else ""
    return f"Version {version.id}, {words.instant(version.applied_at)}{because}"


def _said(done: Reconciled) -> str:
    numbers = [
        f"{words.count(done.raised, 'alert')} raised",
        f"{done.superseded} superseded",
        *([f"{done.revived} came back"] if done.revived else []),
        f"{done.kept} unchanged",
    ]
    told = words.count(done.notified, "notification") if done.notified else "nobody was notified"
    pictures = " Pictures and clips follow behind live footage." if done.videos else ""
    return f"{words.count(done.videos, 'stored video')} judged: {', '.join(numbers)}; {told}.{pictures}"


def _result(found: WhatIf) -> None:
    """What a draft would change: counts per rule and camera, and the alerts with links to their moments."""
    with st.container(horizontal=True):
        for what, label in KINDS.items():
            st.metric(label, f"{found.total(what):,}", border=True)
    took = f"{words.count(found.videos, 'video')}, {words.span(found.hours * 3600)} of footage, judged in {found.took_s:.1f} s"
    st.caption(f"{took}. Nothing was changed, nobody was notified. Compared with version {found.base}.")
    active = rule_drafts.active()
    if active is not None and active.id != found.base:
        st.warning("Other rules have become active since; try the draft again.", icon=":material/update:")
    for rule, reason, number in found.cannot_evaluate:
        st.caption(f"{words.plain(rule, 80)} cannot be evaluated in {words.count(number, 'video')}: {words.plain(reason, 200)}")
    if found.left_out:
        first = "; ".join(f"{video_id}: {words.plain(reason, 120)}" for video_id, reason in found.left_out[:3])
        st.caption(f"{words.count(len(found.left_out), 'video')} could not be judged ({first})")
    if not found.counts:
        return
    counts = [{"Rule": each.rule, "Camera": each.camera, "Added": each.added, "Removed": each.removed, "Unchanged": each.unchanged} for each in found.counts]
    st.dataframe(pd.DataFrame(counts), hide_index=True, width="stretch", alt="Alerts that the draft would add, remove and leave, by rule and camera")
    for tab, what in zip(st.tabs([f"{label} ({found.total(what):,})" for what, label in KINDS.items()]), KINDS, strict=True):
        with tab:
            _listed(found, what)


def _listed(found: WhatIf, what: str) -> None:
    total = found.total(what)
    if not total:
        st.caption("None.")
        return
    try:
        alerts = list(found.alerts(opened.services().platform, what, limit=LISTED))
    except FileNotFoundError:
        st.caption("The list is kept for a day; try the draft again to see it.")
        return
    if total > len(alerts):
        st.caption(f"The first {len(alerts)} of {total:,}.")
    st.dataframe(
        pd.DataFrame([_row(alert) for alert in alerts]),
        hide_index=True,
        width="stretch",
        column_config={"Look": st.column_config.LinkColumn("Look", display_text="▶ play")},
        alt=f"Alerts that {what} by the draft" if what != "unchanged" else "Alerts that stay",
    )


def _row(alert: AlertRecord) -> dict[str, object]:
    return {
        "Look": links.absolute(links.video_path(alert.video_id, alert.start_s)),
        "Rule": alert.rule,
        "Camera": alert.camera,
        "When": words.instant(alert.start_time) if alert.start_time else "unknown",
        "In the video": f"{words.moment(alert.start_s)} – {words.moment(alert.end_s)}",
        "Tracks": ", ".join(str(track) for track in alert.track_ids[:8]),
        "Mark": words.MARK_WORDS[alert.mark],
    }


@contextmanager
def _progress(text: str):
    """A bar for as long as a child process judges."""
    bar = st.progress(0.0, text=f"{text} …")

    def show(fraction: float, camera: str) -> None:
        bar.progress(min(max(fraction, 0.0), 1.0), text=f"{text}: camera {words.plain(camera, 60)}" if camera else text)

    try:
        yield show
    finally:
        bar.empty()


@contextmanager
def _told_of_errors():
    try:
        yield
    except RulesMovedOn:
        st.error("Nothing was changed: other rules became active meanwhile. Look at what they changed, then go on from them.", icon=":material/update:")
    except PlatformError as error:
        st.error(words.sentence(error.message), icon=":material/error:")


def _with_progress(do: Callable[[Progress], Made]) -> Made | None:
    """What `do` gives; None when it failed, which is said."""
    with _told_of_errors(), _progress("Bringing the alerts of stored footage to the rules") as progress:
        return do(progress)
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _trial(key: str) -> str:
    return f"rules-trial-{key}"


def _forget(key: str) -> None:
    trial = st.session_state.pop(_trial(key), None)
    if isinstance(trial, Trial):
        trial.found.forget()
