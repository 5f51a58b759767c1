"""Which version the tables have, and how they get to this program's version (Alembic, inside the package so that an installed wheel can migrate)."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

VERSIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013")
"""Every schema version this program can come from, oldest first; a test compares it with the migration scripts."""

HEAD = VERSIONS[-1]

FULL_TEXT = "search_text"
"""What belongs to the full text of passages, tables on SQLite, a column and its index on PostgreSQL, has this in its name and stands in no `sa.Table`."""

MIGRATIONS = Path(__file__).parent / "migrations"


def version(connection: Connection) -> str | None:
    """The schema version of this database, None when it has no tables yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("select version_num from alembic_version")).scalar()


def upgrade(connection: Connection) -> None:
    """Run the missing migrations inside the transaction of `connection`: all of them, or none."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
