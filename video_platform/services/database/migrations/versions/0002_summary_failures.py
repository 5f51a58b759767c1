"""Why a summary was not written."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Videos keep the failure of their summary beside their own: they stay ready."""
    op.add_column("videos", sa.Column("summary_failure_code", sa.String(length=64), nullable=True))
    op.add_column("videos", sa.Column("summary_failure_message", sa.Text(), nullable=True))
