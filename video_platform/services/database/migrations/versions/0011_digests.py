"""Days and their digests."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import Instant

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """A row per day on which anything was recorded."""
    op.create_table(
        "digests",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("wanted", sa.String(length=64), nullable=False),
        sa.Column("made", sa.String(length=64), nullable=True),
        sa.Column("videos", sa.Integer(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("day"),
    )
