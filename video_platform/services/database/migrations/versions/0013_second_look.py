"""What a vision model says of alerts, and notifications that wait a moment for it."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import Instant

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Alerts keep the outcome of a second look, notifications until when they wait for one."""
    op.add_column("alerts", sa.Column("second_look", sa.JSON(), nullable=True))
    op.add_column("outbox", sa.Column("not_before", Instant(), nullable=True))
