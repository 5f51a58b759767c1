"""What an evaluation hands on to the camera's next video."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Evaluations keep the states that were open at the end of their video; neighbours in time of a camera's videos are looked up by index."""
    op.add_column("evaluations", sa.Column("open_states", sa.JSON(), server_default="[]", nullable=False))
    op.create_index(op.f("ix_videos_camera_recorded_at"), "videos", ["camera", "recorded_at"], unique=False)
