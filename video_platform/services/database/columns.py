"""Types of columns that are the same on SQLite and PostgreSQL. Instants are UTC and timezone-aware on both."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from video_platform.recording_time import YEARS


class Instant(sa.types.TypeDecorator[datetime]):
    """A timezone-aware instant; SQLite keeps it as UTC text that sorts by time."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC for the database; a naive time is refused, because nobody knows what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a time zone; got {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Timezone-aware UTC for the program."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RecordedAt(Instant):
    """When footage was recorded. What homes took in before such times were refused, a year in which nothing was recorded, is read as unknown."""

    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As an instant, None where no footage can be of that year."""
        known = value is not None and value.year in YEARS
        return super().process_result_value(value, dialect) if known else None


KNOWN_TIMES = (datetime(YEARS[0], 1, 2, tzinfo=UTC), datetime(YEARS[-1], 12, 30, tzinfo=UTC))
"""The first and the last recording time that queries by time look at: what lies outside is unknown."""

BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A growing key; only `INTEGER PRIMARY KEY` grows by itself on SQLite."""
