"""Where footage lies that is not copied."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Videos keep the place of their file, and its time of change."""
    op.add_column("videos", sa.Column("reference_path", sa.Text(), nullable=True))
    op.add_column("videos", sa.Column("reference_modified_ns", sa.BigInteger(), nullable=True))
