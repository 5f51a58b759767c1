"""Models that Ollama was asked to fetch, and how far they are."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import Instant

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """A row per model."""
    op.create_table(
        "model_pulls",
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("completed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("model"),
    )
