"""Which dead letters were sent to their topic again."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import Instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """A row per dead letter that was replayed."""
    op.create_table(
        "replays",
        sa.Column("letter", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=128), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("from_offset", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("letter"),
    )
