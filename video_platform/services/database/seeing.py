"""Which rows somebody may see, as a condition of the query itself: pages and counts then cannot tell of the others."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from video_platform.access import Person
from video_platform.services.database.tables import refusals, videos


def visible(connection: Connection, person: Person, camera: sa.Column[str]) -> list[sa.ColumnElement[bool]]:
    """What a row's `camera` has to fulfil so that the person may see it; nothing for somebody who sees all.

    Patterns are compared here and not in SQL, whose dialects differ in patterns and in the case of letters: the names of all cameras are few.
    """
    if person.sees_all:
        return []
    source = camera if camera.table is refusals else videos.c.camera
    names = connection.execute(sa.select(source).distinct()).scalars()
    return [camera.in_([name for name in names if person.may_see(name)])]
