"""Dagster's records in PostgreSQL, whose address comes from the platform's settings: it carries a password, and so never stands in dagster.yaml."""

from collections.abc import Mapping

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from video_platform import settings
from video_platform.errors import SettingsError
from video_platform.settings import PREFIX

STORAGE_VARIABLE = f"{PREFIX}DAGSTER__STORAGE_URL"


class Storage(DagsterPostgresStorage):
    """All of Dagster's storage in one database."""

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
        return cls(address, inst_data=inst_data)
