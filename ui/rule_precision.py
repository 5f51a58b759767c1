"""What people's marks say of the rules: a table over all that was marked."""

import pandas as pd
import streamlit as st

from ui import data, words
from video_platform.services.database.marks import By

SPANS = {"all of it": By.ALL, "by month": By.MONTH, "by week": By.WEEK, "by day": By.DAY}


def table() -> None:
    """Per rule and version of the rules: how many alerts were right, false, and not marked."""
    st.subheader("Precision by marks", anchor=False)
    by = SPANS[st.selectbox("Counted", list(SPANS), key="precision-by")]
    marked = data.marked(by)
    if not any(each.precision is not None for each in marked):
        st.caption("Nobody has marked an alert yet. Acknowledge the right ones and call the others false: here you then read how often each rule was right.")
        return
    rows = [
        {
            "Rule": words.literal(each.rule, 80),
            "Version": each.version,
            **({} if by is By.ALL else {"From": each.start}),
            "Right": each.acknowledged,
            "False": each.false,
            "No mark": each.unmarked,
            "Precision": each.precision,
        }
        for each in marked
    ]
    alt = "Right and false alerts of each rule and version"
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", column_config={"Precision": percent}, alt=alt)
    st.caption(
        "An alert counts for the version that raised it. What was never alerted is not in here: for that, measure against an annotation (`vp evaluate`)."
    )
