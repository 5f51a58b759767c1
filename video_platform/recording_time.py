"""When footage was recorded, where nobody said it: from its name, or from what its container says. What is not plausible stays unknown.

A name is a local clock without a zone, unless it ends in Z; a container's time is UTC by its standards.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo

EARLIEST_YEAR = 1995
"""Before digital video nothing was recorded: 1904 and 1970 are the zeros of clocks, 1980 is that of a camera without a battery."""

YEARS = range(1900, 2200)
"""Years in which footage may have been recorded: at the zero of a clock (year 1) or its end (9999) no day lies before or after to reckon with."""

AHEAD = timedelta(days=1)
"""A clock may be this far ahead of ours; further, it is wrong."""

IN_NAME = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-_.]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"[T_ .-]{0,2}"
    r"(?P<hour>\d\d)(?P<colon>[-_.:h]?)(?P<minute>\d\d)(?:(?P=colon)|m)(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,6}))?s?(?P<utc>Z)?(?!\d)",
    re.IGNORECASE,
)
"""20261123_083000, 2026-11-23T08-30-00, 2026-11-23 08.30.00, 20261123083000, 20261123T083000Z; the first that stands in the name counts."""


def from_name(name: str, zone: tzinfo | None, now: datetime) -> datetime | None:
    """The instant that a file name tells, None when it tells none that can be; `zone` is that of the camera's clock, None the machine's own."""
    found = IN_NAME.search(name)
    if found is None:
        return None
    parts = [int(found[part]) for part in ("year", "month", "day", "hour", "minute", "second")]
    micros = int((found["fraction"] or "0").ljust(6, "0"))
    try:
        local = datetime(*parts, micros)  # type: ignore[arg-type, misc]
        aware = local.replace(tzinfo=UTC) if found["utc"] else local.replace(tzinfo=zone) if zone else local.astimezone()
    except (ValueError, OverflowError):
        return None
    return plausible(aware.astimezone(UTC), now)


def from_container(text: str | None, now: datetime) -> datetime | None:
    """The instant in a container's creation time (ISO 8601; UTC where it names no zone), None when there is none that can be."""
    if not text:
        return None
    try:
        told = datetime.fromisoformat(text.strip())
        return plausible((told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC), now)
    except (ValueError, OverflowError):
        return None


def plausible(told: datetime, now: datetime) -> datetime | None:
    """The same instant when footage may have been recorded then."""
    return told if told.year >= EARLIEST_YEAR and told <= now + AHEAD else None
