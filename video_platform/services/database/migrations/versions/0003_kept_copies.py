"""Which state of a video has its copy among the objects."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Videos of an earlier version have no copy yet: they get one in the next hours, by the reconcile sensor."""
    op.add_column("videos", sa.Column("kept_at", Instant(), nullable=True))
