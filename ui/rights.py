"""Who looks at a page, and what of it they may see and do."""

import streamlit as st

from ui import opened
from video_platform.access import ANYONE, Person, Role
from video_platform.errors import NotAllowed, SignInRefused
from video_platform.signing_in import COOKIE


def person() -> Person:
    """Who looks at the page: whoever the browser's session belongs to, asked anew at each run.

    Raises:
        SignInRefused: nobody, any more.
    """
    doors = opened.doors()
    found = ANYONE if doors.open else doors.person(st.context.cookies.get(COOKIE))
    if found is None:
        raise SignInRefused("you are signed out; load the page again to sign in")
    return found


def may(role: Role) -> bool:
    """Whether who looks may do what `role` may; pages hide what would be refused."""
    return person().may(role)


def opens_dagster() -> bool:
    """Whether Dagster's page would open for who looks: it tells of everything, so links to it are for admins."""
    return may(Role.ADMIN)


def signs_in() -> bool:
    """Whether people sign in on this installation."""
    return not opened.doors().open


def sees_rules() -> bool:
    """Whether who looks may read the rules, which tell of all cameras."""
    return person().may(Role.OPERATOR) and person().sees_all


def sees_pipeline() -> bool:
    """Whether who looks may see what goes on and what failed, which tells of all cameras."""
    return sees_rules()


def must_see_pipeline() -> None:
    """Pass when they may.

    Raises:
        NotAllowed: naming who may.
    """
    if not sees_pipeline():
        raise NotAllowed("the pipeline tells of all cameras; operators and admins who see all of them may look at it")


def must_see_rules() -> None:
    """Pass when they may read the rules.

    Raises:
        NotAllowed: naming who may.
    """
    if not sees_rules():
        raise NotAllowed("the rules tell of all cameras; operators and admins who see all of them may read them")
