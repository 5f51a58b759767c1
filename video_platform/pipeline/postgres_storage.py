"""Dagster's records in PostgreSQL, whose address comes from the platform's settings: it carries a password, and so never stands in dagster.yaml.

Dagster's own storage connects anew for every question, and its daemon asks twenty times a second; or keeps connections, and fails with each that a restart of
the server has cut. Here a process keeps a few, and looks whether one still stands before it is used.
"""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.base_storage import DagsterStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage

from video_platform import settings
from video_platform.errors import SettingsError
from video_platform.settings import PREFIX

STORAGE_VARIABLE = f"{PREFIX}DAGSTER__STORAGE_URL"

KEPT_CONNECTIONS = 4
"""Connections that stay open in a process. What more its threads need at once are closed when they are given back, as all of them are in Dagster's storage."""


@functools.cache
def _engine(url: str, statement_timeout_ms: int) -> sa.Engine:
    """The connections of this process to one database, for all of its instances: a code server opens one for each tick of a sensor."""
    address = sa.make_url(url)
    given = address.query.get("options", "")
    options = f"{given} -c statement_timeout={statement_timeout_ms}" if statement_timeout_ms else given
    more: dict[str, Any] = {"connect_args": {"options": options}} if options else {}
    return sa.create_engine(address, isolation_level="AUTOCOMMIT", pool_size=KEPT_CONNECTIONS, max_overflow=-1, pool_pre_ping=True, **more)


class _Keeping:
    """A part of Dagster's storage that uses the connections of its process."""

    postgres_url: str
    _engine: sa.Engine

    def __init__(self, url: str) -> None:
        super().__init__(url)  # type: ignore[call-arg]
        self._engine = _engine(url, 0)

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """A page's question is given up after `statement_timeout` milliseconds; connections are kept anyway."""
        self._engine = _engine(self.postgres_url, statement_timeout)

    def dispose(self) -> None:
        """Close what nobody uses now, so that a database is free once its last instance is closed; others connect anew."""
        super().dispose()  # type: ignore[misc]
        self._engine.dispose()


class _Runs(_Keeping, PostgresRunStorage):
    pass


class _Events(_Keeping, PostgresEventLogStorage):
    pass


class _Schedules(_Keeping, PostgresScheduleStorage):
    pass


class Storage(DagsterPostgresStorage):
    """All of Dagster's storage in one database."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.postgres_url = postgres_url
        self.should_autocreate_tables = True
        self._inst_data = inst_data
        self._run_storage = _Runs(postgres_url)
        self._event_log_storage = _Events(postgres_url)
        self._schedule_storage = _Schedules(postgres_url)
        DagsterStorage.__init__(self)

    @classmethod
    def config_type(cls) -> Mapping[str, object]:  # type: ignore[override]
        """Nothing to configure here."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, object]) -> "Storage":  # type: ignore[override]
        """The storage that the settings name.

        Raises:
            SettingsError: they name none.
        """
        address = settings.load().dagster.storage_url.get_secret_value()
        if not address:
            raise SettingsError(f"dagster.yaml says that Dagster's records are in PostgreSQL, but {STORAGE_VARIABLE} is not set")
        return cls(address, inst_data)
