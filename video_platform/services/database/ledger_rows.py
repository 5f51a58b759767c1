"""Rows of the alerts ledger as records."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from video_platform.records import AlertRecord, Lifecycle
from video_platform.services.database.tables import alerts, counters

ACTIVE = alerts.c.lifecycle == str(Lifecycle.ACTIVE)


def record(row: Row) -> AlertRecord:
    """The record in a row of `alerts`."""
    return record_of(row._asdict())


def record_of(values: Mapping[str, Any]) -> AlertRecord:
    """The record in the columns of a row of `alerts`."""
    place = None if values["place_x"] is None or values["place_y"] is None else (values["place_x"], values["place_y"])
    origin = values["why"].get("continued_from")
    joined = {"continues": bool(values["why"].get("continues")), "continued_from": origin.get("video_id") if isinstance(origin, Mapping) else None}
    return AlertRecord.model_validate({**values, **joined, "place": place})


def select(connection: Connection, *where: sa.ColumnElement[bool]) -> list[AlertRecord]:
    """The alerts that meet all conditions, in order of time."""
    rows = connection.execute(sa.select(alerts).where(*where).order_by(alerts.c.start_s, alerts.c.end_s, alerts.c.id))
    return [record(row) for row in rows]


def next_revision(connection: Connection) -> int:
    """A number above that of every earlier change; transactions that draw one commit in its order."""
    statement = sa.update(counters).where(counters.c.name == "alerts").values(value=counters.c.value + 1).returning(counters.c.value)
    return connection.execute(statement).scalar_one()
