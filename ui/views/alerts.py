"""What the rules found, newest first; new ones appear by themselves."""

from datetime import UTC, datetime

import streamlit as st

from ui import cards, data, links, rights, rule_drafts, told, words
from video_platform.records import Lifecycle, Mark, Severity

LOOK_AGAIN_S = 2
SEEN = "alerts-seen"  # key of the session: the filters of the last look and the newest alert that they let through, so that only newer ones are told of

NEVER = datetime.min.replace(tzinfo=UTC)
SEVERITIES = [Severity.CRITICAL, Severity.WARNING, Severity.INFO]
MARKS = [Mark.NONE, Mark.ACKNOWLEDGED, Mark.FALSE]

cards.follow()
st.title("Alerts")

active = rule_drafts.active() if rights.sees_rules() else None
rule_set = rule_drafts.parsed(active.text)[0] if active else None
rule_names = sorted({rule.name for rule in rule_set.rules} | set(data.rules_with_alerts())) if rule_set else data.rules_with_alerts()

with st.container(horizontal=True, vertical_alignment="bottom"):
    severity = st.segmented_control("Severity", SEVERITIES, format_func=lambda each: str(each).capitalize(), key="severity", bind="query-params")
    mark = st.segmented_control("Marked", MARKS, format_func=lambda each: words.MARK_WORDS[each], key="mark", bind="query-params")
    rule = st.selectbox("Rule", rule_names, index=None, key="rule", placeholder="All rules", bind="query-params", width=200)
    camera = st.selectbox("Camera", data.cameras(), index=None, key="at", placeholder="All cameras", bind="query-params", width=200)
    superseded = st.toggle("Superseded too", key="superseded", bind="query-params", help="Alerts that a newer rule set or model no longer yields")

video_id = st.query_params.get("video")
filtered = bool(severity or mark or rule or camera or video_id)
if video_id:
    name = data.names_of([video_id]).get(video_id, video_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Only alerts of **{words.plain(name, words.LONGEST_NAME)}**", width="content")
        if st.button("Show all", icon=":material/close:"):
            del st.query_params["video"]
            st.rerun()

asked = {"video_id": video_id, "rule": rule, "camera": camera, "severity": severity, "mark": mark, "superseded": superseded}
pages = max(1, -(-data.alerts(**asked, page=1).total // data.PAGE_ALERTS))
slot = st.container()
page = min(st.pagination(pages, key="alerts-page", bind="query-params"), pages) if pages > 1 else 1


def tell_of(new: list) -> None:
    """A word for what came in since the last look."""
    if len(new) == 1:
        st.toast(f"{words.plain(new[0].rule, 80)} at {words.plain(new[0].camera, 60)}", icon=words.SEVERITY_ICONS[new[0].severity])
    elif new:
        st.toast(words.count(len(new), "new alert"), icon=":material/notifications:")


@st.fragment(run_every=LOOK_AGAIN_S)
@told.in_words()
def feed() -> None:
    """The alerts, looked at again while the page is open."""
    cards.leave_if_asked()
    found = data.alerts(**asked, page=page)
    before, newest = st.session_state.get(SEEN, (None, NEVER))
    if before == asked and page == 1:
        tell_of([alert for alert in found.items if alert.raised_at > newest and alert.lifecycle is Lifecycle.ACTIVE and alert.mark is Mark.NONE])
    st.session_state[SEEN] = asked, max([newest if before == asked else NEVER, *(alert.raised_at for alert in found.items)])
    if found.items:
        st.caption(f"{words.count(found.total, 'alert')}, newest first")
        names = data.names_of([alert.video_id for alert in found.items])
        for alert in found.items:
            cards.alert_card(alert, names.get(alert.video_id, alert.video_id))
    elif filtered:
        st.info("No alert matches. Clear the filters above.", icon=":material/search_off:")
    else:
        with st.container(border=True):
            st.subheader("No alerts", anchor=False)
            st.markdown("Nothing that was looked at so far fits a rule. New alerts appear here by themselves.")
            with st.container(horizontal=True):
                if rights.sees_rules():
                    st.page_link(links.RULES, label="See what the rules ask for", icon=":material/rule:")
                st.page_link(links.LIBRARY, label="Add footage", icon=":material/video_library:")


with slot:
    feed()
