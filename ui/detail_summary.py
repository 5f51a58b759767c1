"""The summary of the page of one video: what happens in it, sentence by sentence, and what rules did not find."""

import streamlit as st

from ui import cards, rights, words
from ui.detail import View
from ui.player import Row, Span, Tag, moments
from video_platform.access import Role
from video_platform.records import Evidence, Sentence, Summary, VideoState

LISTED_SPANS = 6
"""Chips of one sentence: a sentence about forty tracks is not forty chips."""

STATE_TAGS = {"supported": None, "contradicted": Tag("Contradicted by what was found", "red"), "not_checkable": Tag("Not checked", "gray")}

NO_SUMMARY = {VideoState.FAILED: "There is no summary.", VideoState.READY: "It is written after the alerts."}
"""What is said where no summary is; in other states it is still to come."""


def summary(view: View) -> None:
    """What happens in the video, sentence by sentence, and what rules did not find."""
    written = view.summary
    if written is None:
        st.subheader("Summary", anchor=False)
        if view.record.summary_failure_code is None:
            st.caption(NO_SUMMARY.get(view.record.state, "It comes last, after the alerts."))
        _summary_failure(view)
    else:
        _summary(view, written)
    _near_misses(view)


def _summary_failure(view: View) -> None:
    """Why there is no summary, or no newer one, and what to do; everything else of the video stands."""
    record = view.record
    if record.summary_failure_code is None:
        return
    stands = "Everything else stands; the summary below is from before." if view.summary else "Everything else stands."
    reason = words.sentence(record.summary_failure_message or record.summary_failure_code, 600)
    st.warning(f"**The summary could not be written.** {reason} {stands}", icon=":material/warning:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if rights.may(Role.OPERATOR):
            st.button("Write it again", icon=":material/refresh:", key=f"summary-{record.video_id}", on_click=cards.summary_again, args=(record.video_id,))
        st.caption(f"State: `{words.literal(record.summary_failure_code, 60)}`", width="content")


def _summary(view: View, written: Summary) -> None:
    st.subheader(words.plain(written.title, 200) or "Summary", anchor=False)
    _summary_failure(view)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.badge(words.CONCERN_WORDS[written.concern], color=words.CONCERN_COLORS[written.concern], help="Concern 0 to 2")  # type: ignore[arg-type]
        st.caption(_engine(written), width="content")
    if written.concern_why:
        st.caption(f"Why: {words.plain(written.concern_why, 300)}")
    if written.overview:
        st.markdown(words.plain(written.overview))
    if written.sentences:
        st.caption("Click a sentence to see the moment it speaks of.")
        moments("summary", [_sentence(sentence) for sentence in written.sentences], player=view.id, alt="Summary, sentence by sentence")


def _engine(written: Summary) -> str:
    engine = written.engine
    if engine.name == "template":
        reason = f": {words.plain(engine.reason, 200)}" if engine.reason else ""
        return f"Written from the facts by a template{reason}"
    digest = f" ({words.plain(engine.digest[:12])})" if engine.digest else ""
    return f"Written by {words.plain(engine.model or 'a language model', 80)}{digest}"


def _sentence(sentence: Sentence) -> Row:
    spans = [Span(each.start_s, f"{_evidence_words(each)} {words.moment(each.start_s)}") for each in sentence.evidence[:LISTED_SPANS]]
    text = f"{sentence.text} ({sentence.claim})" if sentence.claim else sentence.text
    return Row(text, spans, tag=STATE_TAGS[sentence.state] or _source_tag(sentence), muted=sentence.state != "supported")


def _source_tag(sentence: Sentence) -> Tag | None:
    """What says that a supported sentence repeats a caption or speech: nobody measured it."""
    kinds = {each.kind for each in sentence.evidence}
    if "transcript" in kinds:
        return Tag("Said, as heard by a model", "blue")
    return Tag("As a model describes the picture", "blue") if "caption" in kinds else None


def _evidence_words(evidence: Evidence) -> str:
    return f"{evidence.kind} {words.literal(evidence.id, 12)}" if evidence.kind in ("track", "scene") else evidence.kind


def _near_misses(view: View) -> None:
    if not view.found.near_misses and not view.found.cannot_evaluate:
        return
    st.subheader("Rules that did not fire", anchor=False)
    rows = [
        Row(f"{miss.rule}: {miss.text}", [] if miss.at_s is None else [Span(miss.at_s, words.moment(miss.at_s))], muted=True) for miss in view.found.near_misses
    ]
    rows += [Row(f"{rule}: cannot be evaluated", note=reason, tag=Tag("Cannot be evaluated", "orange")) for rule, reason in view.found.cannot_evaluate]
    moments("near-misses", rows, player=view.id, alt="Rules that did not fire, and what came closest")
