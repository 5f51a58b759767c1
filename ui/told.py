"""What a page says when something it needs is away or refuses: one sentence in its place, and everything else of the page stays."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ui import words
from video_platform.errors import PlatformError


@contextmanager
def in_words() -> Iterator[None]:
    """Around a part of a page, or above a function that draws one (below `st.fragment`): an error of the platform is shown, and not its type and a traceback.

    Errors of the program itself pass: Streamlit shows their kind, and the log has the rest.
    """
    try:
        yield
    except PlatformError as error:
        st.error(words.sentence(error.message, 900), icon=":material/error:")
