"""Backfills: what is made again over the past, and how far that is."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import Instant

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """A row per backfill, and one for each of its videos."""
    op.create_table(
        "backfills",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("lane", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("force", sa.String(length=64), nullable=True),
        sa.Column("budget_s", sa.Float(), nullable=True),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_backfills_state"), "backfills", ["state"], unique=False)
    op.create_index(op.f("ix_backfills_created_at"), "backfills", ["created_at"], unique=False)
    op.create_table(
        "backfill_items",
        sa.Column("backfill_id", sa.String(length=36), nullable=False),
        sa.Column("video_id", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("assets", sa.JSON(), nullable=False),
        sa.Column("estimated_s", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=True),
        sa.Column("asked_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("spent_s", sa.Float(), nullable=False),
        sa.Column("made", sa.JSON(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfills.id"]),
        sa.PrimaryKeyConstraint("backfill_id", "video_id"),
    )
    op.create_index("ix_backfill_items_state", "backfill_items", ["backfill_id", "state", "position"], unique=False)
    op.create_index("ix_backfill_items_video_id", "backfill_items", ["video_id"], unique=False)
