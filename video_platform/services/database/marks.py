"""What people's marks say of the rules: of the alerts that somebody looked at, how many were right."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

import sqlalchemy as sa

from video_platform.access import ANYONE, Person
from video_platform.records import Mark
from video_platform.services.database.engine import Database
from video_platform.services.database.seeing import visible
from video_platform.services.database.tables import alerts


class By(StrEnum):
    """Spans of time that are counted apart."""

    ALL = "all"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"


@dataclass(frozen=True)
class MarkedAlerts:
    """The alerts of one rule that one version of the rules raised, over one span.

    `version` is what `rulesets` calls the version; `start` is the first day of the span, None for all of time. Pieces of an alert (`split_of`) are not counted.
    """

    rule: str
    version: str
    start: str | None
    acknowledged: int
    false: int
    unmarked: int

    @property
    def precision(self) -> float | None:
        """The right ones among those that carry a mark; None where nobody has marked any."""
        marked = self.acknowledged + self.false
        return self.acknowledged / marked if marked else None

    def as_json(self) -> dict[str, object]:
        """All of it under the names that `vp evaluate --marks --json` and the API use."""
        return {**asdict(self), "precision": self.precision}


def counts(
    db: Database,
    *,
    by: By = By.ALL,
    rule: str | None = None,
    camera: str | None = None,
    since: datetime | None = None,
    zone: tzinfo | None = None,
    person: Person = ANYONE,
) -> list[MarkedAlerts]:
    """Per rule, version and span what the marks say of the alerts that `person` may see, by rule, then version, then time, newest last.

    An alert belongs to the version that raised it, superseded or not, and to the day, in `zone` (that of this machine), on which it happened, or was raised
    where the recording time is unknown. Alerts that nobody marked are counted while they are active: a superseded one without a mark says nothing.
    """
    found: dict[tuple[str, str, str | None], dict[Mark, int]] = {}
    for name, version, moment, mark, number in _rows(db, by=by, rule=rule, camera=camera, since=since, person=person):
        start = None if moment is None else _start(moment.astimezone(zone), by)
        of = found.setdefault((name, version, start), dict.fromkeys(Mark, 0))
        of[Mark(mark)] += number
    keys = sorted(found, key=lambda key: (key[0], int(key[1]) if key[1].isdecimal() else 0, key[1], key[2] or ""))
    return [MarkedAlerts(*key, acknowledged=found[key][Mark.ACKNOWLEDGED], false=found[key][Mark.FALSE], unmarked=found[key][Mark.NONE]) for key in keys]


def _rows(
    db: Database, *, by: By, rule: str | None, camera: str | None, since: datetime | None, person: Person
) -> Iterator[tuple[str, str, datetime | None, str, int]]:
    """(rule, version, moment, mark, alerts): counted by the database, for spans with one row an alert, since zones of time are none of its business."""
    moment = sa.func.coalesce(alerts.c.start_time, alerts.c.raised_at, type_=alerts.c.raised_at.type)
    counted = sa.or_(alerts.c.mark != str(Mark.NONE), alerts.c.lifecycle == "active")
    where = [counted, alerts.c.split_of.is_(None)]
    where += [column == value for column, value in ((alerts.c.rule, rule), (alerts.c.camera, camera)) if value is not None]
    if since is not None:
        where.append(moment >= sa.bindparam("since", since, alerts.c.raised_at.type))
    columns = (alerts.c.rule, alerts.c.rules_version, alerts.c.mark)
    with db.read() as connection:
        where += visible(connection, person, alerts.c.camera)
        if by is By.ALL:
            for name, version, mark, number in connection.execute(sa.select(*columns, sa.func.count()).where(*where).group_by(*columns)):
                yield name, version, None, mark, number
        else:
            for name, version, mark, at in connection.execute(sa.select(*columns, moment).where(*where)):
                yield name, version, at, mark, 1


def _start(moment: datetime, by: By) -> str:
    """The first day of the span that an instant belongs to; weeks begin on Monday."""
    day = moment.date()
    if by is By.MONTH:
        day = day.replace(day=1)
    elif by is By.WEEK:
        day -= timedelta(days=day.weekday())
    return day.isoformat()
