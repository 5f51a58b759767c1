"""Who may sign in, and who did what; for admins."""

import json

import pandas as pd
import streamlit as st

from ui import people, rights, words
from video_platform.services.database.audit import ACTIONS

st.title("Access")

if rights.signs_in():
    st.subheader("People", anchor=False)
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Name": each.name,
                    "Role": str(each.person.role),
                    "Cameras": "all" if each.person.sees_all else ", ".join(each.person.cameras or ()) or "none",
                    "Signs in": "at the provider" if each.kind == "oidc" else "with a password" if each.has_password else "by a link",
                    "Signed in": each.sessions,
                    "Tokens": each.tokens,
                    "Last": words.instant(each.signed_in_at) if each.signed_in_at else "never",
                }
                for each in people.listed()
            ],
            columns=["Name", "Role", "Cameras", "Signs in", "Signed in", "Tokens", "Last"],
        ),
        hide_index=True,
        key="people",
        column_config={"Signed in": st.column_config.NumberColumn("Signed in", help="Browsers in which this person is signed in")},
        alt="People who may sign in",
    )
    st.caption("`vp users` adds and removes people, changes roles and cameras, makes links and tokens. Changes act within seconds.")
else:
    st.info("Nobody signs in here: whoever reaches this page may do everything. VIDEO_PLATFORM_ACCESS__SIGN_IN changes that.", icon=":material/lock_open:")

st.subheader("Who did what", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    who = st.text_input("Who", key="who", bind="query-params", placeholder="Everybody", width=220)
    action = st.selectbox("What", sorted(ACTIONS), index=None, key="what", bind="query-params", placeholder="Everything", width=220)
entries, total = people.log(who.strip(), action, 1)
pages = max(1, -(-total // people.PAGE_LOG))
page = min(st.pagination(pages, key="audit-page", bind="query-params"), pages) if pages > 1 else 1
if page > 1:
    entries, _ = people.log(who.strip(), action, page)
if not entries:
    st.info("No line matches." if who or action else "Nothing has been done yet.", icon=":material/search_off:")
else:
    st.caption(f"{words.count(total, 'line')}, newest first")
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "When": words.instant(each.at),
                    "Who": each.who,
                    "What": each.action,
                    "To": each.subject,
                    "More": json.dumps(each.detail, ensure_ascii=False) if each.detail else "",
                }
                for each in entries
            ]
        ),
        hide_index=True,
        key="audit",
        alt="Audit log",
    )
