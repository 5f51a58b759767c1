"""The platform's own database: videos, alerts ledger, outbox, deliveries, rule-set versions, refusals, replays."""

from video_platform.errors import SettingsError
from video_platform.services.database.engine import Database
from video_platform.settings import Settings

__all__ = ["Database", "open_database"]


def open_database(settings: Settings) -> Database:
    """The database of these settings with its tables at this program's version; makes the home when it is not there.

    Raises:
        SettingsError: the home cannot be made.
        StateError: a newer version of the program wrote the database.
        DatabaseUnavailable: it does not answer.
    """
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the home {settings.home} cannot be made ({error.strerror}); set VIDEO_PLATFORM_HOME to a folder you may write") from error
    database = Database(settings.database_url)
    database.migrate()
    return database
