"""Which role each route needs: the table of docs/access.md. A route that is not in it is for admins, and a test names it."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from video_platform.access import Role
from video_platform.api.gate import person_of
from video_platform.errors import NotAllowed, SignInRefused


@dataclass(frozen=True)
class Permit:
    """Who may use a route: from which role on; `whole` for what tells of all cameras, which somebody with some of them may not see."""

    role: Role
    whole: bool = False


VIEWER, OPERATOR, ADMIN = Permit(Role.VIEWER), Permit(Role.OPERATOR), Permit(Role.ADMIN)

OPEN = frozenset({"health"})
"""Routes that answer anybody."""

PERMITS: Mapping[str, Permit] = {
    "list_videos": VIEWER,
    "get_video": VIEWER,
    "get_tracks": VIEWER,
    "get_scenes": VIEWER,
    "get_summary": VIEWER,
    "get_captions": VIEWER,
    "get_transcript": VIEWER,
    "get_near_misses": VIEWER,
    "get_files": VIEWER,
    "get_reel": VIEWER,
    "list_days": VIEWER,
    "get_day": VIEWER,
    "day_media": VIEWER,
    "export_video": VIEWER,
    "media": VIEWER,
    "list_alerts": VIEWER,
    "search": VIEWER,
    "alert_changes": VIEWER,
    "get_alert": VIEWER,
    "reference": VIEWER,
    "metrics": Permit(Role.VIEWER, whole=True),
    "ingest_video": OPERATOR,
    "correct_video": OPERATOR,
    "process_video": OPERATOR,
    "retry_video": OPERATOR,
    "mark_alert": OPERATOR,
    "get_rules": Permit(Role.OPERATOR, whole=True),
    "check_rules": OPERATOR,
    "what_if": Permit(Role.OPERATOR, whole=True),
    "rule_versions": Permit(Role.OPERATOR, whole=True),
    "compare_rules": Permit(Role.OPERATOR, whole=True),
    "get_plan": Permit(Role.OPERATOR, whole=True),
    "list_backfills": Permit(Role.OPERATOR, whole=True),
    "get_backfill": Permit(Role.OPERATOR, whole=True),
    "start_backfill": Permit(Role.OPERATOR, whole=True),
    "pause_backfill": Permit(Role.OPERATOR, whole=True),
    "resume_backfill": Permit(Role.OPERATOR, whole=True),
    "cancel_backfill": Permit(Role.OPERATOR, whole=True),
    "rule_precision": Permit(Role.OPERATOR, whole=True),
    "apply_rules": ADMIN,
    "promote_rules": ADMIN,
    "roll_back_rules": ADMIN,
    "delete_video": ADMIN,
}
"""By the name of the route's function."""


def permit(request: Request) -> None:
    """Pass when whoever asks may use the route; every route of the API depends on it.

    Raises:
        SignInRefused: nobody is signed in.
        NotAllowed: naming who may.
    """
    name = request.scope["route"].name
    if name in OPEN:
        return
    person, needed = person_of(request.scope), PERMITS.get(name, ADMIN)
    if person is None:
        raise SignInRefused("sign in on the web app, or send a token as Authorization: Bearer")
    person.must(needed.role, "use this route")
    if needed.whole and not person.sees_all:
        raise NotAllowed(f"{person.name} sees some cameras only, and this tells of all of them", person=person.name)
